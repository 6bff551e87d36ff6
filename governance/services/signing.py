"""Signing: a person proves again that it is them, right before what they sign, by all the factors that they have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from security.canonical import urn
from security.errors import DeniedError, InvalidError
from security.identity import second_factor
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.services import record

MAX_WRONG = 5
WINDOW = timedelta(minutes=15)


@dataclass(frozen=True)
class Proven:
    """When a person proved that it is them, and by what: ``password``, ``password+totp``, ``password+recovery``,
    ``password+passkey``, or ``passkey`` alone (which then has verified its user)."""

    at: datetime
    method: str


_METHODS = {"totp": "password+totp", "recovery_codes": "password+recovery", "webauthn": "password+passkey"}


def require_a_person(acting_user: User) -> None:
    """Raise DeniedError for tokens and services, and for whoever lacks the second factor that signing takes here."""
    if acting_user.acting_token is not None or acting_user.is_service:
        raise DeniedError("Only a person who signs in on the pages can sign; a token or a service cannot.")
    if acting_user.must_change_password:
        raise DeniedError("Somebody else has chosen your password: choose your own before you sign.")
    second_factor.require_enrolled(acting_user)


def reauthenticate(
    acting_user: User,
    password: str,
    *,
    subject: str,
    system: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> Proven:
    """Check password and second factor again.

    Whoever has enrolled a second factor signs with it. A person without a password (who signs in through a provider)
    signs with a passkey whose device has verified them, which is two factors in one.

    A wrong password is recorded in a transaction of its own, which stays although nothing else happens; after five
    wrong ones within 15 minutes even the right one is refused for a while. Attempts of one person run one after the
    other, so that many at once do not get more guesses. Raises DeniedError.
    """
    require_a_person(acting_user)
    if not acting_user.has_usable_password():
        return _by_passkey_alone(acting_user, passkey)
    _check_password(acting_user, password, subject=subject, system=system)
    if not second_factor.is_enrolled(acting_user):
        return Proven(timezone.now(), "password")
    return Proven(timezone.now(), _METHODS[_checked(acting_user, code, passkey).type])


def _check_password(acting_user: User, password: str, *, subject: str, system: str) -> None:
    with transaction.atomic():
        person = User.objects.select_for_update().get(pk=acting_user.pk)
        blocked = _wrong_attempts(person) >= MAX_WRONG
        good = not blocked and person.is_active and person.check_password(password)
        if not good:
            payload = {"reason": "too many wrong passwords" if blocked else "wrong password", "person": str(person.pk)}
            event = Event.SIGNATURE_BLOCKED if blocked else Event.SIGNATURE_REFUSED
            record(event, acting_user=person, subject=subject, system=system, payload=payload)
    if blocked:
        raise DeniedError(
            "Too many wrong passwords: nothing can be signed under your name for up to 15 minutes.", field="password"
        )
    if not good:
        raise DeniedError("The password is not right; nothing was signed.", field="password")


def _by_passkey_alone(acting_user: User, passkey: PasskeyAnswer | None) -> Proven:
    if passkey is None:
        raise DeniedError("You have no password here, so you sign with a passkey: enrol one under Settings.")
    if not _checked(acting_user, "", passkey).user_verified:
        raise DeniedError("Your passkey's device did not verify you (PIN or fingerprint); nothing was signed.")
    return Proven(timezone.now(), "passkey")


def _checked(acting_user: User, code: str, passkey: PasskeyAnswer | None) -> second_factor.Checked:
    try:
        return second_factor.check(acting_user, code=code, passkey=passkey)
    except InvalidError as error:
        raise DeniedError(f"{error.message} Nothing was signed.", field="code") from None


def require_two_people(voter: User, method: str, *, builders: set[User], others: dict[User, str]) -> None:
    """Raise DeniedError where one hand may hold two of the names that a four-eyes decision needs.

    ``builders`` had a hand in the model; ``others`` maps those who have signed to how they did. Whoever set a person's
    password, took away their second factor or linked an account to them could act as them, and counts as their hand
    for ``CREDENTIALS_DAYS``, unless the person proved themselves with a second factor. A builder proved nothing here.
    """
    mine = _hands(voter, method)
    for person, how in [*((one, "") for one in builders), *others.items()]:
        shared = mine & _hands(person, how)
        if shared and person != voter:  # that nobody decides on what they built is another rule, held elsewhere
            raise DeniedError(_one_hand(voter, person, shared))


def _hands(person: User, method: str) -> set[UUID]:
    """Whoever may have acted under this person's name."""
    since = timezone.now() - timedelta(days=settings.CREDENTIALS_DAYS)
    proven = method not in ("", "password")
    given = person.credentials_by_id if person.credentials_at is not None and person.credentials_at > since else None
    return {person.pk} if proven or given is None else {person.pk, given}


def _one_hand(voter: User, other: User, shared: set[UUID]) -> str:
    giver = User.objects.filter(pk__in=shared).first()
    return (
        f"{giver} has set credentials of {voter if voter.pk not in shared else other} within the last "
        f"{settings.CREDENTIALS_DAYS} days, so {voter} and {other} may be one person here. Sign with a second factor "
        "of your own (Settings, Second factor), or let somebody else decide."
    )


def _wrong_attempts(person: User) -> int:
    recent = AuditEvent.objects.filter(time__gt=timezone.now() - WINDOW, event=Event.SIGNATURE_REFUSED)
    return recent.filter(actor=urn("user", person.pk)).count()
