"""Second factors: an authenticator app (TOTP, RFC 6238), passkeys (WebAuthn level 3), recovery codes.

Enrolling and removing take the password in the same request, so that a session that was left open is not enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from allauth.core.internal.cryptokit import normalize_user_code
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, validate_totp_code
from allauth.mfa.utils import decrypt
from allauth.mfa.webauthn.internal.auth import WebAuthn, get_credentials
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from fido2.server import Fido2Server
from fido2.webauthn import (
    AuthenticationResponse,
    PublicKeyCredentialRpEntity,
    PublicKeyCredentialUserEntity,
    RegistrationResponse,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError, MissingError, ThrottledError
from security.identity import throttle
from security.identity.models import UsedCode, User
from security.identity.throttle import SECOND_FACTOR, Answer
from security.log.events import Event
from security.log.services import record

TYPES = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
NAMES = {"totp": "Authenticator app", "webauthn": "Passkey", "recovery_codes": "Recovery codes"}
MAX_PASSKEYS = 10
CHALLENGE_SECONDS = 300


@dataclass(frozen=True)
class Challenge:
    """What a passkey is asked to sign: ``options`` for the browser, ``state`` for the session, used once."""

    options: dict[str, Any]
    state: dict[str, Any]


@dataclass(frozen=True)
class PasskeyAnswer:
    """A browser's answer to a challenge, and the state that the session kept for it."""

    response: Mapping[str, Any]
    state: Mapping[str, Any]


@dataclass(frozen=True)
class Checked:
    """A factor that was proven: ``totp``, ``recovery_codes`` or ``webauthn``; whether the device verified its user."""

    type: str
    user_verified: bool = False


def factors(user: User) -> list[Authenticator]:
    """What the person has enrolled, recovery codes included, oldest first."""
    return list(Authenticator.objects.filter(user=user).order_by("created_at", "pk"))


def is_enrolled(user: User) -> bool:
    """Whether the person has a second factor (recovery codes alone are none)."""
    return bool(Authenticator.objects.filter(user=user, type__in=TYPES).exists())


def require_enrolled(user: User) -> None:
    """Raise DeniedError where this installation asks signers and administrators for a second factor they lack."""
    if settings.REQUIRE_MFA and user.acting_token is None and not is_enrolled(user):
        raise DeniedError(
            "This needs a second factor, and you have none: enrol an authenticator app or a passkey under Settings, "
            "Second factor.",
            extra={"enrol": "/settings/second-factor/"},
        )


# ------------------------------------------------------------------------------------------------------- proving


def check(user: User, *, code: str = "", passkey: PasskeyAnswer | None = None) -> Checked:
    """The factor that this code or passkey proves.

    After five wrong ones within 15 minutes even a right one is refused for a while. A wrong one is on record in a
    transaction of its own. Raises InvalidError (wrong, or neither was given), ThrottledError.
    """
    if passkey is None and not code.strip():
        raise InvalidError("Give the code of your authenticator app, a recovery code, or use a passkey.", field="code")
    answer = throttle.take(SECOND_FACTOR, str(user.pk))
    if answer is not Answer.GO:
        raise ThrottledError(
            "Too many wrong codes; try again in 15 minutes.", retry_after=SECOND_FACTOR.seconds, field="code"
        )
    found = _check_passkey(user, passkey) if passkey is not None else _check_code(user, code)
    if found is None:
        with transaction.atomic():
            record(Event.SECOND_FACTOR_FAILED, acting_user=user, subject=urn("user", user.pk))
        raise InvalidError("This code or passkey is not right, or was used before.", field="code")
    throttle.clear(SECOND_FACTOR, str(user.pk))
    return found


def _check_code(user: User, code: str) -> Checked | None:
    for row in Authenticator.objects.filter(user=user).exclude(type=Authenticator.Type.WEBAUTHN).order_by("-type"):
        if row.type == Authenticator.Type.TOTP:
            good = validate_totp_code(decrypt(row.data["secret"]), code) and _first_use(user, code)
        else:
            good = row.wrap().validate_code(code)
        if good:
            row.record_usage()
            return Checked(str(row.type))
    return None


def _first_use(user: User, code: str) -> bool:
    """Whether this code was not used before, by any process; codes repeat by chance after a while, so old ones go."""
    UsedCode.objects.filter(user=user, used_at__lt=timezone.now() - timedelta(minutes=5)).delete()
    digest = salted_hmac("countersign.used-code", normalize_user_code(code), algorithm="sha256").hexdigest()
    return bool(UsedCode.objects.get_or_create(user=user, digest=digest)[1])


def ask_passkey(user: User, host: str) -> Challenge | None:
    """A challenge for the person's passkeys at this host (RP ID); None without passkeys."""
    credentials = get_credentials(user)
    if not credentials:
        return None
    preferred = UserVerificationRequirement.PREFERRED
    options, state = _server(host).authenticate_begin(credentials, user_verification=preferred)
    return Challenge(dict(options), {**state, "host": host, "at": time.time(), "for": str(user.pk)})


def _check_passkey(user: User, answer: PasskeyAnswer) -> Checked | None:
    """WebAuthn level 3 §7.2 by python-fido2: challenge, origin, RP ID, user presence, signature."""
    state = dict(answer.state)
    if state.pop("for", "") != str(user.pk) or time.time() - float(state.pop("at", 0)) > CHALLENGE_SECONDS:
        return None
    host = str(state.pop("host", ""))
    try:
        response = AuthenticationResponse.from_dict(dict(answer.response))
        used = _server(host).authenticate_complete(state, get_credentials(user), response)
        verified = response.response.authenticator_data.is_user_verified()
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    for row in Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN):
        data = WebAuthn(row).authenticator_data.credential_data
        if data is not None and data.credential_id == used.credential_id:
            row.record_usage()
            return Checked("webauthn", user_verified=verified)
    return None


