"""Every change of people and tokens."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity import second_factor, sessions, throttle
from security.identity.models import ApiToken, User
from security.identity.throttle import PASSWORD_AGAIN, Answer
from security.log.events import Event
from security.log.services import record

TOKEN_SCOPES = ("read", "run", "submit", "export", "risk")
MAX_TOKEN_DAYS = 366
REFUSAL_EVERY = timedelta(hours=1)


@transaction.atomic
def create_user(
    *,
    acting_user: User | None,
    username: str,
    full_name: str,
    password: str | None,
    email: str = "",
    is_service: bool = False,
) -> User:
    """Create a person, or a service that cannot sign in. The caller has checked that ``acting_user`` may.

    ``acting_user`` None: from the machine's command line. A password that somebody else has chosen must be changed at
    the first sign-in. Raises InvalidError naming the field, DeniedError (a second factor is asked of administrators).
    """
    if acting_user is not None:
        second_factor.require_enrolled(acting_user)
    user = User(username=username.lower(), full_name=full_name, email=email, is_service=is_service)
    if password is None or is_service:
        user.set_unusable_password()
    else:
        _check_password(password, user)
        user.set_password(password)
        _given_by(acting_user, user)
    try:
        user.full_clean()
    except ValidationError as error:
        field, messages = next(iter(error.message_dict.items()))
        raise InvalidError(" ".join(messages), field=field) from None
    user.save(force_insert=True)
    payload = {"service": is_service}
    record(Event.USER_CREATED, acting_user=acting_user, subject=urn("user", user.id), payload=payload)
    return user


@transaction.atomic
def deactivate_user(*, acting_user: User, user: User) -> User:
    """Stop a person from signing in, end their tokens and sessions. The caller has checked that ``acting_user`` may."""
    second_factor.require_enrolled(acting_user)
    if acting_user.pk == user.pk:
        raise DeniedError("Nobody deactivates themselves; ask another administrator.")
    if not user.is_active:
        raise ConflictError(f"{user.full_name} is not active.")
    user.is_active = False
    user.save(update_fields=["is_active"])
    record(Event.USER_DEACTIVATED, acting_user=acting_user, subject=urn("user", user.id))
    for token in user.tokens.select_for_update().filter(revoked_at=None):
        _end_token(acting_user, token, {"why": "deactivated"})
    sessions.end_all(acting_user=acting_user, user=user, why="deactivated")
    return user


@transaction.atomic
def change_password(*, acting_user: User, user: User, password: str, keep_session: str | None = None) -> User:
    """Set a new password; every session but ``keep_session`` ends. Raises InvalidError when it is too weak."""
    _check_password(password, user)
    user.set_password(password)
    _given_by(acting_user, user)
    user.save(update_fields=["password", "must_change_password", "credentials_by", "credentials_at"])
    record(Event.USER_PASSWORD_CHANGED, acting_user=acting_user, subject=urn("user", user.id))
    sessions.end_all(acting_user=acting_user, user=user, but=keep_session, why="password")
    return user


def reset_password(*, acting_user: User, user: User, password: str) -> User:
    """Set somebody else's password, who must change it at their next sign-in. The caller has checked MANAGE_PEOPLE.

    Raises DeniedError (one's own, no second factor), ConflictError (a service), InvalidError (too weak).
    """
    second_factor.require_enrolled(acting_user)
    if acting_user.pk == user.pk:
        raise DeniedError("Change your own password under Settings.")
    if user.is_service or not user.is_active:
        raise ConflictError(f"{user.full_name} does not sign in.")
    with transaction.atomic():
        record(Event.USER_PASSWORD_RESET, acting_user=acting_user, subject=urn("user", user.id))
        return change_password(acting_user=acting_user, user=user, password=password)


def end_sessions(*, acting_user: User, user: User) -> int:
    """Sign somebody out everywhere; of how many sessions. The caller has checked MANAGE_PEOPLE."""
    second_factor.require_enrolled(acting_user)
    return sessions.end_all(acting_user=acting_user, user=user, why="administrator")


def reset_second_factor(*, acting_user: User, user: User) -> int:
    """Take away a lost second factor. The caller has checked MANAGE_PEOPLE. See ``second_factor.reset``."""
    second_factor.require_enrolled(acting_user)
    return second_factor.reset(acting_user=acting_user, user=user)


def _given_by(acting_user: User | None, user: User) -> None:
    """Note whose choice the password is; the command line's counts as the person's own.

    A person who chooses their own password keeps the note of who gave them the first: for a while that hand stays on
    record (``governance`` asks for it when two people must decide).
    """
    other = acting_user is not None and acting_user.pk != user.pk
    user.must_change_password = other
    if other:
        user.credentials_by, user.credentials_at = acting_user, timezone.now()


def change_own_password(*, acting_user: User, current: str, password: str, keep_session: str | None = None) -> User:
    """Set one's own new password after proving the current one. Raises InvalidError (current, password)."""
    check_password_again(acting_user, current, field="current")
    if current == password:
        raise InvalidError("That is the password you have now; take another.", field="password")
    return change_password(acting_user=acting_user, user=acting_user, password=password, keep_session=keep_session)


def check_password_again(user: User, password: str, *, field: str = "password") -> None:
    """The password, asked again inside a session. Raises InvalidError.

    A wrong one is on record, and after five within 15 minutes even the right one is refused for a while: an open
    session is no place to guess the password that signs.
    """
    if throttle.take(PASSWORD_AGAIN, str(user.pk)) is not Answer.GO:
        raise InvalidError("Too many wrong passwords; try again in 15 minutes.", field=field)
    if not user.check_password(password):
        with transaction.atomic():
            record(Event.USER_SIGN_IN_FAILED, acting_user=user, subject=urn("user", user.id))
        raise InvalidError("This is not your password now.", field=field)
    throttle.clear(PASSWORD_AGAIN, str(user.pk))


@transaction.atomic
def create_token(
    *, acting_user: User, user: User, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Create a token for oneself, or for a service one administers; returns it with the text shown only once.

    Raises InvalidError (no name, unknown scope, no scope, end in the past or more than a year away).
    """
    if acting_user.acting_token is not None:
        raise DeniedError("A token cannot make tokens; sign in on the pages.")
    if acting_user.pk != user.pk and not user.is_service:
        raise DeniedError("A token acts for its owner, so only the owner makes it.")
    unknown = sorted(set(scopes) - set(TOKEN_SCOPES))
    if unknown or not scopes:
        wrong = f"No scope {unknown[0]!r}" if unknown else "No scope chosen"
        raise InvalidError(f"{wrong}; there are {', '.join(TOKEN_SCOPES)}.", field="scopes")
    if not name.strip():
        raise InvalidError("A token needs a name that says what it is for.", field="name")
    expires_at = expires_at or timezone.now() + timedelta(days=90)
    if not timezone.now() < expires_at <= timezone.now() + timedelta(days=MAX_TOKEN_DAYS):
        raise InvalidError(f"A token ends in the future, within {MAX_TOKEN_DAYS} days.", field="expires_at")
    token, text = mint(user=user, name=name.strip()[:80], scopes=scopes, expires_at=expires_at)
    payload = {"scopes": token.scopes, "expires": expires_at.isoformat(), "for": str(user.id)}
    record(Event.TOKEN_CREATED, acting_user=acting_user, subject=urn("token", token.id), payload=payload)
    return token, text


def mint(
    *, user: User, name: str, scopes: list[str], expires_at: datetime, system: Model | None = None
) -> tuple[ApiToken, str]:
    """The row of a new token and its text. Only for services that check who asks and record it."""
    key, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    token = ApiToken.objects.create(
        user=user,
        name=name,
        key=key,
        secret_sha256=_secret_sha256(secret),
        scopes=sorted(set(scopes)),
        expires_at=expires_at,
        system_id=system.pk if system is not None else None,
    )
    return token, f"cs_{key}_{secret}"


@transaction.atomic
def revoke_token(*, acting_user: User, token: ApiToken) -> ApiToken:
    """End a token now. The caller has checked that it is one's own or that ``acting_user`` manages people."""
    token = ApiToken.objects.select_for_update().get(pk=token.pk)
    if token.revoked_at is not None:
        raise ConflictError("This token has been revoked already.")
    _end_token(acting_user, token, {})
    return token


def _end_token(acting_user: User, token: ApiToken, payload: dict[str, str]) -> None:
    token.revoked_at = timezone.now()
    token.save(update_fields=["revoked_at"])
    record(Event.TOKEN_REVOKED, acting_user=acting_user, subject=urn("token", token.id), payload=payload)


def authenticate_token(text: str) -> ApiToken | None:
    """The live token with this text, its user marked as acting through it; None for anything else.

    The key finds the row and the secret is compared in constant time; a wrong key costs the same hash.
    """
    prefix, _, rest = text.partition("_")
    key, _, secret = rest.partition("_")
    token = ApiToken.objects.select_related("user").filter(key=key).first() if prefix == "cs" else None
    stored = token.secret_sha256 if token else "0" * 64
    if not is_secret(secret, stored) or token is None:
        return None
    if token.state != "active" or not token.user.is_active:
        _note_refusal(token)
        return None
    _note_use(token)
    token.user.acting_token = token
    return token


def is_secret(given: str, stored_sha256: str) -> bool:
    """Whether a secret is the one whose SHA-256 is kept, in a time that does not tell how near it came."""
    return secrets.compare_digest(_secret_sha256(given), stored_sha256)


def _note_use(token: ApiToken) -> None:
    """Keep the time of last use to the minute, so that a busy token does not write at every call."""
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > timedelta(minutes=1):
        ApiToken.objects.filter(pk=token.pk).update(last_used_at=now)


def _note_refusal(token: ApiToken) -> None:
    """Put the use of a token after its end on record, at most once an hour: who holds it knows its secret."""
    now = timezone.now()
    with transaction.atomic():
        stale = ApiToken.objects.filter(pk=token.pk).exclude(refused_at__gt=now - REFUSAL_EVERY)
        if stale.update(refused_at=now):
            payload = {"state": token.state if token.state != "active" else "deactivated"}
            record(Event.TOKEN_REFUSED, acting_user=None, subject=urn("token", token.id), payload=payload)


def _secret_sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_password(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise InvalidError(" ".join(error.messages), field="password") from None
