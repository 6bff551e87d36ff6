"""Headers of every kind of answer, limits of requests, names of files, the time that a wrong token takes."""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from collections.abc import Callable

import pytest
from django.conf import settings as installed
from django.core.cache import cache
from django.test import Client

from security.identity import services
from security.identity.services import authenticate_token, create_token, is_secret
from security.log.models import AuditEvent
from tests.support.api import Api, Rows
from tests.support.people import People

PROBLEM = "application/problem+json"
ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
}


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def answers(people: People) -> dict[str, object]:
    """One of each kind."""
    rows = Rows(people.system, people.engineer)
    client = Client()
    client.force_login(people.engineer)
    return {
        "sign-in": Client().get("/sign-in/"),
        "redirect": Client().get("/"),
        "page": client.get("/"),
        "missing page": client.get("/nothing/"),
        "refused page": client.get("/people/"),
        "download": client.get(f"/artifacts/{rows.artifact.pk}/content/"),
        "api": client.get("/api/v1/me"),
        "api, nobody": Client().get("/api/v1/me"),
        "token endpoint": Client().post("/oauth/token", {}),
        "health": Client().get("/healthz"),
    }


def test_a_check_inside_the_container_is_answered_and_a_page_under_a_foreign_name_is_not(settings):
    settings.ALLOWED_HOSTS = ["countersign.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    inside = Client(headers={"host": "127.0.0.1:8000"})
    assert (inside.get("/healthz").status_code, inside.get("/healthz").content) == (200, b"ok\n")
    assert inside.get("/sign-in/").status_code == 400


def test_every_kind_of_answer_has_the_headers(people: People):
    for kind, answer in answers(people).items():
        for name, value in ALWAYS.items():
            assert answer[name] == value, (kind, name)
        assert "camera=()" in answer["Permissions-Policy"], kind
        assert re.search("no-store|no-cache", answer["Cache-Control"]), kind


def test_the_policy_allows_nothing_unsafe_and_nothing_foreign(people: People):
    for kind, answer in answers(people).items():
        policy = answer["Content-Security-Policy"]
        directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
        assert "unsafe" not in policy, kind
        assert directives["default-src"] == directives["frame-ancestors"] == directives["base-uri"] == "'none'"
        sources = {source for value in directives.values() for source in value.split()}
        assert sources <= {"'self'", "'none'", "data:"}, kind
        assert directives["script-src"] == directives["style-src"] == "'self'"


def test_behind_tls_everything_is_for_tls(people: People, settings):
    settings.SECURE_HSTS_SECONDS, settings.SECURE_SSL_REDIRECT = 365 * 86400, True
    settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    assert Client().get("/sign-in/")["Location"].startswith("https://")
    answer = Client().get("/sign-in/", secure=True)
    assert answer["Strict-Transport-Security"].startswith("max-age=31536000; includeSubDomains")


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(people: People):
    client = Client()
    client.get("/sign-in/")
    client.force_login(people.engineer)
    assert {"csrftoken", "sessionid"} <= set(client.cookies)
    assert installed.SESSION_COOKIE_HTTPONLY
    assert installed.CSRF_COOKIE_HTTPONLY
    assert {client.cookies["csrftoken"]["samesite"], installed.SESSION_COOKIE_SAMESITE} == {"Lax"}


@pytest.mark.parametrize("path", ["/sign-out/", "/settings/", "/settings/sessions/end-others/", "/people/new/"])
def test_a_form_from_elsewhere_is_refused(people: People, path: str):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.admin)
    before = AuditEvent.objects.count()
    assert client.post(path, headers={"Origin": "https://evil.example"}).status_code == 403
    assert AuditEvent.objects.count() == before


# ------------------------------------------------------------------------------------------------------------ limits


def test_one_token_is_slowed_down_and_no_other(people: People, settings):
    settings.API_REQUESTS_PER_MINUTE = 5
    busy, calm = Api(people.engineer), Api(people.engineer)
    codes = [busy.get("me").status_code for _ in range(7)]
    assert codes == [200] * 5 + [429] * 2
    answer = busy.get("me")
    assert answer["Content-Type"] == PROBLEM
    assert 1 <= int(answer["Retry-After"]) <= 61
    assert answer.json()["title"] == "Too many requests"
    assert calm.get("me").status_code == 200


def test_one_person_is_slowed_down_in_the_api_and_on_the_pages(people: People, settings):
    settings.API_REQUESTS_PER_MINUTE = settings.PAGES_PER_MINUTE = 4
    api = Api(people.engineer, session=True)
    assert [api.get("me").status_code for _ in range(6)] == [200] * 4 + [429] * 2
    pages = [api.client.get("/systems/") for _ in range(6)]
    assert [page.status_code for page in pages] == [200] * 4 + [429] * 2
    assert int(pages[-1]["Retry-After"]) >= 1
    assert Api(people.auditor, session=True).client.get("/systems/").status_code == 200


