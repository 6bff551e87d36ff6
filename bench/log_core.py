"""The transparency log's core: verifying entries, and proofs in a log of a million."""

from __future__ import annotations

import gc
import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

from governance.offline import verify_export
from security.canonical import canonical_json
from security.log import merkle, tiles

ENTRIES = 200_000
MILLION = 1_000_000
PROOFS = 2_000


def measure() -> list[dict[str, Any]]:
    """Rows ``{case, count, per_second or p50_ms and p95_ms, ratio}``; one core each."""
    written = [_entry(index) for index in range(ENTRIES)]
    bare = _rate(lambda: [hashlib.sha256(entry).digest() for entry in written], ENTRIES)
    rows = [{"case": "SHA-256 of the entries alone", "count": ENTRIES, "per_second": round(bare), "ratio": 1.0}]
    for name, work in (
        ("leaf hashes and Merkle root", lambda: merkle.root_of(map(merkle.leaf_hash, written))),
        ("the same in verify_export.py", lambda: _offline_root(written)),
        ("sequencing: nodes of every level kept", lambda: _nodes(map(merkle.leaf_hash, written))),
    ):
        rate = _rate(work, ENTRIES)
        rows.append({"case": name, "count": ENTRIES, "per_second": round(rate), "ratio": round(rate / bare, 2)})
    return rows + _proofs()


def _entry(index: int) -> bytes:
    """An entry of the usual length, about 300 bytes."""
    run = hashlib.sha256(str(index // 20).encode()).hexdigest()
    return canonical_json(
        {
            "actor": "urn:countersign:system:engine",
            "event": "step:succeeded",
            "id": f"{index:032x}",
            "payload": {"step": "train", "outputs": {"model": run}},
            "subject": f"urn:countersign:step:{run[:32]}",
            "system": "credit",
            "time": "2026-01-01T00:00:00.000000Z",
        }
    )


def _rate(work: Callable[[], object], count: int) -> float:
    """The best of three, per second."""
    best = min(_seconds(work) for _ in range(3))
    return count / best


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _offline_root(entries: Iterable[bytes]) -> bytes:
    tree = verify_export.Tree()
    for entry in entries:
        tree.append(verify_export.leaf_hash(entry))
    return tree.root()


def _nodes(leaves: Iterable[bytes]) -> dict[tuple[int, int], bytes]:
    frontier = merkle.Frontier()
    return {(node.level, node.index): node.hash for leaf in leaves for node in frontier.append(leaf)}


def _proofs() -> list[dict[str, Any]]:
    """Proofs in a log of a million, from stored hashes of every level and from tiles as a monitor fetches them."""
    nodes = _nodes(hashlib.sha256(index.to_bytes(8, "big")).digest() for index in range(MILLION))
    gc.collect()
    gc.freeze()  # the millions of hashes above are not what is measured
    chosen = random.Random(20260101)  # noqa: S311 - which entries, not keys
    indices = [chosen.randrange(MILLION) for _ in range(PROOFS)]

    def read(level: int, index: int) -> bytes:
        return nodes[level, index]

    def fetch(tile: tiles.Tile) -> bytes:
        return tiles.encode_hashes(nodes[position] for position in tile.positions())

    root = merkle.root(MILLION, read)
    return [
        _timed("inclusion proof, hashes stored", indices, lambda at: merkle.inclusion_proof(at, MILLION, read)),
        _timed(
            "inclusion proof, from tiles fetched anew",
            indices,
            lambda at: merkle.inclusion_proof(at, MILLION, tiles.reader(fetch, MILLION)),
        ),
        _timed("consistency proof, hashes stored", indices, lambda at: merkle.consistency_proof(at + 1, MILLION, read)),
        _timed(
            "inclusion proof made and verified",
            indices,
            lambda at: merkle.verify_inclusion(
                read(0, at), at, MILLION, merkle.inclusion_proof(at, MILLION, read), root
            ),
        ),
    ]


def _timed(name: str, indices: list[int], work: Callable[[int], object]) -> dict[str, Any]:
    times = sorted(_seconds(lambda at=at: work(at)) * 1000 for at in indices)  # type: ignore[misc]  # the default binds
    return {
        "case": f"{name}, log of a million",
        "count": len(indices),
        "p50_ms": round(statistics.median(times), 3),
        "p95_ms": round(times[int(len(times) * 0.95)], 3),
    }
