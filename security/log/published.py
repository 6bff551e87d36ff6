"""What the log shows to the outside: the checkpoint with its cosignatures, tiles, entry bundles, proofs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from security.errors import InvalidError, MissingError
from security.log import checkpoints, keys, merkle, notes, tiles, tree
from security.log.checkpoints import Checkpoint
from security.log.models import AuditEvent, Cosignature, StoredCheckpoint
from security.log.tiles import Tile
from security.log.trust import Policy

_COSIGNED_LOOKED_AT = 100  # checkpoints, newest first, among which one with a quorum is looked for


@dataclass(frozen=True)
class Published:
    """A signed checkpoint as it is given out: the note, with every cosignature that was kept."""

    checkpoint: Checkpoint
    note: str
    cosigned: int = 0


def policy() -> Policy:
    """The trust policy of ``LOG_POLICY``; one without witnesses when there is none. Raises PolicyError, OSError."""
    if not settings.LOG_POLICY:
        return Policy()
    path = Path(settings.LOG_POLICY)
    return _policy(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _policy(path: Path, changed: int) -> Policy:
    return Policy.parse(path.read_bytes())


def verifier_key() -> str:
    """The key that whoever verifies should note; empty while this process has none."""
    try:
        return keys.verifiers()[0].vkey()
    except keys.LogKeyError:
        return ""


def current(covering: int = 0) -> Published:
    """The newest checkpoint that the policy's quorum of witnesses cosigned, or the newest where there is none such.

    Of those that have at least ``covering`` entries. Raises MissingError while nothing has been signed so far.
    """
    trusted = policy()
    if trusted.quorum != "none":
        sizes = Cosignature.objects.filter(checkpoint__gte=covering).order_by("-checkpoint")
        for size in dict.fromkeys(sizes.values_list("checkpoint", flat=True)[: 4 * _COSIGNED_LOOKED_AT]):
            found = of_size(size)
            if trusted.satisfied(_cosigners(found, trusted)):
                return found
    last = newest()
    if last.checkpoint.size < covering:
        raise MissingError("The log has signed nothing yet that goes so far; try again in a second.")
    return last


def newest() -> Published:
    """The newest checkpoint, whether anybody cosigned it or not. Raises MissingError while nothing has been signed."""
    size = StoredCheckpoint.objects.order_by("-size").values_list("size", flat=True).first()
    if size is None:
        raise MissingError("The log has signed nothing yet; try again in a second.")
    return of_size(size)


def cosigned() -> Published | None:
    """The newest checkpoint that any witness cosigned, None where there is none."""
    size = Cosignature.objects.order_by("-checkpoint").values_list("checkpoint", flat=True).first()
    return None if size is None else of_size(size)


def of_size(size: int) -> Published:
    """The checkpoint of exactly that size. Raises MissingError."""
    row = StoredCheckpoint.objects.filter(size=size).first()
    if row is None:
        raise MissingError(f"The log never signed a tree of {size:,} entries.")
    lines = Cosignature.objects.filter(checkpoint=size).order_by("name", "timestamp").values_list("line", flat=True)
    signatures = [signature for line in lines for signature in notes.parse_signatures(line)]
    note = notes.merge(notes.parse(row.note), signatures)
    return Published(Checkpoint.parse(note.text), str(note), len(signatures))


def _cosigners(found: Published, trusted: Policy) -> set[notes.Verifier]:
    """The policy's witnesses whose cosignatures on the checkpoint verify."""
    log, _ = keys.verifiers()
    opened = checkpoints.open_signed(found.note, log, trusted.verifiers)
    return {each.verifier for each in opened.cosigned}


# ------------------------------------------------------------------------------------------------------ tiles, bundles


def content(tile: Tile) -> bytes:
    """The bytes of a tile or entry bundle. Raises MissingError beyond the newest signed tree, tree.TreeError."""
    size = StoredCheckpoint.objects.order_by("-size").values_list("size", flat=True).first() or 0
    if not tile.within(size):
        raise MissingError(f"The signed tree of {size:,} entries has no {tile.path()}.")
    return tree.fetch(tile) if tile.level is not None else _entries(tile)


def _entries(tile: Tile) -> bytes:
    first = tile.index * tiles.WIDTH
    numbered = AuditEvent.objects.filter(leaf__index__gte=first, leaf__index__lt=first + tile.width)
    entries = [entry.encode() for entry in numbered.order_by("leaf__index").values_list("entry", flat=True)]
    if len(entries) != tile.width:
        raise tree.TreeError(f"the bundle {tile.path()} is not whole: run verify_log")
    return tiles.encode_entries(entries)


# -------------------------------------------------------------------------------------------------------------- proofs


def inclusion(index: int, size: int) -> tuple[bytes, list[bytes]]:
    """``(leaf hash, proof)`` of an entry in the signed tree of that size. Raises MissingError, InvalidError."""
    of_size(size)
    if index >= size:
        raise InvalidError(f"There is no entry {index:,} in a tree of {size:,} entries.", field="index")
    read = tree.reader(size)
    return read(0, index), merkle.inclusion_proof(index, size, read)


def consistency(old: int, new: int) -> list[bytes]:
    """The proof that the tree of ``new`` entries continues that of ``old``. Raises MissingError, InvalidError."""
    of_size(new)
    if not 1 <= old <= new:
        raise InvalidError("A consistency proof is from 1 or more entries to no fewer.", field="old")
    return merkle.consistency_proof(old, new, tree.reader(new))