# ----------------------------------------------------------------------------------------------------- enrolling


def totp_address(user: User, secret: str) -> str:
    """The ``otpauth:`` address that an authenticator app reads from a picture."""
    return str(get_adapter().build_totp_url(user, secret))


@transaction.atomic
def enrol_totp(*, acting_user: User, secret: str, code: str) -> list[str]:
    """Enrol an authenticator app that shows ``code`` for ``secret``; the recovery codes, if these are the first.

    The caller has checked the password. Raises InvalidError (code), ConflictError (there is one).
    """
    _lock(acting_user)
    if Authenticator.objects.filter(user=acting_user, type=Authenticator.Type.TOTP).exists():
        raise ConflictError("You have an authenticator app already; remove it first.")
    if not validate_totp_code(secret, code) or not _first_use(acting_user, code):
        raise InvalidError("The app shows another code now; check that the clocks of both agree.", field="code")
    return _enrolled(acting_user, TOTP.activate(acting_user, secret).instance)


def ask_new_passkey(user: User, host: str) -> Challenge:
    """What a browser needs to make a passkey for this person at this host."""
    entity = PublicKeyCredentialUserEntity(**get_adapter().get_public_key_credential_user_entity(user))
    options, state = _server(host).register_begin(
        entity,
        get_credentials(user),
        resident_key_requirement=ResidentKeyRequirement.PREFERRED,
        user_verification=UserVerificationRequirement.PREFERRED,
    )
    return Challenge(dict(options), {**state, "host": host, "at": time.time(), "for": str(user.pk)})


@transaction.atomic
def enrol_passkey(*, acting_user: User, name: str, answer: PasskeyAnswer) -> list[str]:
    """Enrol a passkey; the recovery codes, if these are the first. The caller has checked the password.

    Raises InvalidError (the answer does not fit the challenge), ConflictError (ten there already).
    """
    _lock(acting_user)
    if Authenticator.objects.filter(user=acting_user, type=Authenticator.Type.WEBAUTHN).count() >= MAX_PASSKEYS:
        raise ConflictError(f"You have {MAX_PASSKEYS} passkeys; remove one first.")
    state = dict(answer.state)
    if state.pop("for", "") != str(acting_user.pk) or time.time() - float(state.pop("at", 0)) > CHALLENGE_SECONDS:
        raise InvalidError("That took too long; try again.", field="credential")
    host = str(state.pop("host", ""))
    try:
        response = RegistrationResponse.from_dict(dict(answer.response))
        _server(host).register_complete(state, response)
    except (ValueError, TypeError, KeyError, AttributeError):
        raise InvalidError("The browser's answer does not fit what was asked.", field="credential") from None
    made = WebAuthn.add(acting_user, (name.strip() or "Passkey")[:60], dict(answer.response))
    return _enrolled(acting_user, made.instance)


def _enrolled(user: User, row: Authenticator) -> list[str]:
    """Put it on record, and make recovery codes for a first factor."""
    payload = {"type": str(row.type), "id": row.pk}
    record(Event.SECOND_FACTOR_ADDED, acting_user=user, subject=urn("user", user.pk), payload=payload)
    if Authenticator.objects.filter(user=user, type=Authenticator.Type.RECOVERY_CODES).exists():
        return []
    return new_recovery_codes(acting_user=user)


@transaction.atomic
def new_recovery_codes(*, acting_user: User) -> list[str]:
    """Ten new codes, each good once; earlier ones end. Raises ConflictError without another factor."""
    if not is_enrolled(acting_user):
        raise ConflictError("Recovery codes stand in for a second factor; enrol one first.")
    Authenticator.objects.filter(user=acting_user, type=Authenticator.Type.RECOVERY_CODES).delete()
    made = RecoveryCodes.activate(acting_user)
    record(Event.RECOVERY_CODES_MADE, acting_user=acting_user, subject=urn("user", acting_user.pk))
    return list(made.get_unused_codes())


@transaction.atomic
def remove(*, acting_user: User, factor_id: int) -> None:
    """Remove one of one's own factors; with the last, the recovery codes go. The caller has checked the password."""
    _lock(acting_user)
    row = Authenticator.objects.filter(user=acting_user, pk=factor_id, type__in=TYPES).first()
    if row is None:
        raise MissingError("There is no such second factor of yours.")
    _remove(acting_user, acting_user, row)
    if not is_enrolled(acting_user):
        Authenticator.objects.filter(user=acting_user).delete()


@transaction.atomic
def reset(*, acting_user: User, user: User) -> int:
    """Take away every factor of somebody who has lost theirs; how many. The caller has checked MANAGE_PEOPLE.

    Whoever does this could then enrol one of their own, so it counts as setting the person's credentials.
    """
    if acting_user.pk == user.pk:
        raise DeniedError("Nobody resets their own second factor; ask another administrator.")
    rows = factors(user)
    if not rows:
        raise ConflictError(f"{user.full_name} has no second factor.")
    for row in rows:
        _remove(acting_user, user, row)
    user.set_given_by(acting_user)
    return len(rows)


def _remove(acting_user: User, user: User, row: Authenticator) -> None:
    payload = {"type": str(row.type), "id": row.pk}
    row.delete()
    record(Event.SECOND_FACTOR_REMOVED, acting_user=acting_user, subject=urn("user", user.pk), payload=payload)


def _lock(user: User) -> None:
    User.objects.select_for_update().get(pk=user.pk)


def _server(host: str) -> Fido2Server:
    return Fido2Server(PublicKeyCredentialRpEntity(id=host, name="Countersign"))
