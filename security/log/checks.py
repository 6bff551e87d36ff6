"""The pure part of verification: rows in, tiles and the first damage out. No database, and no key but public ones."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from security.log import checkpoints, notes
from security.log.entries import Row, commit, committed, disagreement
from security.log.merkle import node_hash
from security.log.tiles import WIDTH

BACK_SECONDS = 60.0  # an entry may be older than one before it by what a transaction takes; more is worth a word

_sha256 = hashlib.sha256


class Kind(StrEnum):
    """What can be wrong with a log."""

    EDITED = "edited entry"
    MISSING = "missing index"
    LOST = "event removed"
    REORDERED = "reordered"
    TWICE = "numbered twice"
    NODE = "node hash wrong"
    SIGNATURE = "checkpoint signature wrong"
    CHECKPOINT = "checkpoint wrong"
    ROOT = "root wrong"
    ROLLED_BACK = "rolled back"
    FORK = "fork"
    UNNUMBERED = "unnumbered for too long"
    PERSONAL = "personal values wrong"


@dataclass(frozen=True)
class Damage:
    """The first thing that is wrong: the number of the entry where it shows, its kind, and how it was seen."""

    index: int
    kind: Kind
    detail: str


class Numbered(NamedTuple):
    """One number as stored: the leaf hash, the event (None where there is no such row), salt and personal values."""

    number: int
    hash: bytes
    row: Row | None
    salt: bytes | None
    values: bytes | None
    raw: bytes


@dataclass(frozen=True)
class Seen:
    """A checkpoint as stored and the hashes, of the tile that it ends in, that its root is made of.

    ``previous`` and ``root`` are None for a size that is only compared with a kept checkpoint.
    """

    size: int
    hashes: tuple[bytes, ...] = ()
    previous: int | None = None
    root: bytes | None = None
    damage: Damage | None = None


@dataclass(frozen=True)
class Tile:
    """Up to 256 leaves: the root when whole, else the hashes of the complete subtrees; and the checkpoints in it."""

    width: int
    hashes: tuple[bytes, ...]
    checkpoints: tuple[Seen, ...]

    @property
    def whole(self) -> bool:
        return self.width == WIDTH

    @property
    def root(self) -> bytes:
        return self.hashes[0]


@dataclass
class Stretch:
    """What was read between two numbers: tiles in order, entries read, first damage, and a step back in time."""

    tiles: list[Tile] = field(default_factory=list)
    read: int = 0
    damage: Damage | None = None
    back: tuple[int, float] | None = None


def walk(
    rows: Iterable[Numbered],
    start: int,
    stop: int,
    sizes: Sequence[Seen],
    *,
    erased: Callable[[str], bool],
) -> Stretch:
    """Check the rows from number ``start``, the first of a tile, to ``stop``, and build their tiles.

    ``sizes`` are the checkpoints in it, rising. Stops at the first damage; the tile that it stands in is left out.
    """
    found, leaves, expected = Stretch(), [], start
    waiting, newest = list(reversed(sizes)), ""
    for row in rows:
        found.damage = _damage(row, expected, erased)
        if found.damage is not None:
            return found
        leaves.append(row.hash)
        expected += 1
        if row.row is not None and row.row.time >= newest:
            newest = row.row.time
        elif row.row is not None and found.back is None:
            found.back = _step_back(row.number, newest, row.row.time)
        if len(leaves) == WIDTH:
            found.tiles.append(_tile(leaves, expected, waiting))
            found.read += WIDTH
            leaves = []
    if expected < stop:
        found.damage = Damage(expected, Kind.MISSING, f"number {expected:,} is missing; {stop:,} numbers were given")
    if leaves:
        found.tiles.append(_tile(leaves, expected, waiting))
        found.read += len(leaves)
    return found


def _damage(row: Numbered, expected: int, erased: Callable[[str], bool]) -> Damage | None:
    """What is wrong with one number, in this order: place, event, columns, hash, personal values."""
    if row.number != expected:
        if row.number < expected:
            return Damage(row.number, Kind.TWICE, f"the number {row.number:,} was given twice")
        return Damage(expected, Kind.MISSING, f"number {expected:,} is missing: the next one is {row.number:,}")
    if row.row is None:
        return Damage(expected, Kind.LOST, "the event that has this number is gone")
    wrong = disagreement(row.row, expected)
    if _sha256(b"\x00" + row.raw).digest() != row.hash:
        return Damage(expected, Kind.EDITED, wrong or "the entry does not give the leaf hash it was numbered with")
    if wrong is not None:
        return Damage(expected, Kind.EDITED, wrong)
    return personal(row, expected, erased)


def personal(row: Numbered, index: int, erased: Callable[[str], bool]) -> Damage | None:
    """Personal values open the commitment of their entry; without values there was an erasure, or no commitment."""
    if row.row is None:
        return None
    commitment = committed(row.row.entry)
    if row.salt is None or row.values is None:
        if commitment and not erased(row.row.id):
            return Damage(index, Kind.PERSONAL, "the values it commits to are gone, and no event erased them")
        return None
    if commit(row.salt, row.values) != commitment:
        return Damage(index, Kind.PERSONAL, "the personal values are not those that the entry commits to")
    return None


def _step_back(index: int, newest: str, time: str) -> tuple[int, float] | None:
    seconds = (datetime.fromisoformat(newest) - datetime.fromisoformat(time)).total_seconds()
    return (index, seconds) if seconds > BACK_SECONDS else None


def _tile(leaves: list[bytes], end: int, waiting: list[Seen]) -> Tile:
    levels = [leaves]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    first, seen = end - len(leaves), []
    while waiting and waiting[-1].size <= end:
        one = waiting.pop()
        hashes = _subtrees(levels, one.size - first)
        seen.append(Seen(one.size, hashes, one.previous, one.root, one.damage))
    return Tile(len(leaves), _subtrees(levels, len(leaves)), tuple(seen))


def _subtrees(levels: list[list[bytes]], count: int) -> tuple[bytes, ...]:
    """The roots of the complete subtrees over the first ``count`` leaves of a tile, the largest first."""
    hashes, at = [], 0
    for level in range(count.bit_length() - 1, -1, -1):
        if count >> level & 1:
            hashes.append(levels[level][at >> level])
            at += 1 << level
    return tuple(hashes)


def read_checkpoint(
    size: int, previous: int, note: str, verifiers: tuple[notes.Verifier, notes.Verifier]
) -> Seen:  # fmt: skip
    """A stored checkpoint: 1. it is a note of this size, 2. signed by the log and timed by the clock."""
    log, clock = verifiers
    try:
        opened = checkpoints.open_signed(note, log, [clock])
    except ValueError as error:
        return Seen(size, damage=Damage(size - 1, Kind.SIGNATURE, f"the checkpoint of {size:,} entries: {error}"))
    if str(opened.note) != note or len(opened.note.signatures) != len(verifiers) or not opened.cosigned:
        detail = f"the checkpoint of {size:,} entries is not signed by exactly the log's key and its clock's"
        return Seen(size, damage=Damage(size - 1, Kind.SIGNATURE, detail))
    if opened.checkpoint.size != size:
        detail = f"the checkpoint that is kept as that of {size:,} entries is signed for {opened.checkpoint.size:,}"
        return Seen(size, damage=Damage(size - 1, Kind.CHECKPOINT, detail))
    return Seen(size, previous=previous, root=opened.checkpoint.root)


def wrong_root(first: int, size: int, ids: Sequence[str]) -> Damage:
    """The entries from ``first`` to before ``size``, numbered under one checkpoint, do not give its root.

    Each agrees with its leaf hash, so both were changed together. Entries of one checkpoint are numbered in the order
    of their ids: where they do not stand in it, they were exchanged.
    """
    for at, (found, right) in enumerate(zip(ids, sorted(ids), strict=True)):
        if found != right:
            return Damage(first + at, Kind.REORDERED, f"the entries {first:,} to {size - 1:,} were exchanged")
    which = f"entry {first:,}" if size - first == 1 else f"one of the entries {first:,} to {size - 1:,}"
    return Damage(
        first, Kind.ROOT, f"the signed root of {size:,} entries is not theirs: {which} was changed with its hash"
    )
