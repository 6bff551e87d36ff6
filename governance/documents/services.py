"""Asking for a document and making it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from celery import current_app
from django.db import transaction
from django.db.models import Model
from django.utils import timezone

from governance.documents.facts import parts
from governance.documents.kinds import KINDS, Kind, noun_of
from governance.documents.models import Export, ExportState
from security.access import selectors as access
from security.access.table import Action
from security.canonical import parse_urn, urn
from security.errors import DeniedError, InvalidError, ServiceError, UnavailableError
from security.identity.models import User
from security.log import selectors as log
from security.log.events import Event
from security.log.services import record
from security.vault import services as vault
from security.vault.services import Stored

FORMAT = "countersign-document@1"
MAX_PURPOSE = 500
MAX_ATTEMPTS = 3
TASK = "documents.make"
STALE = timedelta(minutes=10)
_FAULT = "It could not be made: a fault of this program, which its operators find in the server's log."
logger = logging.getLogger(__name__)


def request(
    *, acting_user: User, kind: str, format: str, subject: str, purpose: str, **parameters: datetime | None
) -> Export:
    """Ask for a document about ``subject`` (a system's slug, the id of anything else) and say why.

    It is made at once, or by a worker where that may take longer than a second (``Kind.later``): then its state is
    ``waiting``. ``parameters``: the moments that the kind takes. Raises MissingError, DeniedError, InvalidError, and
    UnavailableError when it cannot be stored or set now.
    """
    asked = KINDS.get(kind)
    if asked is None:
        raise InvalidError(f"There is no document “{kind[:60]}”; there is {', '.join(KINDS)}.", field="kind")
    if format not in asked.formats:
        there = ", ".join(asked.formats)
        raise InvalidError(f"A {asked.title.lower()} has no format “{format[:60]}”; it has {there}.", field="format")
    text, moments = _purpose(purpose), _moments(asked, parameters)
    row = _subject(acting_user, asked, subject)
    export = _ask(acting_user, asked, format, row, text, moments)
    if asked.later:
        transaction.on_commit(lambda: send(export.pk))
        return export
    make(export.pk, raising=True)
    export.refresh_from_db()
    return export


def make(export_id: UUID | str, *, raising: bool = False) -> str:
    """Make a document that was asked for, and store it; returns its state. Does nothing for one that is not waiting.

    What is refused (the role of who asked has ended, the subject is erased) fails for good; another error leaves it to
    be tried again, ``MAX_ATTEMPTS`` times in all. ``raising``: any error fails it, and is raised.
    """
    export = _claim(export_id)
    if export is None:
        return "not waiting"
    kind = KINDS[export.kind]
    try:
        stored = _written(export, kind)
    except ServiceError as error:
        _fail(export, error.message, final=raising or not isinstance(error, UnavailableError))
        if raising:
            raise
        return str(ExportState.FAILED)
    except Exception:
        logger.exception("export %s could not be made", export.pk)
        _fail(export, _FAULT, final=raising)
        if raising:
            raise
        return str(ExportState.FAILED)
    return _keep(export, kind, stored)


def send(export_id: UUID) -> bool:
    """Tell a worker; False when the broker is away (``take_back`` tells one later)."""
    try:
        current_app.send_task(TASK, args=[str(export_id)], retry=False)
    except Exception as error:
        logger.warning("queue away (%s): export %s will be sent again", type(error).__name__, export_id)
        return False
    return True


def take_back() -> int:
    """Send again what waits without a worker having taken it, and what a dead worker holds; returns how many."""
    old = timezone.now() - STALE
    Export.objects.filter(state=ExportState.MAKING, claimed_at__lt=old).update(state=ExportState.WAITING)
    waiting = Export.objects.filter(state=ExportState.WAITING, requested_at__lt=timezone.now() - timedelta(minutes=1))
    found = list(waiting.order_by("requested_at").values_list("pk", flat=True)[:100])
    return sum(send(pk) for pk in found)


def _ask(
    acting_user: User, kind: Kind, format: str, row: Model, purpose: str, moments: Mapping[str, datetime]
) -> Export:
    system = access.system_of(row)
    with transaction.atomic():
        export = Export.objects.create(
            system=system,
            kind=kind.name,
            format=format,
            subject=urn(kind.noun.word, row.pk),
            label=kind.noun.label(row)[:200],
            parameters={name: parts.time(moment) for name, moment in moments.items()},
            purpose=purpose,
            requested_by=acting_user,
        )
        record(
            Event.EXPORT_REQUESTED,
            acting_user=acting_user,
            subject=urn("export", export.pk),
            system=system.slug,
            payload={"kind": export.kind, "format": export.format, "about": export.subject, **export.parameters},
            personal={"purpose": purpose},
        )
    return export


def _claim(export_id: UUID | str) -> Export | None:
    """The export, taken by this process; None when another has it, or it is done."""
    with transaction.atomic():
        rows = Export.objects.select_for_update(of=("self",)).select_related("system__owner").filter(pk=export_id)
        export = rows.filter(state=ExportState.WAITING).first()
        if export is None:
            return None
        export.state, export.claimed_at = ExportState.MAKING, timezone.now()
        export.attempts += 1
        export.save(update_fields=["state", "claimed_at", "attempts"])
    return export


def _written(export: Export, kind: Kind) -> Stored:
    """The file in the store. Whoever asked must still be allowed to: an export may have waited."""
    asker = User.objects.get(pk=export.requested_by_id)
    if not asker.is_active:
        raise DeniedError("Whoever asked for it has been deactivated.")
    for action in kind.needs:
        access.require(asker, action, export.system)
    row = noun_of(export.subject).rows().get(pk=parse_urn(export.subject)[1])
    moments = {name: datetime.fromisoformat(text) for name, text in export.parameters.items()}
    facts = _head(export, asker) | {"content": kind.facts(row, **moments)}
    return vault.put(kind.formats[export.format].write(facts, kind.outline))


def _head(export: Export, asker: User) -> dict[str, Any]:
    """What every document says of itself: which export it is, for whom, why, and how far the log was."""
    size, root = log.head()
    return {
        "format": FORMAT,
        "kind": export.kind,
        "export": str(export.pk),
        "made_at": parts.time(export.claimed_at),
        "requested_by": parts.person(asker),
        "purpose": export.purpose,
        "system": parts.system(export.system),
        "subject": export.subject,
        "label": export.label,
        "parameters": export.parameters,
        "log": {"size": size, "root": root},
    }


def _keep(export: Export, kind: Kind, stored: Stored) -> str:
    """Artifact, state and event in one transaction, unless the claim was taken back meanwhile."""
    media_type = kind.formats[export.format].media_type
    with transaction.atomic():
        locked = Export.objects.select_for_update().get(pk=export.pk)
        if (locked.state, locked.attempts) != (ExportState.MAKING, export.attempts):
            transaction.on_commit(lambda: vault.discard(stored))
            return "taken back"
        acting_user = User.objects.get(pk=export.requested_by_id)
        artifact = vault.keep(stored, acting_user=acting_user, system=export.system, media_type=media_type)
        locked.state, locked.artifact, locked.made_at, locked.error = ExportState.MADE, artifact, timezone.now(), ""
        locked.save(update_fields=["state", "artifact", "made_at", "error"])
        record(
            Event.EXPORT_CREATED,
            acting_user=acting_user,
            subject=urn("export", export.pk),
            system=export.system.slug,
            payload={
                "kind": export.kind,
                "format": export.format,
                "about": export.subject,
                "digest": artifact.digest,
                "bytes": artifact.size,
            },
        )
    return str(ExportState.MADE)


def _fail(export: Export, message: str, *, final: bool) -> None:
    """Leave it for another try, or after the last one (``final``) end it, on record."""
    with transaction.atomic():
        locked = Export.objects.select_for_update().get(pk=export.pk)
        if (locked.state, locked.attempts) != (ExportState.MAKING, export.attempts):
            return
        ended = final or locked.attempts >= MAX_ATTEMPTS
        locked.state, locked.error = ExportState.FAILED if ended else ExportState.WAITING, message
        locked.save(update_fields=["state", "error"])
        if ended:
            record(
                Event.EXPORT_FAILED,
                acting_user=None,
                subject=urn("export", export.pk),
                system=export.system.slug,
                payload={"kind": export.kind, "format": export.format, "about": export.subject},
            )


def _subject(user: User, kind: Kind, subject: str) -> Model:
    """The row, if the person may make this kind of document of it. Raises MissingError, DeniedError."""
    found: Model = access.get(user, Action.VIEW, kind.noun.rows(), **{kind.noun.key: subject})
    for action in kind.needs:
        access.require(user, action, access.system_of(found))
    return found


def _purpose(text: str) -> str:
    cleaned = " ".join(text.split())
    if not cleaned:
        raise InvalidError("Say what the document is for: it stands on it and in the log.", field="purpose")
    if len(cleaned) > MAX_PURPOSE:
        raise InvalidError(f"At most {MAX_PURPOSE} characters, please; this has {len(cleaned):,}.", field="purpose")
    if not cleaned.isprintable():
        raise InvalidError("The text holds control characters; write it without them.", field="purpose")
    return cleaned


def _moments(kind: Kind, given: Mapping[str, datetime | None]) -> dict[str, datetime]:
    """Exactly the parameters that the kind takes. Raises InvalidError."""
    found = {name: moment for name, moment in given.items() if moment is not None}
    for name in found:
        if name not in kind.takes:
            raise InvalidError(f"A {kind.title.lower()} takes no “{name}”.", field=name)
    for name in kind.takes:
        if name not in found:
            raise InvalidError(f"A {kind.title.lower()} needs “{name}”, a moment.", field=name)
    if "at" in found and found["at"] > timezone.now():
        raise InvalidError("Nothing is on record of the future: give a moment that has passed.", field="at")
    if "since" in found and not found["since"] < found["until"]:
        raise InvalidError("The period must end after it begins.", field="until")
    return found
