"""The door: which sign-ins may be tried, and what is put on record about them.

The name that was tried is never recorded, since people type passwords there; a known person's id is. Failures are
bounded by the throttles, so that nobody fills the log from outside: after a lockout one event tells of it, and nothing
more is written until the window ends.
"""

from __future__ import annotations

from django.db import transaction
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from security.canonical import urn
from security.errors import ThrottledError
from security.identity import throttle
from security.identity.models import User
from security.identity.throttle import ADDRESS, PERSON, Answer
from security.log.events import Event
from security.log.services import record

_WORDS = "Too many attempts. Wait 15 minutes, or ask an administrator if it was not you who tried."


def knock(request: HttpRequest, username: str) -> None:
    """Count an attempt to sign in. Raises ThrottledError when the name or the address has had too many."""
    address = throttle.address_of(request)
    from_here = throttle.take(ADDRESS, address)
    if from_here is not Answer.GO:
        if from_here is Answer.REFUSED_NOW:
            _record(Event.ADDRESS_THROTTLED, subject=urn("address", _pseudonym(address)))
        raise ThrottledError(_WORDS, retry_after=ADDRESS.seconds)
    for_name = throttle.take(PERSON, _name(username))
    if for_name is not Answer.GO:
        if for_name is Answer.REFUSED_NOW:
            _record(Event.USER_LOCKED_OUT, subject=_subject(username))
        raise ThrottledError(_WORDS, retry_after=PERSON.seconds)


def opened(request: HttpRequest, user: User) -> None:
    """The password was right: the attempt does not count, and the name starts afresh."""
    throttle.give_back(ADDRESS, throttle.address_of(request))
    throttle.clear(PERSON, _name(user.username))


def refused(username: str) -> None:
    """The password was wrong."""
    _record(Event.USER_SIGN_IN_FAILED, subject=_subject(username))


def _record(event: Event, *, subject: str) -> None:
    with transaction.atomic():
        record(event, acting_user=None, subject=subject)


def _subject(username: str) -> str:
    known = User.objects.filter(username=_name(username)).values_list("pk", flat=True).first()
    return urn("user", known) if known else urn("user", "unknown")


def _name(username: str) -> str:
    return username.strip().replace("\0", "")[:63].lower()


def _pseudonym(address: str) -> str:
    """The same for the same address in this installation, and of no use outside of it."""
    return salted_hmac("countersign.address", address, algorithm="sha256").hexdigest()[:16]
