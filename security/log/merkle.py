"""The arithmetic of the log's Merkle tree (RFC 9162 §2.1, the same tree as RFC 6962 §2.1). Pure: SHA-256 and integers.

A *position* is ``(level, index)``: the root of the complete subtree over leaves ``index·2^level`` to
``(index+1)·2^level - 1``. Level 0 holds the leaf hashes. Complete subtrees never change once they exist, so they are
what is stored; a proof reads O(log n) of them through a *reader*, any ``(level, index) -> hash``, and never a storage.
Where the reader is a database, ask for the positions first (``inclusion_positions`` and its like): one query then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

HASH_BYTES = 32
MAX_SIZE = 2**63 - 1
EMPTY_ROOT = hashlib.sha256(b"").digest()

Position = tuple[int, int]
HashReader = Callable[[int, int], bytes]

_sha256 = hashlib.sha256


class ProofError(ValueError):
    """A proof that proves nothing; the text says which rule it breaks."""


class Node(NamedTuple):
    """A complete subtree and its root hash."""

    level: int
    index: int  # type: ignore[assignment]  # hides tuple.index
    hash: bytes


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry, ``SHA-256(0x00 ‖ entry)``, 32 bytes (RFC 9162 §2.1.1)."""
    return _sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees, ``SHA-256(0x01 ‖ left ‖ right)``, 32 bytes (RFC 9162 §2.1.1)."""
    return _sha256(b"\x01" + left + right).digest()


# --------------------------------------------------------------------------------------------------- growing a tree


class Frontier:
    """The right edge of a tree: the roots of its complete subtrees, the largest first. Enough to append and to sign.

    ``hashes`` has one 32-byte hash for each bit that is set in ``size``. Raises ValueError where it has not.
    """

    __slots__ = ("hashes", "size")

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size = size
        self.hashes = list(hashes)
        if not 0 <= size <= MAX_SIZE:
            raise ValueError(f"a tree cannot have {size} leaves")
        if len(self.hashes) != size.bit_count() or any(len(each) != HASH_BYTES for each in self.hashes):
            raise ValueError(f"a tree of {size} leaves has {size.bit_count()} subtree hashes of {HASH_BYTES} bytes")

    @classmethod
    def read(cls, size: int, read: HashReader) -> Frontier:
        """The frontier of the stored tree of that size. Whatever ``read`` raises goes through."""
        return cls(size, [read(*position) for position in subtrees(0, size)])

    def append(self, leaf: bytes) -> list[Node]:
        """Add one leaf *hash*; returns the subtrees that it completes, the leaf itself first (RFC 9162 §2.1.2)."""
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf)}")
        index, level, top = self.size, 0, leaf
        completed = [Node(0, index, leaf)]
        while index & 1:
            top = node_hash(self.hashes.pop(), top)
            index, level = index >> 1, level + 1
            completed.append(Node(level, index, top))
        self.hashes.append(top)
        self.size += 1
        return completed

    def root(self) -> bytes:
        """The root hash of the tree so far; ``SHA-256("")`` for the empty tree."""
        return _fold(self.hashes) if self.hashes else EMPTY_ROOT


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root hash over leaf hashes (RFC 9162 §2.1.1), in constant memory."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root()


def subtrees(start: int, end: int) -> list[Position]:
    """The complete subtrees that together cover leaves ``start`` to ``end - 1``, from left to right.

    ``subtrees(0, size)`` are the positions of a frontier's hashes.
    """
    positions = []
    while start < end:
        level = (end - start).bit_length() - 1
        if start:
            level = min(level, (start & -start).bit_length() - 1)
        positions.append((level, start >> level))
        start += 1 << level
    return positions


def root(size: int, read: HashReader) -> bytes:
    """The root hash of the first ``size`` leaves of a stored tree."""
    return Frontier.read(size, read).root()


def _fold(hashes: Sequence[bytes]) -> bytes:
    """The root over neighbouring complete subtrees, the largest first: they join from the right."""
    top = hashes[-1]
    for left in reversed(hashes[:-1]):
        top = node_hash(left, top)
    return top


# --------------------------------------------------------------------------------------------------- making proofs


def inclusion_proof(index: int, size: int, read: HashReader) -> list[bytes]:
    """The hashes that lead from leaf ``index`` to the root of the first ``size`` leaves (RFC 9162 §2.1.3.1).

    Raises ValueError unless ``0 <= index < size``.
    """
    return _hashes(_inclusion_ranges(index, size), read)


def inclusion_positions(index: int, size: int) -> list[Position]:
    """What ``inclusion_proof`` will read."""
    return _positions(_inclusion_ranges(index, size))


def consistency_proof(old: int, new: int, read: HashReader) -> list[bytes]:
    """The hashes that show the first ``old`` of ``new`` leaves to be unchanged (RFC 9162 §2.1.4.1).

    Raises ValueError unless ``1 <= old <= new``.
    """
    return _hashes(_consistency_ranges(old, new), read)


def consistency_positions(old: int, new: int) -> list[Position]:
    """What ``consistency_proof`` will read."""
    return _positions(_consistency_ranges(old, new))


_Range = tuple[int, int]


def _inclusion_ranges(index: int, size: int) -> list[_Range]:
    """The sibling ranges on the way from the leaf up: PATH of RFC 9162 §2.1.3.1, walked from the root down."""
    if not 0 <= index < size <= MAX_SIZE:
        raise ValueError(f"there is no leaf {index} in a tree of {size} leaves")
    start, end, ranges = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    return ranges[::-1]


def _consistency_ranges(old: int, new: int) -> list[_Range]:
    """SUBPROOF of RFC 9162 §2.1.4.1, walked from the root down; an old tree that is one subtree is left out."""
    if not 1 <= old <= new <= MAX_SIZE:
        raise ValueError(f"a consistency proof is from 1 or more leaves to no fewer, not from {old} to {new}")
    start, end, ranges = 0, new, []
    while old < end:
        middle = start + _split(end - start)
        if old <= middle:
            ranges.append((middle, end))
            end = middle
        else:
            ranges.append((start, middle))
            start = middle
    if start:
        ranges.append((start, end))
    return ranges[::-1]


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``: where RFC 9162 §2.1.1 divides."""
    return 1 << ((count - 1).bit_length() - 1)


