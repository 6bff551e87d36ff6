"""How many requests one token, person or address may make in a minute.

The counters live in Django's cache, one atomic increment a request: with a shared cache (``CACHE_URL``) they hold for
all processes together, with the embedded one for each process by itself. Sign-in has its own, stricter throttles in the
database (``security.identity.throttle``).
"""

from __future__ import annotations

import time

from django.conf import settings
from django.core.cache import cache
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from security.errors import ThrottledError
from security.identity.models import ApiToken, User
from security.identity.throttle import address_of

WINDOW_SECONDS = 60
_ADDRESS_SHARE = 4  # strangers share addresses, but have no business here


def spend(who: str, most: int) -> float:
    """Count one request of ``who``; 0 when it may be made, otherwise the seconds to wait."""
    now = time.time()
    window = int(now // WINDOW_SECONDS)
    key = f"rate:{who}:{window}"
    cache.add(key, 0, 2 * WINDOW_SECONDS)
    try:
        used = cache.incr(key)
    except ValueError:  # it fell out of the cache between the two
        return 0.0
    return 0.0 if used <= most else (window + 1) * WINDOW_SECONDS - now


def spend_page(user: User) -> None:
    """Count a page of a signed-in person. Raises ThrottledError."""
    wait = spend(f"page:{user.pk}", settings.PAGES_PER_MINUTE)
    if wait:
        raise ThrottledError("Too many pages in a minute; wait a little.", retry_after=int(wait) + 1)


class PerToken(BaseThrottle):
    """By the token, else by the person, else by the address."""

    _wait = 0.0

    def allow_request(self, request: Request, view: object) -> bool:
        most = settings.API_REQUESTS_PER_MINUTE
        if isinstance(request.auth, ApiToken):
            who = f"token:{request.auth.pk}"
        elif isinstance(request.user, User):
            who = f"person:{request.user.pk}"
        else:
            who, most = f"address:{address_of(request._request)}", most // _ADDRESS_SHARE
        self._wait = spend(who, most)
        return not self._wait

    def wait(self) -> float | None:
        return self._wait + 1 if self._wait else None
