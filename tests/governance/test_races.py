"""Two people deciding at the same instant: threads with connections of their own, on either database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.db import connection, connections

from governance.models import Approval, GrantAct, Review, ReviewState, Vote
from governance.selectors import approvals
from governance.services.reviews import reinstate, revoke, submit, suspend, vote
from security.access.table import Role
from security.errors import ConflictError, DeniedError, ServiceError
from security.identity.models import User
from security.log import verification
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


@pytest.fixture
def shared_database(transactional_db: None, people: People, tmp_path: Path) -> Iterator[None]:
    """A database that several connections can use at once: SQLite's, where it is in memory, is copied to a file."""
    if connection.vendor != "sqlite" or not connection.is_in_memory_db():
        yield
        return
    memory, name, path = connection.connection, connection.settings_dict["NAME"], tmp_path / "shared.sqlite3"
    copy = sqlite3.connect(path)
    memory.backup(copy)
    copy.close()
    connection.connection, connection.settings_dict["NAME"] = None, str(path)
    yield
    connection.close()
    connection.connection, connection.settings_dict["NAME"] = memory, name


@pytest.fixture
def review(shared_database: None, people: People) -> Review:
    return submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))


def at_once(*works: Callable[[], object]) -> list[object]:
    """Run all from one barrier; returns what each gave back or raised."""
    barrier, results = threading.Barrier(len(works)), [None] * len(works)

    def run(number: int, work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            results[number] = work()
        except ServiceError as error:
            results[number] = error
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=pair) for pair in enumerate(works)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return results


def signing(user: User, review: Review, decision: str = "approve", password: str = PASSWORD) -> Callable[[], Vote]:
    def work() -> Vote:
        person, same = User.objects.get(pk=user.pk), Review.objects.select_related("system").get(pk=review.pk)
        return vote(acting_user=person, review=same, decision=decision, reason="At once.", password=password)

    return work


def test_two_last_votes_at_once_issue_one_approval(people, review):
    results = at_once(signing(people.validator, review), signing(people.risk_officer, review))
    assert all(isinstance(result, Vote) for result in results), results
    assert Approval.objects.count() == 1
    assert AuditEvent.objects.filter(event="approval:issued").count() == 1
    assert verification.verify().ok


def test_two_validators_at_once_take_one_seat(people, review):
    second = people.make("vito", "Vito Validator", Role.VALIDATOR)
    results = at_once(signing(people.validator, review), signing(second, review))
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Vote"], results
    assert Vote.objects.count() == 1


def test_one_person_signing_twice_at_once_has_one_vote(people, review):
    results = at_once(*[signing(people.validator, review)] * 3)
    assert [type(result) for result in results].count(Vote) == 1
    assert all(isinstance(result, Vote | DeniedError) for result in results), results
    assert Vote.objects.count() == 1


def test_an_approval_and_a_rejection_at_once_end_in_one_of_the_two(people, review):
    signing(people.validator, review)()
    second = people.make("rico", "Rico Risk", Role.RISK_OFFICER)
    results = at_once(signing(people.risk_officer, review), signing(second, review, "reject"))
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Vote"], results
    review.refresh_from_db()
    assert Approval.objects.exists() == (review.state == ReviewState.APPROVED)
    assert Vote.objects.filter(decision="reject").exists() == (review.state == ReviewState.REJECTED)


def test_two_submissions_at_once_open_one_review(people, shared_database):
    version = make_model_version(people.system, people.engineer)
    works = [
        lambda user=user: submit(acting_user=user, model_version=version) for user in (people.engineer, people.owner)
    ]
    results = at_once(*works)
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "Review"], results
    assert AuditEvent.objects.filter(event="policy:published").count() == 3


def stopping(user: User, approval: Approval, service: Callable[..., Approval]) -> Callable[[], Approval]:
    def work() -> Approval:
        person, same = User.objects.get(pk=user.pk), approvals.rows().get(pk=approval.pk)
        return service(acting_user=person, approval=same, reason="At once.", password=PASSWORD)

    return work


def test_a_revocation_while_the_last_signature_reinstates_always_wins(people, review):
    for user in (people.validator, people.risk_officer):
        signing(user, review)()
    approval = Approval.objects.get()
    stopping(people.validator, approval, suspend)()
    request = reinstate(acting_user=people.engineer, approval=approval)
    signing(people.validator, request)()
    results = at_once(signing(people.risk_officer, request), stopping(people.validator, approval, revoke))
    assert isinstance(results[1], Approval), results
    assert isinstance(results[0], Vote | ConflictError), results
    assert approvals.status(approvals.rows().get()) == "revoked"
    assert verification.verify().ok


def test_two_who_stop_an_approval_at_once_stop_it_once(people, review):
    for user in (people.validator, people.risk_officer):
        signing(user, review)()
    approval = Approval.objects.get()
    works = [stopping(user, approval, revoke) for user in (people.validator, people.risk_officer)]
    results = at_once(*works)
    assert sorted(type(result).__name__ for result in results) == ["Approval", "ConflictError"], results
    assert GrantAct.objects.count() == AuditEvent.objects.filter(event="approval:revoked").count() == 1


def test_guessing_in_parallel_gives_no_more_guesses(people, review):
    results = at_once(*[signing(people.validator, review, password=f"guess {n}") for n in range(8)])
    assert all(isinstance(result, DeniedError) for result in results), results
    assert AuditEvent.objects.filter(event="signature:refused").count() == 5
    assert sum("Too many" in str(result) for result in results) == 3


def test_who_decides_after_the_end_is_told_so(people, review):
    signing(people.validator, review, "reject")()
    with pytest.raises(ConflictError, match="rejected already"):
        signing(people.risk_officer, review)()
