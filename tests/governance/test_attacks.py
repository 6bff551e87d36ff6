"""A builder who tries to approve what they built by a way round, and bundles made to fool the verifier."""

from __future__ import annotations

import json
from typing import Any

import pytest

from governance.services.reviews import revoke, submit, vote
from pipelines.models import ModelVersion, Run, RunState
from pipelines.services import runs
from security.access.services import grant_role
from security.access.table import Role
from security.errors import DeniedError
from security.identity.models import User
from security.identity.services import create_token, create_user
from tests.support.bundles import event_lines, export, files_of, lines, remade, run_verify, unpack, with_lines
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


def sign(user: User, review: Any) -> None:
    vote(acting_user=user, review=review, decision="approve", reason="Fine.", password=PASSWORD)


def again(user: User) -> User:
    """The person as the next request reads them."""
    return User.objects.get(pk=user.pk)


@pytest.fixture
def retried(people: People) -> ModelVersion:
    """Erin's run failed once, and Eli, who is a validator as well, set it going again."""
    version = make_model_version(people.system, people.engineer)
    run = version.step_run.run
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED)
    runs.retry(acting_user=people.second_engineer, run=run)
    grant_role(acting_user=people.admin, user=people.second_engineer, role=Role.VALIDATOR, system=people.system)
    return version


@pytest.fixture
def by_service(people: People) -> ModelVersion:
    """A service built it; Ada made its token, holds it, and is made a validator by a second administrator."""
    service = create_user(acting_user=None, username="robot", full_name="Robot", password=None, is_service=True)
    grant_role(acting_user=people.admin, user=service, role=Role.SERVICE, system=people.system)
    create_token(acting_user=people.admin, user=service, name="ci", scopes=["run", "submit"])
    second = people.make("abe", "Abe Admin")
    grant_role(acting_user=people.admin, user=second, role=Role.ADMIN)
    grant_role(acting_user=again(second), user=people.admin, role=Role.VALIDATOR, system=people.system)
    return make_model_version(people.system, service)


def test_who_retried_the_run_of_another_cannot_approve_what_came_of_it(people, retried):
    review = submit(acting_user=people.engineer, model_version=retried)
    with pytest.raises(DeniedError, match="retried run 1 of tiny"):
        sign(again(people.second_engineer), review)


def test_who_holds_the_token_of_a_service_cannot_approve_what_it_built(people, by_service):
    review = submit(acting_user=people.engineer, model_version=by_service)
    with pytest.raises(DeniedError, match="made a token for Robot"):
        sign(again(people.admin), review)


@pytest.mark.parametrize("case", ["retried", "by_service"])
def test_the_verifier_finds_such_a_vote_when_the_server_did_not(people, case, request, tmp_path, monkeypatch):
    version: ModelVersion = request.getfixturevalue(case)
    voter = people.second_engineer if case == "retried" else people.admin
    auditor = people.make("alma", "Alma Auditor")
    grant_role(acting_user=people.admin, user=auditor, role=Role.AUDITOR)
    review = submit(acting_user=people.engineer, model_version=version)
    monkeypatch.setattr("governance.selectors.standing._excluded", lambda parts: {})
    sign(again(voter), review)
    sign(people.risk_officer, review)
    result = run_verify(unpack(files_of(export(auditor, version)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert f"0 of 1 independent people signed as validator; does not count: {voter.full_name}" in result.stdout


def test_a_bundle_without_steps_in_its_lineage_does_not_hide_who_registered_the_pipeline(people, tmp_path, monkeypatch):
    version = make_model_version(people.system, people.engineer, registered_by=people.second_engineer)
    grant_role(acting_user=people.admin, user=people.second_engineer, role=Role.VALIDATOR, system=people.system)
    review = submit(acting_user=people.engineer, model_version=version)
    monkeypatch.setattr("governance.selectors.standing._excluded", lambda parts: {})
    for user in (again(people.second_engineer), people.risk_officer):
        sign(user, review)
    files = files_of(export(people.auditor, version))
    graph = json.loads(files["lineage.json"])
    graph["nodes"] = [node for node in graph["nodes"] if node["kind"] != "step"]
    graph["builders"] = []
    forged = remade({**files, "lineage.json": json.dumps(graph).encode()})
    result = run_verify(unpack(forged, tmp_path / "forged"))
    assert result.returncode == 1
    assert "does not count: Eli Engineer registered its pipeline" in result.stdout


def test_a_bundle_that_hides_a_revocation_among_foreign_events_says_that_events_are_hidden(people, tmp_path):
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    for user in (people.validator, people.risk_officer):
        sign(user, review)
    review.refresh_from_db()
    revoke(acting_user=people.validator, approval=review.approval, reason="Wrong.", password=PASSWORD)
    auditor = people.make("alma", "Alma Auditor")
    grant_role(acting_user=people.admin, user=auditor, role=Role.AUDITOR)
    files = files_of(export(auditor, version))
    honest = run_verify(unpack(files, tmp_path / "honest"))
    assert (honest.returncode, "hidden" in honest.stdout) == (0, False)
    rows = lines(files)
    for at in event_lines(rows, "approval:revoked"):
        del rows[at]["entry"]  # its leaf hash stays, and the tree is whole
    decisions = json.loads(files["decisions.json"])
    decisions["reviews"][0]["approval"]["revocation"] = None
    forged = remade(with_lines({**files, "decisions.json": json.dumps(decisions).encode()}, rows))
    result = run_verify(unpack(forged, tmp_path / "forged"))
    assert "1 entries of the log are hidden" in result.stdout
    strict = run_verify(tmp_path / "forged", "--whole")
    assert (strict.returncode, "1 entries are hidden" in strict.stdout) == (1, True)
