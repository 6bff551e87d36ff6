"""Handing an artifact's bytes to a person: verified, and on record.

What is small is verified as a whole before the first byte leaves. What is large is streamed one piece behind the
verification, so that a damaged artifact always ends short of its announced length and never looks complete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db import transaction

from security.canonical import urn
from security.identity.models import User
from security.log.events import Event
from security.log.services import record
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.stream import DamagedError

WHOLE_BYTES = 8 * 2**20
_ENDINGS = {
    "application/json": "json",
    "application/vnd.apache.parquet": "parquet",
    "application/x-skops": "skops",
    "text/csv": "csv",
}


@dataclass(frozen=True)
class Delivery:
    """The pieces of an artifact and a name to save them under."""

    pieces: Iterator[bytes]
    filename: str


def deliver(*, acting_user: User, artifact: Artifact) -> Delivery:
    """Open an artifact for a reader, with its audit event. The caller has checked READ_ARTIFACT.

    Raises DamagedError before anything is handed out when a small artifact, or the first piece of a large one, does
    not verify; later damage raises from ``pieces``. Raises UnavailableError when key or store is away.
    """
    if artifact.size <= WHOLE_BYTES:
        pieces: Iterator[bytes] = iter([vault.read(artifact, limit=WHOLE_BYTES)])
    else:
        pieces = _behind(artifact)
    with transaction.atomic():
        record(
            Event.ARTIFACT_READ,
            acting_user=acting_user,
            subject=urn("artifact", artifact.id),
            system=artifact.system.slug,
            payload={"object_sha256": artifact.object_sha256, "bytes": artifact.size},
        )
    return Delivery(pieces, filename(artifact))


def filename(artifact: Artifact) -> str:
    """``<first twelve of the digest>.<ending of the media type>``: nothing that a person chose."""
    return f"{artifact.digest[:12]}.{_ENDINGS.get(artifact.media_type, 'bin')}"


def _behind(artifact: Artifact) -> Iterator[bytes]:
    """The pieces, each held back until the one after it, or the whole's digest, has been verified."""
    chunks = vault.chunks_of(artifact)
    held = next(chunks, b"")

    def pieces() -> Iterator[bytes]:
        waiting, sent = held, 0
        for chunk in chunks:
            yield waiting
            sent, waiting = sent + len(waiting), chunk
        if sent + len(waiting) != artifact.size:
            raise DamagedError(f"artifact {artifact.digest[:12]} does not have the size on record")
        yield waiting

    return pieces()
