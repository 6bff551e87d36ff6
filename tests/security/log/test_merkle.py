"""The Merkle tree against the RFC's definition, transparency-dev's vectors, pymerkle and sigstore."""

import base64
import hashlib
import json
import random
from types import SimpleNamespace

import pymerkle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore._internal.merkle import verify_merkle_inclusion
from sigstore.errors import VerificationError

from security.log import merkle
from security.log.merkle import Frontier, ProofError
from tests.support import real_data

VECTORS = real_data.FOLDER / "merkle_vectors.json"
LARGEST = 70


def entries(count):
    return [b"entry %d" % index for index in range(count)]


class Stored:
    """A tree as a database would hold it: complete subtrees by position, and a count of reads."""

    def __init__(self, size):
        self.frontier, self.nodes, self.reads = Frontier(), {}, 0
        for entry in entries(size):
            for node in self.frontier.append(merkle.leaf_hash(entry)):
                self.nodes[node.level, node.index] = node.hash

    def read(self, level, index):
        self.reads += 1
        return self.nodes[level, index]

    def root(self, size):
        return merkle.root(size, self.read)


@pytest.fixture(scope="module")
def stored():
    return Stored(LARGEST)


@pytest.fixture(scope="module")
def pymerkle_tree():
    tree = pymerkle.InmemoryTree(algorithm="sha256")
    for entry in entries(LARGEST):
        tree.append_entry(entry)
    return tree


