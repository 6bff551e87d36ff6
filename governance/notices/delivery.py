"""Sending what webhooks are told, with patience: each attempt is claimed first, made outside any transaction."""

from __future__ import annotations

import logging
import time
from datetime import timedelta

import requests
from django.db.models import F
from django.utils import timezone

from governance.notices import services, signatures
from governance.notices.models import Delivery, DeliveryState
from security.errors import ServiceError

AT_ONCE = 50
MAX_ATTEMPTS = 12  # with the pauses below, within about a day and a half
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=10), timedelta(hours=6)
CLAIM = timedelta(minutes=2)  # after that another worker may try: the first one died
TIMEOUT = (5, 10)  # seconds to connect, and between two bytes
_ANSWER_BYTES = 1024
log = logging.getLogger(__name__)


def deliver(limit: int = AT_ONCE) -> dict[str, int]:
    """Send what is due, oldest first; returns how many were ``delivered``, will be tried ``later``, and ``failed``."""
    due = Delivery.objects.filter(state=DeliveryState.PENDING, next_at__lte=timezone.now())
    counts = {"delivered": 0, "later": 0, "failed": 0}
    rows = due.select_related("webhook__system").order_by("next_at", "index")[:limit]
    for row in list(rows):
        if _claim(row):
            counts[_attempt(row)] += 1
    return counts


def pause_after(attempts: int) -> timedelta:
    """How long to wait after so many attempts: 10 s, doubling, at most six hours."""
    doublings = 2.0 ** max(attempts - 1, 0)
    return min(FIRST_PAUSE * doublings, LONGEST_PAUSE)


def _claim(row: Delivery) -> bool:
    """Whether this worker makes the attempt: whoever moved the time on first."""
    mine = Delivery.objects.filter(pk=row.pk, state=DeliveryState.PENDING, next_at=row.next_at)
    return bool(mine.update(next_at=timezone.now() + CLAIM, attempts=F("attempts") + 1))


def _attempt(row: Delivery) -> str:
    attempts = row.attempts + 1
    status, problem = _send(row)
    changes: dict[str, object] = {"answered": status, "problem": problem[:200]}
    outcome = "delivered" if not problem else "later" if attempts < MAX_ATTEMPTS else "failed"
    if outcome == "delivered":
        changes |= {"state": DeliveryState.DELIVERED, "delivered_at": timezone.now()}
    elif outcome == "failed":
        changes["state"] = DeliveryState.FAILED
        log.warning("delivery %s is given up after %s attempts: %s", row.pk, attempts, problem)
    else:
        changes["next_at"] = timezone.now() + pause_after(attempts)
    Delivery.objects.filter(pk=row.pk, state=DeliveryState.PENDING).update(**changes)
    return outcome


def _send(row: Delivery) -> tuple[int | None, str]:
    """One POST; ``(status, "")`` when it was taken. A redirect is not followed: it could lead anywhere."""
    try:
        url = services.allowed_url(row.webhook.url)  # the operators may have changed their list
        signed = signatures.headers(services.secret_of(row.webhook), str(row.pk), int(time.time()), row.body)
        with requests.post(
            url,
            data=row.body.encode(),
            headers={"Content-Type": "application/json", "User-Agent": "Countersign", **signed},
            timeout=TIMEOUT,
            allow_redirects=False,
            stream=True,
        ) as answer:
            answer.raw.read(_ANSWER_BYTES, decode_content=False)
            status = answer.status_code
    except ServiceError as error:
        return None, error.message
    except requests.RequestException as error:
        return None, f"the host does not answer ({type(error).__name__})"
    except Exception as error:
        log.exception("delivery %s", row.pk)
        return None, f"the attempt broke off ({type(error).__name__})"
    return status, "" if 200 <= status < 300 else f"the host answered {status}"
