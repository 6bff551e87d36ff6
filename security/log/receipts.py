"""Receipts of events: the proof that an event is in the log, with its entry, in one file (C2SP tlog-proof)."""

from __future__ import annotations

from django.http import HttpResponse

from security.errors import ConflictError, MissingError
from security.log import merkle, published, tree
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.proofs import Receipt


def receipt(event: AuditEvent) -> Receipt:
    """The receipt of an event, against the published checkpoint. Raises ConflictError while it has no number."""
    if event.index is None:
        raise ConflictError("The event has been recorded, but has no number yet; try again in a second.")
    signed = published.current(covering=event.index + 1)
    size = signed.checkpoint.size
    read = tree.reader_of(merkle.inclusion_positions(event.index, size), size)
    hashes = merkle.inclusion_proof(event.index, size, read)
    return Receipt(event.index, tuple(hashes), signed.note, event.entry.encode())


def about(subject: str, event: Event) -> AuditEvent:
    """The first event of that name about a subject (a URN). Raises MissingError."""
    found = AuditEvent.objects.filter(subject=subject, event=event.value).order_by("time", "pk").first()
    if found is None:
        raise MissingError(f"The log has no event {event.value} about this.")
    return found


def as_file(event: AuditEvent) -> HttpResponse:
    """The receipt as a download, with the ending that tlog-proof gives such files."""
    text = receipt(event).text()
    headers = {
        "Content-Disposition": f'attachment; filename="countersign-event-{event.index}.tlog-proof"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(text, content_type="text/plain; charset=utf-8", headers=headers)
