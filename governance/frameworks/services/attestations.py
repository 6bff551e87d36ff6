"""What people sign on controls: that one is met, or does not apply; and the end of what they signed."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.frameworks import records
from governance.frameworks.models import Attestation, Catalogue, Control, Statement, Withdrawal
from governance.frameworks.selectors import attestations
from governance.services.signing import Proven, reauthenticate, require_a_person
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action, Role, allows
from security.canonical import urn
from security.errors import ConflictError, InvalidError, MissingError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record

MAX_TEXT = 5000
MAX_DAYS = 366
ACTION_OF = {Statement.MET: Action.ATTEST, Statement.NOT_APPLICABLE: Action.EXEMPT}


def attest(
    *,
    acting_user: User,
    system: AISystem,
    control: Control,
    statement: str,
    text: str,
    valid_until: datetime,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> Attestation:
    """Sign a statement on a control for a system, which counts until ``valid_until``, ``MAX_DAYS`` days at most.

    ``password``, and ``code`` or ``passkey`` where a second factor is enrolled: see ``signing.reauthenticate``.
    Returns when the audit log includes it, or after some seconds when it does not yet.

    Raises MissingError (a system that one may not view), DeniedError (no role, a token, wrong password or second
    factor), InvalidError (statement, text, valid_until), ConflictError (the catalogue has a newer version).
    """
    _must_see(acting_user, system)
    require_a_person(acting_user)
    choice, words = _statement(statement), _text(text, "text")
    action = ACTION_OF[choice]
    access.require(acting_user, action, system)
    _within_a_year(valid_until)
    _current(control)
    subject = urn("control", control.pk)
    proven = reauthenticate(acting_user, password, subject=subject, system=system.slug, code=code, passkey=passkey)
    with decision_on_record():
        signed = Attestation(
            system=system,
            control=control,
            control_digest=control.digest,
            statement=choice,
            text=words,
            role=_role(acting_user, action, system),
            signed_at=timezone.now(),
            valid_until=valid_until,
            **_signature(acting_user, proven),
        )
        signed.digest = records.attestation_digest(signed)
        signed.save(force_insert=True)
        record(
            Event.ATTESTATION_SIGNED,
            acting_user=acting_user,
            subject=urn("attestation", signed.pk),
            system=system.slug,
            payload={
                "digest": signed.digest,
                "catalogue": control.catalogue.digest,
                "control": str(control.pk),
                "statement": str(choice),
                "role": signed.role,
            },
        )
    return signed


def withdraw(
    *,
    acting_user: User,
    attestation: Attestation,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> Withdrawal:
    """End an attestation now; anybody who may sign one in its system is enough, because stopping must be easy.

    Raises MissingError, DeniedError, InvalidError (reason), ConflictError (it has ended already).
    """
    system, words = attestation.system, _text(reason, "reason")
    _must_see(acting_user, system)
    require_a_person(acting_user)
    access.require(acting_user, Action.ATTEST, system)
    _not_ended(attestations.rows().get(pk=attestation.pk))
    subject = urn("attestation", attestation.pk)
    proven = reauthenticate(acting_user, password, subject=subject, system=system.slug, code=code, passkey=passkey)
    with decision_on_record():
        signed = Withdrawal(
            attestation=attestation, reason=words, signed_at=timezone.now(), **_signature(acting_user, proven)
        )
        signed.digest = records.withdrawal_digest(signed)
        try:
            with transaction.atomic():
                signed.save(force_insert=True)
        except IntegrityError:
            raise ConflictError("Somebody else has just withdrawn it.") from None
        record(
            Event.ATTESTATION_WITHDRAWN,
            acting_user=acting_user,
            subject=urn("attestation", attestation.pk),
            system=system.slug,
            payload={"withdrawal": str(signed.pk), "digest": signed.digest, "attestation": attestation.digest},
        )
    return signed


def _signature(acting_user: User, proven: Proven) -> dict[str, object]:
    return {
        "person": acting_user,
        "printed_name": acting_user.full_name,
        "reauthenticated_at": proven.at,
        "method": proven.method,
    }


def _role(acting_user: User, action: Action, system: AISystem) -> str:
    """As what the person signs: the first role in the table's order that lets them."""
    held = {role for role, scope in access.grants_of(acting_user) if scope in (None, system.pk)}
    return next(role.value for role in Role if role in held and allows(role, action))


def _must_see(acting_user: User, system: AISystem) -> None:
    """What somebody may not view does not exist for them."""
    if not access.allowed(acting_user, Action.VIEW, system):
        raise MissingError("There is no such system, or you have no role in it.")


def _statement(text: str) -> Statement:
    try:
        return Statement(text)
    except ValueError:
        raise InvalidError("A statement is “met” or “not-applicable”.", field="statement") from None


def _text(text: str, field: str) -> str:
    cleaned = text.strip()
    if not cleaned:
        raise InvalidError("A signature needs its reasons, in your own words.", field=field)
    if len(cleaned) > MAX_TEXT:
        raise InvalidError(f"At most {MAX_TEXT:,} characters, please; this has {len(cleaned):,}.", field=field)
    if "\x00" in cleaned:
        raise InvalidError("The text holds a NUL character, which no text has.", field=field)
    return cleaned


def _within_a_year(moment: datetime) -> None:
    now = timezone.now()
    if moment <= now:
        raise InvalidError("The end must lie in the future.", field="valid_until")
    if moment > now + timedelta(days=MAX_DAYS):
        raise InvalidError(f"A statement counts {MAX_DAYS} days at most; sign it anew then.", field="valid_until")


def _current(control: Control) -> None:
    newest = Catalogue.objects.filter(key=control.catalogue.key).order_by("-number").values_list("pk", flat=True)[0]
    if newest != control.catalogue_id:
        raise ConflictError(f"{control.catalogue.title} has a newer version; sign on the control as it stands there.")


def _not_ended(attestation: Attestation) -> None:
    state = attestations.status(attestation)
    if state in ("withdrawn", "expired"):
        raise ConflictError(f"This attestation is {state} already; there is nothing to withdraw.")