def mth(leaves):
    """The definition of RFC 9162 §2.1.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def holds(verify, *args):
    try:
        verify(*args)
    except ProofError:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------- the tree


@pytest.mark.parametrize("size", range(LARGEST + 1))
def test_every_root_is_the_rfcs_and_pymerkles(stored, pymerkle_tree, size):
    expected = mth(entries(size))
    assert merkle.root_of(map(merkle.leaf_hash, entries(size))) == expected
    assert stored.root(size) == expected
    assert pymerkle_tree.get_root(size) == expected


def test_a_frontier_read_back_goes_on_as_if_it_had_never_stopped(stored):
    for size in range(LARGEST):
        frontier = Frontier.read(size, stored.read)
        frontier.append(merkle.leaf_hash(entries(LARGEST)[size]))
        assert frontier.root() == stored.root(size + 1)


def test_every_complete_subtree_is_reported_once_with_its_root():
    seen = {}
    frontier = Frontier()
    for entry in entries(64):
        for node in frontier.append(merkle.leaf_hash(entry)):
            assert (node.level, node.index) not in seen
            seen[node.level, node.index] = node.hash
    expected = {(level, index) for level in range(7) for index in range(64 >> level)}
    assert set(seen) == expected
    for (level, index), found in seen.items():
        assert found == mth(entries(64)[index << level : (index + 1) << level])


@pytest.mark.parametrize(("size", "hashes"), [(1, []), (3, [b"x" * 32]), (0, [b"x" * 32]), (1, [b"x" * 31]), (-1, [])])
def test_a_frontier_that_cannot_be_is_refused(size, hashes):
    with pytest.raises(ValueError, match="leaves"):
        Frontier(size, hashes)


def test_an_entry_given_for_a_leaf_hash_is_refused():
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(b"an entry")


# --------------------------------------------------------------------------------------------- proofs against others


def test_every_inclusion_proof_is_pymerkles_and_satisfies_sigstore(stored, pymerkle_tree):
    for size in range(1, LARGEST + 1):
        root = stored.root(size)
        for index in range(size):
            proof = merkle.inclusion_proof(index, size, stored.read)
            merkle.verify_inclusion(merkle.leaf_hash(entries(size)[index]), index, size, proof, root)
            assert pymerkle_tree.prove_inclusion(index + 1, size).path[1:] == proof
            verify_merkle_inclusion(for_sigstore(entries(size)[index], index, size, proof, root))


def for_sigstore(entry, index, size, proof, root):
    inclusion = SimpleNamespace(log_index=index, tree_size=size, hashes=proof, root_hash=root)
    return SimpleNamespace(_inner=SimpleNamespace(inclusion_proof=inclusion, canonicalized_body=entry))


def test_every_consistency_proof_is_the_rfcs_between_roots_that_pymerkle_finds_consistent(stored, pymerkle_tree):
    """pymerkle lays its proofs out in another way than the RFC, so it is asked about the roots and not the hashes."""
    for new in range(1, LARGEST + 1):
        for old in range(1, new + 1):
            proof = merkle.consistency_proof(old, new, stored.read)
            assert proof == subproof(old, entries(new), known=True)
            merkle.verify_consistency(old, new, proof, stored.root(old), stored.root(new))
            theirs = pymerkle_tree.prove_consistency(old, new)
            theirs.verify(stored.root(old), stored.root(new), prior_size=old, later_size=new, algorithm="sha256")


def subproof(m, leaves, *, known):
    """The definition of RFC 9162 §2.1.4.1, word for word."""
    n = len(leaves)
    if m == n:
        return [] if known else [mth(leaves)]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        return [*subproof(m, leaves[:k], known=known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], known=False), mth(leaves[:k])]


@given(st.data())
def test_a_changed_inclusion_proof_fails_here_and_at_sigstore(stored, data):
    size = data.draw(st.integers(1, LARGEST))
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(index, size, stored.read)
    change = data.draw(st.sampled_from(["flip", "drop", "add", "swap", "index", "root"]))
    changed, place, root = list(proof), index, stored.root(size)
    at = data.draw(st.integers(0, max(0, len(proof) - 1)))
    if change == "flip" and proof:
        changed[at] = flipped(changed[at], data.draw(st.integers(0, 255)))
    elif change == "drop" and proof:
        del changed[at]
    elif change == "swap" and len(proof) > 1:
        changed[at - 1], changed[at] = changed[at], changed[at - 1]
    elif change == "index" and size > 1:
        place = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    elif change == "root":
        root = flipped(root, data.draw(st.integers(0, 255)))
    else:
        changed.insert(at, data.draw(st.binary(min_size=32, max_size=32)))
    entry = entries(size)[index]
    assert not holds(merkle.verify_inclusion, merkle.leaf_hash(entry), place, size, changed, root)
    with pytest.raises(VerificationError):
        verify_merkle_inclusion(for_sigstore(entry, place, size, changed, root))


@given(st.data())
def test_a_changed_consistency_proof_fails(stored, data):
    new = data.draw(st.integers(2, LARGEST))
    old = data.draw(st.integers(1, new - 1))
    proof = merkle.consistency_proof(old, new, stored.read)
    at, bit = data.draw(st.integers(0, len(proof) - 1)), data.draw(st.integers(0, 255))
    bad = [*proof[:at], flipped(proof[at], bit), *proof[at + 1 :]]
    old_root, new_root = stored.root(old), stored.root(new)
    assert not holds(merkle.verify_consistency, old, new, bad, old_root, new_root)
    assert not holds(merkle.verify_consistency, old, new, proof[:at] + proof[at + 1 :], old_root, new_root)
    assert not holds(merkle.verify_consistency, old, new, [*proof, new_root], old_root, new_root)
    assert not holds(merkle.verify_consistency, old, new, proof, flipped(old_root, bit), new_root)
    assert not holds(merkle.verify_consistency, old, new, proof, old_root, flipped(new_root, bit))


def flipped(value, bit):
    changed = bytearray(value)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


# ----------------------------------------------------------------------------------------- transparency-dev's vectors


def vectors(kind):
    if not VECTORS.is_file():
        reason = "merkle_vectors.json is absent: set COUNTERSIGN_DATA to the folder that holds it"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    rows = json.loads(VECTORS.read_text())[kind]
    assert len(rows) == 98
    return [pytest.param(row, id=row["name"]) for row in rows]


def b64(text):
    return base64.b64decode(text or "")


@pytest.mark.parametrize("row", vectors("inclusion"))
def test_inclusion_vector(row):
    proof = [b64(each) for each in row["proof"] or []]
    args = (b64(row["leafHash"]), row["leafIdx"], row["treeSize"], proof, b64(row["root"]))
    assert holds(merkle.verify_inclusion, *args) is not row["wantErr"], row["desc"]


@pytest.mark.parametrize("row", vectors("consistency"))
def test_consistency_vector(row):
    proof = [b64(each) for each in row["proof"] or []]
    args = (row["size1"], row["size2"], proof, b64(row["root1"]), b64(row["root2"]))
    assert holds(merkle.verify_consistency, *args) is not row["wantErr"], row["desc"]


# -------------------------------------------------------------------------------------------------- refusals, and cost


def test_the_empty_tree_proves_nothing():
    empty = merkle.EMPTY_ROOT
    assert not holds(merkle.verify_inclusion, empty, 0, 0, [], empty)
    assert not holds(merkle.verify_consistency, 0, 0, [], empty, empty)
    assert not holds(merkle.verify_consistency, 0, 1, [], empty, empty)
    assert not holds(merkle.verify_inclusion, b"", 0, 1, [], b"")
    assert not holds(merkle.verify_consistency, 1, 1, [], b"", b"")


def test_a_fork_of_the_same_size_is_called_one():
    with pytest.raises(ProofError, match="forked"):
        merkle.verify_consistency(5, 5, [], b"a" * 32, b"b" * 32)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (5, 5), (-1, 5), (6, 5), (0, 2**63)])
def test_a_proof_for_no_leaf_is_not_made(stored, index, size):
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(index, size, stored.read)


@pytest.mark.parametrize(("old", "new"), [(0, 5), (6, 5), (0, 0), (-1, 3)])
def test_a_proof_between_no_trees_is_not_made(stored, old, new):
    with pytest.raises(ValueError, match="consistency proof"):
        merkle.consistency_proof(old, new, stored.read)


def test_a_leaf_cannot_pass_for_a_node(stored):
    """Second preimage: the two hashes below a node, given as an entry, must not hash to the node."""
    left, right = stored.nodes[0, 0], stored.nodes[0, 1]
    assert merkle.leaf_hash(left + right) != merkle.node_hash(left, right) == stored.nodes[1, 0]


def test_a_proof_in_a_log_of_a_billion_reads_fewer_than_two_hashes_a_level():
    """What a proof reads follows from the sizes alone; sixty levels is the most that any reader is asked."""
    random_sizes = random.Random(20260101)
    for _ in range(500):
        size = random_sizes.randrange(2, 2**30)
        index, old = random_sizes.randrange(size), random_sizes.randrange(1, size)
        asked = merkle.inclusion_positions(index, size)
        assert len(asked) == len(set(asked)) <= 2 * size.bit_length()
        asked = merkle.consistency_positions(old, size)
        assert len(asked) == len(set(asked)) <= 2 * size.bit_length()


def test_a_proof_reads_exactly_the_positions_that_were_announced(stored):
    seen = []

    def read(level, index):
        seen.append((level, index))
        return stored.nodes[level, index]

    merkle.inclusion_proof(13, 61, read)
    assert seen == merkle.inclusion_positions(13, 61)
    seen.clear()
    merkle.consistency_proof(13, 61, read)
    assert seen == merkle.consistency_positions(13, 61)