def test_strangers_are_slowed_down_by_address(people: People, settings):
    settings.API_REQUESTS_PER_MINUTE = 8
    assert [Api().get("me").status_code for _ in range(4)] == [401, 401, 429, 429]
    assert Client(REMOTE_ADDR="192.0.2.4").get("/api/v1/me").status_code == 401


def test_a_body_over_two_mebibytes_is_refused_by_pages_and_api(people: People):
    api = Api(people.admin, session=True)
    answer = api.post("systems", b'{"slug": "' + b"x" * (2 * 2**20) + b'"}')
    assert (answer.status_code, answer["Content-Type"]) == (413, PROBLEM)
    page = api.client.post("/systems/new/", {"slug": "x" * (2 * 2**20 + 100)})
    assert page.status_code in (400, 413)


# -------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "path",
    ["/static/../manage.py", "/static/%2e%2e/manage.py", "/static/..%2fmanage.py", "/static/a/../../manage.py",
     "/static//etc/passwd", "/static/%2fetc%2fpasswd", "/static/..\\manage.py", "/static/countersign/%00.css"],
)  # fmt: skip
def test_nothing_outside_the_static_files_is_served(db: None, path: str):
    answer = Client().get(path)
    assert answer.status_code in (400, 404)
    assert b"DJANGO_SETTINGS_MODULE" not in answer.content
    assert b"root:" not in answer.content


@pytest.mark.parametrize("name", ["../../../etc/passwd", "..%2f..%2fmanage.py", "/etc/passwd", "%00", "x" * 5000])
@pytest.mark.parametrize("place", ["/artifacts/{}/content/", "/api/v1/artifacts/{}/content", "/log/{}", "/log/tile/{}"])
def test_a_path_in_the_place_of_an_id_finds_nothing(people: People, name: str, place: str):
    client = Client()
    client.force_login(people.auditor)
    answer = client.get(place.format(name))
    assert answer.status_code in (400, 404)
    assert b"root:" not in answer.content


def test_a_download_is_named_by_its_digest_and_recorded(people: People):
    rows = Rows(people.system, people.engineer)
    client = Client()
    client.force_login(people.engineer)
    for path in (f"/artifacts/{rows.artifact.pk}/content/", f"/api/v1/artifacts/{rows.artifact.pk}/content"):
        before = AuditEvent.objects.filter(event="artifact:read").count()
        answer = client.get(path)
        b"".join(answer.streaming_content)
        assert answer["Content-Disposition"] == f'attachment; filename="{rows.artifact.digest[:12]}.skops"'
        assert AuditEvent.objects.filter(event="artifact:read").count() == before + 1


# ------------------------------------------------------------------------------------------------- the time it takes


def gap(near: Callable[[], object], far: Callable[[], object], rounds: int) -> float:
    """How much longer ``near`` takes than ``far``, as a share of ``far``: the quickest of interleaved batches, since
    what else the machine does only ever adds time."""
    times: dict[Callable[[], object], list[int]] = {near: [], far: []}
    for _ in range(rounds):
        for call in (near, far):
            start = time.perf_counter_ns()
            for _ in range(100):
                call()
            times[call].append(time.perf_counter_ns() - start)
    slow, fast = min(times[near]), min(times[far])
    return (slow - fast) / fast


def test_a_nearly_right_secret_takes_no_longer_than_a_wrong_one():
    """The secret is hashed and the hashes compared in constant time; the control shows what a leak would look like."""
    secret = secrets.token_urlsafe(32)
    stored = hashlib.sha256(secret.encode()).hexdigest()
    near = secret[:-1] + ("A" if secret[-1] != "A" else "B")
    far = ("A" if secret[0] != "A" else "B") + secret[1:]

    def leaky(given: str) -> bool:
        return all(a == b for a, b in zip(given, secret, strict=True))

    assert not is_secret(near, stored)
    assert abs(gap(lambda: is_secret(near, stored), lambda: is_secret(far, stored), 300)) < 0.10
    assert gap(lambda: leaky(near), lambda: leaky(far), 300) > 0.5


def test_secrets_are_compared_in_constant_time_whatever_the_key(people: People, monkeypatch):
    _, text = create_token(acting_user=people.engineer, user=people.engineer, name="x", scopes=["read"])
    compared = []
    monkeypatch.setattr(services.secrets, "compare_digest", lambda a, b: compared.append((len(a), len(b))) or a == b)
    for given in (text, text + "x", "cs_0000000000000000_x", "xx_1_2", ""):
        authenticate_token(given)
    assert compared == [(64, 64)] * 5