def _positions(ranges: list[_Range]) -> list[Position]:
    return [position for start, end in ranges for position in subtrees(start, end)]


def _hashes(ranges: list[_Range], read: HashReader) -> list[bytes]:
    return [_fold([read(*position) for position in subtrees(start, end)]) for start, end in ranges]


# ------------------------------------------------------------------------------------------------ verifying proofs


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash stands at ``index`` in the tree of ``size`` leaves with that root (RFC 9162 §2.1.3.2).

    1. The tree is not empty and the index is in it; every hash has 32 bytes.
    2. The proof, walked from the leaf up, is used up exactly when the top is reached.
    3. What comes out is the root.
    Raises ProofError.
    """
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"there is no leaf {index} in a tree of {size} leaves")
    _require_hashes(leaf, root, *proof)
    found, at, last = leaf, index, size - 1
    for step in proof:
        if last == 0:
            raise ProofError("the inclusion proof is longer than the tree is high")
        if at & 1 or at == last:
            found = node_hash(step, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError("the inclusion proof ends before the root")
    if found != root:
        raise ProofError(f"the inclusion proof of leaf {index} leads to another root than that of {size} leaves")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of ``new`` leaves begins with the tree of ``old`` leaves (RFC 9162 §2.1.4.2).

    1. Neither tree is empty (every tree begins with the empty one: nothing would be proved); the old is no longer.
    2. Trees of the same size have the same root and need no proof.
    3. The proof, walked upwards, is used up exactly at the top and gives both roots.
    Raises ProofError.
    """
    if not 1 <= old <= new <= MAX_SIZE:
        raise ProofError(f"a consistency proof is from 1 or more leaves to no fewer, not from {old} to {new}")
    if old == new:
        _verify_same(old, proof, old_root, new_root)
        return
    _require_hashes(old_root, new_root, *proof)
    found_old, found_new = _both_roots(old, new, proof, old_root)
    if found_old != old_root:
        raise ProofError(f"the consistency proof leads to another root than that of the {old} leaves")
    if found_new != new_root:
        raise ProofError(f"the consistency proof leads to another root than that of the {new} leaves")


def _verify_same(size: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    if proof:
        raise ProofError("two trees of the same size need no proof, but one was given")
    if not old_root or not new_root:
        raise ProofError("a root hash is empty")
    if old_root != new_root:
        raise ProofError(f"two different trees of {size} leaves: the log has been forked")


def _both_roots(old: int, new: int, proof: Sequence[bytes], old_root: bytes) -> tuple[bytes, bytes]:
    """Steps 2 to 6 of RFC 9162 §2.1.4.2; raises ProofError when the proof has the wrong length."""
    steps = list(proof)
    if not old & (old - 1):  # a complete subtree: its root is in the verifier's hand, so the proof leaves it out
        steps.insert(0, old_root)
    if not steps:
        raise ProofError("the consistency proof is empty")
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    found_old = found_new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the consistency proof is longer than the tree is high")
        if at & 1 or at == last:
            found_old, found_new = node_hash(step, found_old), node_hash(step, found_new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found_new = node_hash(found_new, step)
        at, last = at >> 1, last >> 1
    if last:
        raise ProofError("the consistency proof ends before the root")
    return found_old, found_new


def _require_hashes(*hashes: bytes) -> None:
    for each in hashes:
        if len(each) != HASH_BYTES:
            raise ProofError(f"a hash has {HASH_BYTES} bytes, not {len(each)}")
