"""Throttles that every process shares: an attempt is counted before it is made.

Counting first means that many attempts at once get no more tries than one after the other, and that no lock is held
while a password is hashed. The counters stand in the database, so a restart does not forget them; their keys are keyed
digests, so they hold no name and no address.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from allauth.core.internal.httpkit import get_client_ip
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import salted_hmac

from security.identity.models import Attempts

KEPT = timedelta(days=1)


@dataclass(frozen=True)
class Limit:
    """At most ``most`` attempts of one kind under one key in ``seconds``."""

    purpose: str
    most: int
    seconds: int


PERSON = Limit("sign-in", most=5, seconds=900)  # wrong passwords for one name, known or not
ADDRESS = Limit("sign-in-address", most=50, seconds=900)  # wrong passwords from one address, whatever the name
SECOND_FACTOR = Limit("second-factor", most=5, seconds=900)
PASSWORD_AGAIN = Limit("password-again", most=5, seconds=900)  # inside a session
EXCHANGE = Limit("token-exchange-address", most=60, seconds=60)


class Answer(Enum):
    """Whether an attempt may be made; the first refusal of a window is told apart, so that it is recorded once."""

    GO = "go"
    REFUSED_NOW = "refused now"
    REFUSED = "refused"


def take(limit: Limit, whose: str) -> Answer:
    """Count one attempt, and say whether it may be made. Call it outside the transaction that may be rolled back."""
    window = timedelta(seconds=limit.seconds)
    with transaction.atomic():
        row, made = Attempts.objects.get_or_create(key=_key(limit, whose))
        if made:
            Attempts.objects.filter(started_at__lt=timezone.now() - KEPT).delete()
        row = Attempts.objects.select_for_update().get(pk=row.pk)
        now = timezone.now()  # after the lock, so that waiting does not count as a clock that was set back
        if not -window < now - row.started_at < window:
            row.count, row.started_at = 0, now
        row.count += 1
        row.save(update_fields=["count", "started_at"])
    if row.count <= limit.most:
        return Answer.GO
    return Answer.REFUSED_NOW if row.count == limit.most + 1 else Answer.REFUSED


def give_back(limit: Limit, whose: str) -> None:
    """The attempt was right: it does not count."""
    with transaction.atomic():
        row = Attempts.objects.select_for_update().filter(key=_key(limit, whose), count__gt=0).first()
        if row is not None:
            row.count -= 1
            row.save(update_fields=["count"])


def clear(limit: Limit, whose: str) -> None:
    """Forget the attempts under a key."""
    Attempts.objects.filter(key=_key(limit, whose)).delete()


def address_of(request: HttpRequest) -> str:
    """The client's address: the one that the last of our own proxies saw, never one that a client names itself."""
    return get_client_ip(request) or "unknown"


def _key(limit: Limit, whose: str) -> str:
    return f"{limit.purpose}:{salted_hmac('countersign.throttle', whose, algorithm='sha256').hexdigest()[:40]}"
