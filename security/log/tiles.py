"""How the tree is published: tiles of 256 hashes, and bundles of 256 entries (C2SP tlog-tiles). Pure.

A tile at level ``l`` holds hashes of the tree's level ``8·l``; the levels between are recomputed from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from security.log.merkle import HASH_BYTES, MAX_SIZE, HashReader, Position, node_hash

HEIGHT = 8
WIDTH = 1 << HEIGHT
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 2**16 - 1
_PATH = re.compile(
    r"tile/(?P<level>0|[1-9][0-9]?|entries)/(?P<index>(x[0-9]{3}/)*[0-9]{3})(\.p/(?P<width>[1-9][0-9]{0,2}))?", re.ASCII
)


class TileError(ValueError):
    """A path that names no tile, or bytes that are not what a tile or bundle of that width holds."""


@dataclass(frozen=True)
class Tile:
    """One tile, or with ``level`` None one entry bundle: its place, and its number of hashes or entries (1 to 256)."""

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise TileError(f"there is no tile level {self.level}: levels are 0 to {MAX_LEVEL}")
        if not 1 <= self.width <= WIDTH:
            raise TileError(f"a tile is 1 to {WIDTH} wide, not {self.width}")
        if not 0 <= self.index <= MAX_SIZE:
            raise TileError(f"there is no tile {self.index}")

    @property
    def full(self) -> bool:
        """Whether it will never change: full tiles are immutable and may be kept for ever."""
        return self.width == WIDTH

    def path(self) -> str:
        """``tile/<level>/<index>[.p/<width>]`` below the log's prefix; the index in groups as ``x001/x234/067``."""
        digits = str(self.index).zfill(-(-len(str(self.index)) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        index = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level is None else str(self.level)
        return f"tile/{level}/{index}" + ("" if self.full else f".p/{self.width}")

    @classmethod
    def parse(cls, path: str) -> Tile:
        """The tile of a path in its one spelling. Raises TileError."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise TileError(f"no tile path: {path[:80]!r}; one looks like tile/0/x001/234 or tile/entries/000.p/17")
        level = None if match["level"] == "entries" else int(match["level"])
        index = int(match["index"].replace("x", "").replace("/", "")[-20:])
        tile = cls(level, index, int(match["width"] or WIDTH))
        if tile.path() != path:
            raise TileError(f"{path[:80]!r} is not how that tile is written, but {tile.path()}")
        return tile

    def positions(self) -> list[Position]:
        """The stored hashes of a tile, from left to right; of a bundle, the positions of its entries' leaf hashes."""
        level = HEIGHT * (self.level or 0)
        return [(level, self.index * WIDTH + offset) for offset in range(self.width)]

    def within(self, size: int) -> bool:
        """Whether a tree of ``size`` leaves has all its hashes."""
        return self.index * WIDTH + self.width <= size >> (HEIGHT * (self.level or 0))


def tiles_of(size: int, after: int = 0) -> Iterator[Tile]:
    """Every tile of hashes of a tree of ``size`` leaves, except those that one of ``after`` leaves already had."""
    level = 0
    while size >> (HEIGHT * level):
        yield from _row(level, size >> (HEIGHT * level), after >> (HEIGHT * level))
        level += 1


def bundles_of(size: int, after: int = 0) -> Iterator[Tile]:
    """Every entry bundle of a log of ``size`` entries, except those that one of ``after`` entries already had."""
    yield from _row(None, size, after)


def _row(level: int | None, width: int, after: int) -> Iterator[Tile]:
    if width == after:
        return
    for index in range(after // WIDTH, width // WIDTH):
        yield Tile(level, index)
    if width % WIDTH:
        yield Tile(level, width // WIDTH, width % WIDTH)


# ------------------------------------------------------------------------------------------------------------ contents


def encode_hashes(hashes: Iterable[bytes]) -> bytes:
    """The bytes of a tile."""
    return b"".join(hashes)


def decode_hashes(tile: Tile, data: bytes) -> list[bytes]:
    """The hashes of a tile. Raises TileError when there are more or fewer than its width."""
    if len(data) != tile.width * HASH_BYTES:
        raise TileError(f"{tile.path()} has {len(data)} bytes, not {tile.width * HASH_BYTES}")
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def encode_entries(entries: Iterable[bytes]) -> bytes:
    """The bytes of a bundle: each entry after its length as a big-endian uint16. Raises TileError over 65,535."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise TileError(f"an entry of {len(entry)} bytes is over {MAX_ENTRY_BYTES}")
        parts += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(parts)


def decode_entries(tile: Tile, data: bytes) -> list[bytes]:
    """The entries of a bundle. Raises TileError when there are more or fewer than its width, or one is cut."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[start - 2 : start], "big")
        if start > len(data) or at > len(data):
            raise TileError(f"{tile.path()} ends within entry {len(entries)}")
        entries.append(data[start:at])
    if len(entries) != tile.width:
        raise TileError(f"{tile.path()} has {len(entries)} entries, not {tile.width}")
    return entries


def reader(fetch: Callable[[Tile], bytes], size: int) -> HashReader:
    """A hash reader over the published tiles of a tree of ``size`` leaves, each fetched once.

    ``fetch`` gets a tile as that tree has it (partial at the right edge) and answers its bytes. What is read is not
    verified here: compute the root of ``size`` leaves with it and compare that with a signed checkpoint first.
    """
    fetched: dict[Tile, list[bytes]] = {}

    def read(level: int, index: int) -> bytes:
        tile, first, count = _cover(level, index, size)
        if tile not in fetched:
            fetched[tile] = decode_hashes(tile, fetch(tile))
        return _join(fetched[tile][first : first + count])

    return read


def _cover(level: int, index: int, size: int) -> tuple[Tile, int, int]:
    """The tile that a position is computed from, and which of its hashes. Raises TileError outside the tree."""
    if index < 0 or (index + 1) << level > size:
        raise TileError(f"a tree of {size} leaves has no complete subtree {index} at level {level}")
    row, above = divmod(level, HEIGHT)
    place, first = divmod(index << above, WIDTH)
    width = min(WIDTH, (size >> (HEIGHT * row)) - place * WIDTH)
    return Tile(row, place, width), first, 1 << above


def _join(hashes: Sequence[bytes]) -> bytes:
    """The root over 1, 2, 4 … 128 neighbouring hashes."""
    while len(hashes) > 1:
        hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
    return hashes[0]
