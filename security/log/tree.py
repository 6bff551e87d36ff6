"""The Merkle tree as it is stored: leaf hashes and one node for every complete tile (C2SP tlog-tiles, height 8)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from django.db import connection

from security.log import merkle, tiles
from security.log.tiles import HEIGHT, WIDTH, Tile


class TreeError(ValueError):
    """A stored hash is missing, or the stored tree is not the one that was signed."""


def fetch(tile: Tile) -> bytes:
    """The hashes of a tile, 32 bytes each, in one query. Raises TreeError when one is missing."""
    first, within = tile.index * WIDTH, '"index" >= %s AND "index" < %s ORDER BY "index"'
    values = [first, first + tile.width]
    with connection.cursor() as cursor:  # up to 256 rows of 32 bytes, so what an ORM adds would be most of it
        if tile.level:
            query = f"SELECT hash FROM log_node WHERE level = %s AND {within}"  # noqa: S608 - a constant
            cursor.execute(query, [HEIGHT * tile.level, *values])
        else:
            cursor.execute(f"SELECT hash FROM log_leaf WHERE {within}", values)  # noqa: S608 - a constant
        found = b"".join(row[0] for row in cursor.fetchall())
    if len(found) != tile.width * merkle.HASH_BYTES:
        raise TreeError(f"the stored tile {tile.path()} is not whole: run verify_log")
    return found


def reader(size: int) -> merkle.HashReader:
    """A hash reader over the first ``size`` leaves; each tile is one query; a proof reads at most two of a level."""
    return tiles.reader(fetch, size)


def frontier(size: int) -> merkle.Frontier:
    """The right edge of the stored tree of that size. Raises TreeError."""
    return merkle.Frontier.read(size, reader(size))


def reader_of(positions: Iterable[merkle.Position], size: int) -> merkle.HashReader:
    """A hash reader that has read what these positions need, with one query for leaf hashes and one for nodes."""
    wanted = sorted({_covering(level, index, size) for level, index in positions}, key=lambda tile: tile.path())
    return tiles.reader(_read(wanted).__getitem__, size)


def _covering(level: int, index: int, size: int) -> Tile:
    """The tile that a position is computed from, as wide as it is in a tree of that size."""
    row, above = divmod(level, HEIGHT)
    place = (index << above) // WIDTH
    return Tile(row, place, min(WIDTH, (size >> (HEIGHT * row)) - place * WIDTH))


def _read(wanted: Sequence[Tile]) -> dict[Tile, bytes]:
    """The hashes of tiles, 32 bytes each. Raises TreeError when one is missing."""
    found: dict[tuple[int, int], bytes] = {}
    leaves, nodes = [tile for tile in wanted if not tile.level], [tile for tile in wanted if tile.level]
    with connection.cursor() as cursor:
        if leaves:
            ranges = " OR ".join(['"index" >= %s AND "index" < %s'] * len(leaves))
            cursor.execute(f'SELECT "index", hash FROM log_leaf WHERE {ranges}', _ends(leaves))  # noqa: S608 - constants
            found |= {(0, index): bytes(leaf) for index, leaf in cursor.fetchall()}
        if nodes:
            ranges = " OR ".join(['level = %s AND "index" >= %s AND "index" < %s'] * len(nodes))
            cursor.execute(f'SELECT level, "index", hash FROM log_node WHERE {ranges}', _ends(nodes))  # noqa: S608
            found |= {(level, index): bytes(node) for level, index, node in cursor.fetchall()}
    try:
        return {tile: b"".join(found[position] for position in tile.positions()) for tile in wanted}
    except KeyError:
        raise TreeError("a stored tile is not whole: run verify_log") from None


def _ends(wanted: Iterable[Tile]) -> list[int]:
    """Level (of nodes), first number and the one after the last, of each tile."""
    values = []
    for tile in wanted:
        first = tile.index * WIDTH
        values += [*([HEIGHT * tile.level] if tile.level else []), first, first + tile.width]
    return values
