"""Checking the whole log: what is checked, in which order, and what each kind of damage is called.

1. Every number from 0 on stands once, has its event, and the event's entry gives the leaf hash it was numbered with;
   the columns beside the entry agree with it; personal values open its commitment, or were erased by an event.
2. Every stored node is the root of the entries below it.
3. Every checkpoint is signed by the log's key, timed by its clock's, continues the one before, and its root is that
   of the stored entries. The last one covers every number.
4. No event has two numbers, and none waits for one too long.
5. The checkpoints that somebody kept elsewhere are of this very tree.

Not checked without 5: that this is the log which others were shown. Who has the key and the database can write another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

from django.db import connection

from security.log import checks, keys, merkle, notes, selectors, stored
from security.log import jobs as helpers
from security.log.checkpoints import Checkpoint
from security.log.checks import Damage, Kind, Stretch
from security.log.tiles import HEIGHT, WIDTH

CHUNK = WIDTH * 256  # entries that one job reads
Progress = Callable[[int], None]


@dataclass(frozen=True)
class Verification:
    """What was found: entries read, size and root of the tree, and the first damage if there is any.

    ``notices`` say what is no damage and yet worth knowing; ``signed`` is the size that the last checkpoint covers.
    """

    entries: int
    size: int
    root: bytes
    damage: Damage | None
    signed: int = 0
    notices: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        return self.damage is None


def verify(
    *,
    kept: Sequence[Checkpoint] = (),
    since: Checkpoint | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Verification:
    """Check the log and name the first damage.

    ``kept`` are checkpoints noted elsewhere, their signatures verified by the caller: the log must still be of those
    trees. With ``since``, which counts as kept, only entries after it are read (and the stored hashes that it is the
    root of): whoever checked everything up to it needs no more. ``jobs`` processes share the work. ``progress`` is told
    how many entries have been read. Raises LogKeyError when there is no public key to check signatures with.
    """
    end = stored.ends()
    walk = _Walk(end, (*kept, since) if since else tuple(kept), keys.verifiers())
    damage = _rolled_back(walk.kept, end.size) or walk.start_at(since)
    for stretch in () if damage else _stretches(walk, jobs):
        damage = walk.take(stretch)
        if progress is not None:
            progress(walk.read)
        if damage is not None:
            break
    damage = damage or walk.finish() or _around(end.size, full=since is None)
    return Verification(walk.read, walk.edge.size, walk.edge.root(), damage, end.signed, tuple(walk.notices))


class _Walk:
    """The tree as it is rebuilt from the entries, tile by tile, and what it is compared with on the way."""

    def __init__(
        self, end: stored.Ends, kept: Sequence[Checkpoint], verifiers: tuple[notes.Verifier, notes.Verifier]
    ) -> None:
        self.end, self.kept, self.verifiers = end, kept, verifiers
        self.tiles = merkle.Frontier()  # over the roots of complete tiles
        self.edge = merkle.Frontier()  # over the leaves
        self.start, self.read, self.last_good = 0, 0, 0
        self.previous = 0
        self.suspect: Damage | None = (
            None  # a stored hash that is not the entries': the next checkpoint says who is right
        )
        self.notices: list[str] = []

    def sizes(self) -> list[int]:
        """The sizes at which a kept checkpoint's root is compared."""
        return sorted({each.size for each in self.kept})

    def start_at(self, since: Checkpoint | None) -> Damage | None:
        """Begin at a checkpoint instead of nothing: with the stored hashes, if it is their root."""
        if since is None or since.size == 0:
            return None
        try:
            edge = stored.frontier(since.size)
        except ValueError as error:
            return Damage(since.size - 1, Kind.NODE, str(error))
        if edge.root() != since.root:
            return Damage(since.size - 1, Kind.FORK, f"the stored tree of {since.size:,} entries has another root")
        whole, rest = divmod(since.size, WIDTH)
        self.tiles = merkle.Frontier(whole, edge.hashes[: whole.bit_count()])
        self.edge, self.start = edge, since.size - rest
        self.previous = self.last_good = stored.checkpoint_before(self.start + 1)
        return None

    def take(self, stretch: Stretch) -> Damage | None:
        """Add what one job read, and compare every node and checkpoint on the way."""
        for tile in stretch.tiles:
            damage = self._checkpoints(tile)
            if damage is not None:
                return damage
            (self._close if tile.whole else self._leave_open)(tile)
        self.read += stretch.read
        self._notice(stretch)
        return self.suspect or stretch.damage if stretch.damage else None

    def _checkpoints(self, tile: checks.Tile) -> Damage | None:
        for seen in tile.checkpoints:
            if seen.damage is not None:
                return seen.damage
            root = self._root(seen)
            if seen.previous is not None:
                damage = self._own(seen, root)
                if damage is not None:
                    return damage
            for each in self.kept:
                if each.size == seen.size and each.root != root:
                    return Damage(
                        each.size - 1,
                        Kind.FORK,
                        f"the kept checkpoint of {each.size:,} entries has another root than this log's first "
                        f"{each.size:,} entries: two different trees were signed",
                    )
        return None

    def _root(self, seen: checks.Seen) -> bytes:
        """The root of the entries at a checkpoint: the tiles before it and its own part of the tile it ends in."""
        if seen.size % WIDTH:
            return merkle.Frontier(seen.size, [*self.tiles.hashes, *seen.hashes]).root()
        whole = merkle.Frontier(self.tiles.size, self.tiles.hashes)
        whole.append(seen.hashes[0])
        return whole.root()

    def _own(self, seen: checks.Seen, root: bytes) -> Damage | None:
        if seen.previous != self.previous:
            detail = f"it says that it continues {seen.previous:,}, but the checkpoint before is of {self.previous:,}"
            return Damage(seen.size - 1, Kind.CHECKPOINT, detail)
        if seen.root != root:
            first = max(self.last_good, self.suspect.index if self.suspect else 0)
            return checks.wrong_root(first, seen.size, stored.ids(first, seen.size))
        if self.suspect is not None:
            return self.suspect
        self.previous = self.last_good = seen.size
        return None

    def _close(self, tile: checks.Tile) -> None:
        at = self.tiles.size
        for node in self.tiles.append(tile.root):
            level = node.level + HEIGHT
            if level % HEIGHT == 0 and (found := stored.node(level, node.index)) != node.hash:
                self._suspect(level, node.index, found)
        self.edge = merkle.Frontier((at + 1) * WIDTH, self.tiles.hashes)

    def _suspect(self, level: int, index: int, found: bytes | None) -> None:
        if self.suspect is None:
            what = "is missing" if found is None else "is not that of the entries below it"
            detail = f"the stored hash of level {level}, number {index:,}, {what}"
            self.suspect = Damage(index << level, Kind.NODE, detail)

    def _leave_open(self, tile: checks.Tile) -> None:
        self.edge = merkle.Frontier(self.tiles.size * WIDTH + tile.width, [*self.tiles.hashes, *tile.hashes])

    def _notice(self, stretch: Stretch) -> None:
        if stretch.back is not None and len(self.notices) < 10:
            index, seconds = stretch.back
            self.notices.append(
                f"entry {index:,} is {seconds:,.0f} s older than one before it: a clock was set back, or its "
                "transaction took that long"
            )

    def finish(self) -> Damage | None:
        """The last checkpoint covers every number; every number was there."""
        if self.suspect is not None:
            return self.suspect
        if self.end.count != self.end.size:
            return Damage(
                self.end.count, Kind.MISSING, f"{self.end.count:,} numbers, but the last is {self.end.size - 1:,}"
            )
        if self.end.signed == self.end.size:
            return None
        if self.end.signed == 0:
            self.notices.append(f"the {self.end.size:,} entries are not signed yet: manage.py log_sequencer --once")
            return None
        detail = f"the last checkpoint is of {self.end.signed:,} entries, but {self.end.size:,} have numbers"
        return Damage(min(self.end.signed, self.end.size), Kind.CHECKPOINT, detail)


