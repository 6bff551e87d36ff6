"""Tiles: paths, widths, and a monitor that knows nothing but tiles."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.log import merkle, tiles
from security.log.tiles import Tile, TileError

ENTRIES = [b"entry %d" % index for index in range(1000)]


@pytest.fixture(scope="module")
def nodes():
    frontier, found = merkle.Frontier(), {}
    for entry in ENTRIES:
        for node in frontier.append(merkle.leaf_hash(entry)):
            found[node.level, node.index] = node.hash
    return found


def published(nodes, size):
    """What a log of that size has under ``/log/``, by path."""
    return {
        tile.path(): tiles.encode_hashes(nodes[position] for position in tile.positions())
        for tile in tiles.tiles_of(size)
    }


# ------------------------------------------------------------------------------------------------------------- paths


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 1234067), "tile/0/x001/x234/067"),  # the specification's example
        (Tile(0, 0), "tile/0/000"),
        (Tile(1, 999, 17), "tile/1/999.p/17"),
        (Tile(63, 1000), "tile/63/x001/000"),
        (Tile(None, 273, 112), "tile/entries/273.p/112"),
        (Tile(None, 0, 1), "tile/entries/000.p/1"),
        (Tile(2, 2**63 - 1), "tile/2/x009/x223/x372/x036/x854/x775/807"),
    ],
)
def test_a_tile_has_one_path(tile, path):
    assert tile.path() == path
    assert Tile.parse(path) == tile


@given(st.none() | st.integers(0, 63), st.integers(0, 2**63 - 1), st.integers(1, 256))
def test_every_path_is_read_back(level, index, width):
    assert Tile.parse(Tile(level, index, width).path()) == Tile(level, index, width)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/x1/001",
        "tile/0/001/x001",
        "tile/0/001/001",
        "tile/0/000.p/0",
        "tile/0/000.p/256",
        "tile/0/000.p/01",
        "tile/0/000.p/",
        "tile/0/000.p",
        "tile/0/000/",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/entries/../000",
        "tile/0/x009/x223/x372/x036/x854/x775/808",
        "tile/0/" + "x999/" * 500 + "999",
        "tile/0/\u0660\u0660\u0660",
    ],
)
def test_no_other_spelling_is_a_tile(path):
    with pytest.raises(TileError):
        Tile.parse(path)


# ------------------------------------------------------------------------------------------------------ what there is


def test_the_specifications_tree_of_70000_has_its_tiles():
    """tlog-tiles, "Partial Tiles": 273 full and one of 112, one full and one of 17, one of 1."""
    found = list(tiles.tiles_of(70000))
    widths = {level: [t.width for t in found if t.level == level] for level in range(4)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1], 3: []}
    assert [t.path() for t in tiles.tiles_of(256)] == ["tile/0/000", "tile/1/000.p/1"]
    assert [t.path() for t in tiles.bundles_of(258)] == ["tile/entries/000", "tile/entries/001.p/2"]


def test_an_empty_log_has_no_tiles():
    assert list(tiles.tiles_of(0)) == list(tiles.bundles_of(0)) == []


@given(st.integers(0, 200_000), st.integers(0, 3_000))
def test_publishing_step_by_step_leaves_no_tile_out(size, more):
    old, new = set(tiles.tiles_of(size)), set(tiles.tiles_of(size + more))
    assert new - old == set(tiles.tiles_of(size + more, after=size)) - old
    assert new <= old | set(tiles.tiles_of(size + more, after=size))
    assert all(tile.within(size + more) for tile in new)


def test_a_tile_that_the_tree_does_not_reach_is_not_within_it():
    assert Tile(0, 0, 5).within(5)
    assert not Tile(0, 0, 6).within(5)
    assert not Tile(0, 0).within(255)
    assert Tile(1, 0, 1).within(256)
    assert not Tile(1, 0, 1).within(255)
    assert Tile(None, 1, 1).within(257)
    assert not Tile(63, 0, 1).within(2**63 - 1)


# ----------------------------------------------------------------------------------------------------------- contents


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 700, 1000])
def test_a_monitor_with_tiles_alone_gets_roots_and_proofs(nodes, size):
    files = published(nodes, size)
    read = tiles.reader(lambda tile: files[tile.path()], size)
    root = merkle.root(size, read)
    assert root == merkle.root_of(map(merkle.leaf_hash, ENTRIES[:size]))
    chosen = random.Random(size)
    for _ in range(40):
        index, old = chosen.randrange(size), chosen.randrange(1, size + 1)
        proof = merkle.inclusion_proof(index, size, read)
        merkle.verify_inclusion(merkle.leaf_hash(ENTRIES[index]), index, size, proof, root)
        old_root = merkle.root_of(map(merkle.leaf_hash, ENTRIES[:old]))
        merkle.verify_consistency(old, size, merkle.consistency_proof(old, size, read), old_root, root)


def test_each_tile_is_fetched_once(nodes):
    files, asked = published(nodes, 1000), []

    def fetch(tile):
        asked.append(tile)
        return files[tile.path()]

    read = tiles.reader(fetch, 1000)
    for index in range(0, 1000, 7):
        merkle.inclusion_proof(index, 1000, read)
    assert len(asked) == len(set(asked)) <= len(files)


def test_a_flipped_bit_in_any_tile_shows_in_the_root(nodes):
    """10,000 single-bit changes over the tiles of a log: none crashes, none passes for the signed root."""
    size, chosen = 1000, random.Random(7)
    files = published(nodes, size)
    root = merkle.root_of(map(merkle.leaf_hash, ENTRIES))
    names = sorted(files)
    leaf_tiles = [name for name in names if name.startswith("tile/0/")]
    for _ in range(10_000):
        name = chosen.choice(names)
        changed = bytearray(files[name])
        bit = chosen.randrange(len(changed) * 8)
        changed[bit // 8] ^= 1 << bit % 8
        attacked = {**files, name: bytes(changed)}
        assert not follows(attacked, size, root, leaf_tiles)


def follows(files, size, root, leaf_tiles):
    """What a monitor checks of its tiles: each upper hash is the root of the tile below, and all lead to the root."""
    read = tiles.reader(lambda tile: files[tile.path()], size)
    if merkle.root(size, read) != root:
        return False
    for name in leaf_tiles:
        tile = Tile.parse(name)
        if tile.full and merkle.root_of(tiles.decode_hashes(tile, files[name])) != read(8, tile.index):
            return False
    return True


def test_honest_tiles_follow(nodes):
    files = published(nodes, 1000)
    root = merkle.root_of(map(merkle.leaf_hash, ENTRIES))
    assert follows(files, 1000, root, [name for name in files if name.startswith("tile/0/")])


@pytest.mark.parametrize("size", [0, 31, 33, 8191, 8193])
def test_a_tile_of_the_wrong_length_is_refused(size):
    with pytest.raises(TileError, match="bytes"):
        tiles.decode_hashes(Tile(0, 0), bytes(size))


@pytest.mark.parametrize(("level", "index", "size"), [(0, 5, 5), (1, 2, 5), (3, 0, 7), (0, -1, 5)])
def test_a_hash_that_the_tree_does_not_have_is_not_read(level, index, size):
    with pytest.raises(TileError, match="no complete subtree"):
        tiles.reader(lambda tile: b"", size)(level, index)


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_every_bundle_is_read_back(entries):
    assert tiles.decode_entries(Tile(None, 0, len(entries)), tiles.encode_entries(entries)) == entries


def test_a_bundle_is_what_the_specification_says():
    assert tiles.encode_entries([b"abc", b""]) == b"\x00\x03abc\x00\x00"
    assert len(tiles.encode_entries([b"x" * 65535])) == 65537
    with pytest.raises(TileError, match="over 65535"):
        tiles.encode_entries([b"x" * 65536])


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x03ab", b"\x00\x03abc\x00", b"\x00\x03abc\x00\x00\x00\x00"])
def test_a_bundle_that_is_cut_or_too_long_is_refused(data):
    with pytest.raises(TileError):
        tiles.decode_entries(Tile(None, 0, 2), data)
