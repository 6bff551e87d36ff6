"""What people sign on controls: who may, what is bound, when it ends; and that no row of it ever changes."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from governance.frameworks import records
from governance.frameworks.models import Attestation, Control, Withdrawal
from governance.frameworks.selectors.attestations import rows, status
from governance.frameworks.services.attestations import MAX_DAYS, MAX_TEXT, attest, withdraw
from governance.frameworks.services.catalogues import import_catalogue
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError, MissingError
from security.identity.models import ApiToken, User
from security.log.models import AuditEvent
from tests.support.catalogues import attested, builtin, control, small, soon
from tests.support.people import PASSWORD, People
from tests.support.reviews import events


@pytest.fixture(autouse=True)
def _catalogues(db: None) -> None:
    builtin()


def end(person: User, attestation: Attestation, **more: str) -> Withdrawal:
    given = {"reason": "The list is out of date.", "password": PASSWORD, **more}
    return withdraw(acting_user=person, attestation=attestation, **given)


def test_a_signed_statement_binds_all_its_parts_and_stands_in_the_log(people: People):
    signed = attested(people.owner, people.system)
    stored = rows().get()
    assert (stored.printed_name, stored.role, stored.method) == ("Olga Owner", "owner", "password")
    assert stored.control_digest == stored.control.digest
    assert stored.digest == records.attestation_digest(stored)
    payload = json.loads(AuditEvent.objects.get(event="attestation:signed").entry)["payload"]
    assert payload == {
        "digest": signed.digest,
        "catalogue": stored.control.catalogue.digest,
        "control": str(stored.control_id),
        "statement": "met",
        "role": "owner",
    }
    for part, other in (("text", "x"), ("statement", "not-applicable"), ("role", "auditor"), ("printed_name", "y")):
        changed = rows().get()
        setattr(changed, part, other)
        assert records.attestation_digest(changed) != signed.digest, part


@pytest.mark.parametrize("who", ["engineer", "auditor", "admin"])
def test_a_role_without_the_action_signs_nothing(people: People, who: str):
    with pytest.raises(DeniedError, match="needs the role"):
        attested(getattr(people, who), people.system)
    assert not Attestation.objects.exists()


@pytest.mark.parametrize("who", ["outsider", "nobody"])
def test_a_system_that_one_may_not_view_does_not_exist(people: People, who: str):
    with pytest.raises(MissingError):
        attested(getattr(people, who), people.system)


def test_an_owner_cannot_exempt_their_own_system(people: People):
    with pytest.raises(DeniedError, match=r"“control\.exempt”"):
        attested(people.owner, people.system, statement="not-applicable")
    assert attested(people.risk_officer, people.system, statement="not-applicable").role == "risk-officer"


def test_a_token_cannot_sign_or_withdraw(people: People):
    signed = attested(people.owner, people.system)
    people.owner.acting_token = ApiToken(user=people.owner, scopes=["read", "run", "submit", "export"])
    with pytest.raises(DeniedError):
        attested(people.owner, people.system)
    with pytest.raises(DeniedError):
        end(people.owner, signed)
    assert (Attestation.objects.count(), Withdrawal.objects.count()) == (1, 0)


def test_a_wrong_password_signs_nothing_and_is_recorded(people: People):
    with pytest.raises(DeniedError, match="password"):
        attested(people.owner, people.system, password="wrong")
    assert not Attestation.objects.exists()
    assert events("signature:refused", "attestation:signed") == ["signature:refused"]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("statement", "fine"),
        ("text", "   "),
        ("text", "x" * (MAX_TEXT + 1)),
        ("text", "a\0b"),
        ("valid_until", soon(-1)),
        ("valid_until", soon(MAX_DAYS + 1)),
    ],
)
def test_what_makes_no_sense_is_refused_at_its_field(people: People, part: str, value: object):
    with pytest.raises(InvalidError) as found:
        attested(people.owner, people.system, **{part: value})
    assert found.value.field == part
    assert not Attestation.objects.exists()


def test_nobody_signs_on_a_version_that_is_not_the_current_one(people: People):
    import_catalogue(acting_user=people.admin, document=small())
    import_catalogue(acting_user=people.admin, document=small(control("c-1", "Do more"), version="2"))
    old = control_row("1")
    with pytest.raises(ConflictError, match="newer version"):
        attest_on(people, old)
    assert attest_on(people, control_row("2")).control == control_row("2")


def control_row(version: str) -> Control:
    return Control.objects.select_related("catalogue").get(catalogue__key="house-rules", catalogue__version=version)


def attest_on(people: People, row: Control) -> Attestation:
    return attest(
        acting_user=people.owner,
        system=people.system,
        control=row,
        statement="met",
        text="Seen.",
        valid_until=soon(),
        password=PASSWORD,
    )


def test_a_statement_ends_by_a_new_row_that_is_signed_too(people: People):
    signed = attested(people.owner, people.system)
    ended = end(people.validator, signed)
    stored = rows().get()
    assert status(stored) == "withdrawn"
    assert (ended.printed_name, ended.digest) == ("Vera Validator", records.withdrawal_digest(ended))
    assert stored.digest == signed.digest
    assert events("attestation:signed", "attestation:withdrawn") == ["attestation:signed", "attestation:withdrawn"]


def test_what_has_ended_is_not_withdrawn_again(people: People):
    signed = attested(people.owner, people.system)
    end(people.owner, signed)
    with pytest.raises(ConflictError, match="withdrawn already"):
        end(people.owner, signed)
    assert Withdrawal.objects.count() == 1


def test_an_expired_statement_is_expired_and_stays_on_record(people: People):
    signed = attested(people.owner, people.system, valid_until=soon(10))
    later = timezone.now() + timedelta(days=10, seconds=1)
    assert status(signed, now=later) == "expired"
    assert status(signed) == "in-force"


def test_a_withdrawal_takes_a_reason_a_password_and_a_role(people: People):
    signed = attested(people.owner, people.system)
    for person, more in (
        (people.owner, {"reason": " "}),
        (people.owner, {"password": "wrong"}),
        (people.engineer, {}),
        (people.outsider, {}),
    ):
        with pytest.raises((InvalidError, DeniedError, MissingError)):
            end(person, signed, **more)
    assert not Withdrawal.objects.exists()


def test_who_signs_is_named_by_the_role_that_lets_them(people: People):
    grant_role(acting_user=people.admin, user=people.auditor, role=Role.VALIDATOR, system=people.system)
    people.auditor._live_grants = None  # type: ignore[attr-defined]
    assert attested(people.auditor, people.system).role == "validator"


@pytest.mark.parametrize("table", [Attestation, Withdrawal])
def test_the_database_refuses_to_change_or_delete_it(people: People, table: type[Attestation]):
    end(people.owner, attested(people.owner, people.system))
    name = table._meta.db_table
    for statement in (f"UPDATE {name} SET printed_name = 'x'", f"DELETE FROM {name}"):
        with (
            pytest.raises(DatabaseError, match="insert-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert table.objects.get().printed_name == "Olga Owner"
