"""Home, systems, errors: what each person is shown, in a fixed number of queries."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from controlplane import views
from governance.models import Approval
from governance.services.reviews import submit
from pipelines.models import Run, RunState
from security.access.services import bootstrap_admin, grant_role
from security.access.table import Role
from security.identity.models import User
from security.identity.services import create_user
from tests.support.models import make_model_version, make_run
from tests.support.people import People
from tests.support.reviews import sign

FEW, MANY = 3, 30
SENTENCE = "9 of 9 gates pass"


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    cache.clear()


def signed_in(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_home_says_what_waits_for_whom(people: People):
    version = make_model_version(people.system, people.engineer)
    home = signed_in(people.engineer).get("/").context["home"]
    assert [row.pk for row in home.to_submit] == [version.pk]
    review = submit(acting_user=people.engineer, model_version=version)
    assert signed_in(people.engineer).get("/").context["home"].to_submit == []
    validator = signed_in(people.validator).get("/")
    assert [row.role for row in validator.context["home"].waiting_lines] == ["validator"]
    assert "You sign as <strong>validator</strong> in credit" in validator.content.decode()
    sign(people.validator, review)
    assert signed_in(people.validator).get("/").context["home"].waiting_lines == []
    officer = signed_in(people.risk_officer).get("/")
    assert officer.context["home"].waiting_lines[0].signed == ("Vera Validator",)
    assert "Waiting for your signature" not in signed_in(people.auditor).get("/").content.decode()


def test_the_deadline_of_a_review_is_the_end_of_the_approval_that_it_follows(people: People):
    first = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    sign(people.validator, first)
    sign(people.risk_officer, first)
    submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    row = signed_in(people.validator).get("/").context["home"].waiting_lines[0]
    assert row.deadline == Approval.objects.get().valid_until
    assert row.deadline_of == "tiny v1"


def test_home_shows_failures_that_nothing_made_good(people: People):
    run = make_run(people.system, people.engineer)
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED)
    client = signed_in(people.second_engineer)
    assert [row.run.pk for row in client.get("/").context["home"].failing] == [run.pk]
    later = Run.objects.create(
        system=people.system, version=run.version, number=9, seed=1, state=RunState.SUCCEEDED, created_by=run.created_by
    )
    assert later.created_at > run.created_at
    assert client.get("/").context["home"].failing == []


def test_home_shows_approvals_that_run_out_within_30_days(people: People):
    review = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    sign(people.validator, review)
    sign(people.risk_officer, review)
    client = signed_in(people.owner)
    assert client.get("/").context["home"].expiring == []
    Approval.objects.update(valid_until=timezone.now() + timedelta(days=29))
    assert len(client.get("/").context["home"].expiring) == 1


def test_what_changed_since_the_last_look_survives_a_reload_and_not_the_next_visit(people: People):
    client = signed_in(people.auditor)
    assert client.get("/").context["since"] is None
    User.objects.filter(pk=people.auditor.pk).update(seen_home_at=timezone.now() - timedelta(hours=2))
    make_model_version(people.system, people.engineer)
    for _ in range(2):
        home = client.get("/").context["home"]
        assert "tiny v1 was registered" in [line.text for line in home.new]
        assert home.new_changes >= 1
    User.objects.filter(pk=people.auditor.pk).update(seen_home_at=timezone.now() + timedelta(seconds=1))
    assert signed_in(people.auditor).get("/").context["home"].new == []


def test_nobody_hears_of_what_happens_in_other_systems(people: People):
    make_model_version(people.system, people.engineer)
    page = signed_in(people.outsider).get("/").content.decode()
    assert "tiny" not in page
    assert "System credit" not in page
    assert signed_in(people.outsider).get(reverse("system", args=["credit"])).status_code == 404
    assert [row.slug for row in signed_in(people.outsider).get(reverse("systems")).context["page"]] == ["other"]


def test_without_a_role_one_is_told_whom_to_ask(people: People):
    page = signed_in(people.nobody).get("/").content.decode()
    assert "You hold no role yet" in page
    assert "Ada Admin" in page


@pytest.mark.django_db
def test_an_empty_installation_says_how_to_fill_it():
    admin = create_user(acting_user=None, username="ada", full_name="Ada Admin", password=None)
    bootstrap_admin(user=admin)
    page = signed_in(admin).get("/").content.decode()
    assert "make demo" in page
    assert reverse("system-new") in page


def test_the_page_of_a_system_says_purpose_tier_people_and_what_is_in_it(people: People):
    submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    page = signed_in(people.auditor).get(reverse("system", args=["credit"])).content.decode()
    for words in ("testing", "High risk", "1 validator and 1 risk officer", "tiny", "Vera Validator", SENTENCE):
        assert words in page
    assert "“system.change” in credit needs the role owner or admin" in page


def test_anonymous_readers_are_sent_to_sign_in(people: People, client: Client):
    for url in ("/", reverse("systems"), reverse("system", args=["credit"])):
        answer = client.get(url)
        assert answer.status_code == 302
        assert answer["Location"].startswith("/sign-in/?next=")


def test_systems_filter_and_sort(people: People):
    grant_role(acting_user=people.admin, user=people.nobody, role=Role.AUDITOR, system=None)
    client = signed_in(people.nobody)
    assert len(client.get(reverse("systems")).context["page"]) == 2
    assert len(client.get(reverse("systems") + "?q=cred&tier=high").context["page"]) == 1
    assert "No system fits" in client.get(reverse("systems") + "?tier=low").content.decode()
    for sort in ("-last_run_at", "model_count", "owner__password"):
        assert client.get(reverse("systems"), {"sort": sort}).status_code == 200


def test_a_missing_page_is_a_page_and_under_the_api_a_problem(people: People):
    client = signed_in(people.engineer)
    page = client.get("/no/such/page/")
    assert page.status_code == 404
    assert "There is nothing here" in page.content.decode()
    problem = client.get("/api/v1/no-such-thing/")
    assert problem.status_code == 404
    assert problem["Content-Type"] == "application/problem+json"


def test_a_broken_server_says_so_without_touching_what_broke(rf: RequestFactory):
    answer = views.broken(rf.get("/models/"))
    assert answer.status_code == 500
    assert "Something broke on the server" in answer.content.decode()
    assert views.broken(rf.get("/api/v1/x"))["Content-Type"] == "application/problem+json"
    assert views.bad_request(rf.get("/"), ValueError()).status_code == 400


def systems(people: People, start: int, stop: int) -> None:
    for number in range(start, stop):
        system = people.make_system(f"s-{number}")
        grant_role(acting_user=people.admin, user=people.validator, role=Role.VALIDATOR, system=system)
        Run.objects.filter(pk=make_run(system, people.engineer).pk).update(state=RunState.FAILED)


def waiting(people: People, start: int, stop: int) -> None:
    for number in range(start, stop):
        version = make_model_version(people.system, people.engineer, name=f"model-{number}")
        submit(acting_user=people.engineer, model_version=version)


CASES: dict[str, tuple[Callable[[People, int, int], None], str, int]] = {
    "home, failing": (systems, "/", 35),
    "home, waiting": (waiting, "/", 35),
    "systems": (systems, "/systems/", 25),
    "system": (waiting, "/systems/credit/", 52),
}


@pytest.mark.parametrize("case", CASES)
def test_a_page_takes_as_many_queries_for_thirty_rows_as_for_three(people: People, case: str):
    fill, url, most = CASES[case]
    client = signed_in(people.validator)
    counts = []
    for start, stop in ((0, FEW), (FEW, MANY)):
        fill(people, start, stop)
        client.get(url)
        cache.clear()
        with CaptureQueriesContext(connection) as seen:
            assert client.get(url).status_code == 200
        counts.append(len(seen))
    assert counts[1] <= counts[0]  # fewer when the timeline happens to name fewer kinds of things
    assert counts[0] <= most