def chain_damage(size: int, head: str) -> Damage | None:
    """Compare with a head of the hash chain that came before the tree, ``SHA-256(0x02 ‖ previous ‖ leaf hash)`` from
    ``SHA-256("")``: it follows from the leaf hashes, so heads that were noted then are good for ever."""
    chain, count = merkle.EMPTY_ROOT, 0
    for _, _, _, leaf in selectors.entries(0, size):
        chain, count = hashlib.sha256(b"\x02" + chain + leaf).digest(), count + 1
    if count < size:
        return Damage(count, Kind.ROLLED_BACK, f"the log has {count:,} entries, but a head of {size:,} was kept")
    if chain.hex() != head:
        return Damage(
            max(size - 1, 0), Kind.FORK, f"the first {size:,} entries are not those of the head that was kept"
        )
    return None


def _rolled_back(kept: Sequence[Checkpoint], size: int) -> Damage | None:
    longest = max((each.size for each in kept), default=0)
    if longest <= size:
        return None
    detail = f"the log has {size:,} entries, but a checkpoint of {longest:,} was kept"
    return Damage(size, Kind.ROLLED_BACK, detail)


def _around(size: int, *, full: bool) -> Damage | None:
    """What no walk over the numbers sees: events with two of them, events without any, and hashes too many."""
    damage = stored.twice() if full else None
    if damage is None and full and (more := stored.nodes() - _nodes(size)):
        damage = Damage(
            size, Kind.NODE, f"the tree has {abs(more):,} stored hashes too {'many' if more > 0 else 'few'}"
        )
    return damage or stored.unnumbered(size)


def _nodes(size: int) -> int:
    """How many complete tiles a tree has, of all levels."""
    count = 0
    while size := size >> HEIGHT:
        count += size
    return count


def _stretches(walk: _Walk, jobs: int) -> Iterator[Stretch]:
    """The stretches of the log in order, read here or by ``jobs`` processes."""
    stop = min(walk.end.size, walk.end.count)  # where one is missing it is found before
    ends = [*range(walk.start + CHUNK - walk.start % CHUNK, stop, CHUNK), stop]
    bounds = [bound for bound in zip([walk.start, *ends[:-1]], ends, strict=True) if bound[0] < bound[1]]
    asked = [(first, stop, walk.sizes(), walk.verifiers) for first, stop in bounds]
    if jobs <= 1 or len(asked) < 2:
        yield from map(stored.stretch, asked)
        return
    context, name = get_context("spawn"), str(connection.settings_dict["NAME"])
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=helpers.begin, initargs=(name,)) as pool:
        yield from pool.map(stored.stretch, asked)
