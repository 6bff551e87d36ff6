"""Every route × every role × own system, foreign system, nobody, an expired token, against ``docs/access-table.md``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse
from django.test import Client
from django.urls import clear_url_caches, path, set_urlconf
from django.utils import timezone

from controlplane import urls
from security.identity.models import ApiToken
from security.log.models import AuditEvent
from tests.support.people import People
from tests.walk import routes, table
from tests.walk.world import World, visitor

API = "/api/"
PROBLEM = "application/problem+json"
# open to everybody on purpose; whatever else answers nobody with anything but 302, 401, 403, 404 or 405 is a hole
PUBLIC = {
    "GET /healthz", "POST /healthz", "GET /sign-in/", "POST /sign-in/", "GET /sign-in/refused/",
    "POST /oauth/token",
}  # fmt: skip


@contextmanager
def undone() -> Iterator[None]:
    """Whatever is done inside is rolled back, so that each request meets the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    cache.clear()


def walked(world: World, client: Client, headers: dict[str, str], names: list[str]) -> dict[str, Any]:
    """Name → status."""
    found = {}
    session = client.cookies.get("sessionid")
    for name in names:
        with undone():
            found[name] = world.ask(client, headers, name).status_code
        if session is not None:
            client.cookies["sessionid"] = session.value  # some requests renew it, and that was rolled back too
    return found


def differences(found: dict[str, int], wanted: dict[str, int]) -> dict[str, str]:
    return {name: f"{found[name]}, not {wanted[name]}" for name in found if found[name] != wanted[name]}


def test_every_route_has_a_row_and_every_row_a_route():
    assert sorted(table.read()) == sorted(routes.everything())


@pytest.mark.parametrize("role", table.ROLES)
@pytest.mark.parametrize("where", ["own", "foreign"])
def test_who_gets_which_answer(role: str, where: str, people: People):
    world = World(people)
    client, headers = visitor(people, role, people.system if where == "own" else people.other)
    rows = table.read()
    wanted = {name: getattr(row, where)[role] for name, row in rows.items()}
    assert differences(walked(world, client, headers, list(rows)), wanted) == {}


@pytest.mark.parametrize("who", ["nobody", "expired token", "revoked token", "made-up token"])
def test_nobody_and_a_dead_token_get_nothing_and_change_nothing(who: str, people: People):
    world, rows = World(people), table.read()
    client, headers = visitor(people, "service", people.system)
    if who == "expired token":
        ApiToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1), refused_at=timezone.now())
    elif who == "revoked token":
        ApiToken.objects.update(revoked_at=timezone.now(), refused_at=timezone.now())
    else:
        headers = {} if who == "nobody" else {"Authorization": "Bearer cs_0000000000000000_nothing"}
    wrong = {}
    for name, row in rows.items():
        with undone():
            address, before = world.address(name.split(" ", 1)[1]), AuditEvent.objects.count()
            answer = world.ask(client, headers, name)
            grew = AuditEvent.objects.count() != before and name not in PUBLIC
            form = answer["Content-Type"] == PROBLEM if answer.status_code == 401 and API in address else True
            if answer.status_code != row.nobody or grew or not form:
                wrong[name] = (answer.status_code, row.nobody, address)
    assert wrong == {}


def test_the_table_lets_nobody_in_but_where_it_is_meant():
    for name, row in table.read().items():
        if name not in PUBLIC:
            assert row.nobody in (302, 401, 403, 404, 405), name


def test_the_table_hides_foreign_objects():
    """Whatever names an object of the system by its id or slug, does not exist for the role in another system."""
    kinds = "systems pipelines pipeline-versions runs artifacts lineage datasets dataset-versions evidence models"
    kinds += " model-versions reviews approvals trusts waivers"
    kinds += " model-versions reviews approvals trusts assessments risks incidents"
    named = re.compile(f"/({kinds.replace(' ', '|')})/[<{{]")
    looked_at = 0
    for name, row in table.read().items():
        if named.search(name):
            looked_at += 1
            for role, status in row.foreign.items():
                assert status in (404, 405) or (role == "service" and status in (302, 401)), (name, role)
    assert looked_at > 40


def test_a_new_route_without_a_row_fails(monkeypatch):
    """The positive control: a route that somebody adds and forgets is found."""
    added = [*urls.urlpatterns, path("backdoor/<uuid:pk>/", lambda request, pk: HttpResponse("in"))]
    monkeypatch.setattr(urls, "urlpatterns", added)
    clear_url_caches()
    set_urlconf(None)
    try:
        missing = set(routes.everything()) - set(table.read())
    finally:
        monkeypatch.undo()
        clear_url_caches()
    assert missing == {"GET /backdoor/<uuid:pk>/", "POST /backdoor/<uuid:pk>/"}
    assert set(routes.everything()) == set(table.read())
