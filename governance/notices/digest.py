"""The digest: what a person has not read, by e-mail, at most once a day."""

from __future__ import annotations

import logging
from datetime import timedelta
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.db.models import F, Max, Q
from django.utils import timezone

from governance.notices import selectors
from governance.notices.models import Digest, Notice
from security.identity.models import User

MAX_LINES = 50
EVERY = timedelta(hours=20)  # less than the day between two beats
log = logging.getLogger(__name__)


def send() -> dict[str, int]:
    """Send each person with an address what is new and unread; ``{"sent", "failed"}``. Without ``EMAIL_URL``: nothing.

    What was sent once is not sent again, read or not; a mail that the server refuses is tried the next time.
    """
    counts = {"sent": 0, "failed": 0}
    if not settings.EMAIL_CONFIGURED:
        return counts
    people = list(_people())
    with get_connection() as mail:
        for person in people:
            counts["sent" if _send_one(person, mail) else "failed"] += 1
    return counts


def _people() -> list[User]:
    """Active people with an address, and something unread that no digest has told them."""
    last = timezone.now() - EVERY
    rows = User.objects.filter(is_active=True, is_service=False).exclude(email="")
    rows = rows.annotate(newest=Max("notices__index", filter=Q(notices__read_at=None))).filter(newest__isnull=False)
    fresh = Q(digest=None) | Q(digest__sent_at=None) | Q(digest__sent_at__lt=last, digest__up_to__lt=F("newest"))
    return list(rows.filter(fresh).select_related("digest").order_by("username"))


def _send_one(person: User, mail: object) -> bool:
    digest = getattr(person, "digest", None) or Digest(user=person)
    rows = list(
        Notice.objects.filter(recipient=person, read_at=None, index__gt=digest.up_to)
        .select_related("event")
        .order_by("-index")[: MAX_LINES + 1]
    )
    message = EmailMessage(
        subject=f"Countersign: {len(rows) if len(rows) <= MAX_LINES else f'more than {MAX_LINES}'} new for you",
        body=_body(person, rows),
        to=[person.email],
        connection=mail,  # type: ignore[arg-type]  # what get_connection gave
    )
    try:
        message.send()
    except (SMTPException, OSError) as error:
        log.warning("the digest of %s was not sent (%s)", person.pk, type(error).__name__)
        return False
    digest.up_to, digest.sent_at = rows[0].index, timezone.now()
    digest.save()
    return True


def _body(person: User, rows: list[Notice]) -> str:
    """Plain text; the names in it were typed by people, so each stays on its line."""
    said = selectors.lines(rows[:MAX_LINES])
    base = settings.PUBLIC_URL.rstrip("/")
    lines = [f"{person.full_name},", "", "this happened since the last digest and you have not read it:", ""]
    for line in said:
        text = " ".join(line.text.split())
        lines.append(f"- {line.at:%Y-%m-%d %H:%M} UTC  {text}" + (f"\n  {base}{line.url}" if base and line.url else ""))
    if len(rows) > MAX_LINES:
        lines.append("- and more")
    lines += ["", f"All of it: {base}/inbox/" if base else "All of it is in your inbox in Countersign."]
    return "\n".join(lines) + "\n"
