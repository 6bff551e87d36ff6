"""Inside the installation: ``python -m bench.vaulting compare|memory nowhere|memory|disk MEBIBYTES``; prints JSON.

Alone: SHA-256 and AES-256-GCM of the same buffers of 1 MiB, one after the other in one thread. The vault does more: a
second SHA-256 (of the ciphertext), the store with its fsync, the key, the row; with threads. Raw: the same bytes to a
file beside the store, synced, or read from it. They alternate, and of each the median counts; ``cpu`` is the processor
time of this process, which other programs on the machine disturb less.
"""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import django

django.setup()

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings
from django.db import transaction

from bench.people import cast
from bench.vault import MEMORY
from security.access.models import AISystem
from security.vault import services as vault
from security.vault.models import Artifact

ROUNDS = 5
BUFFERS = [os.urandom(1 << 20) for _ in range(16)]
NONCE = bytes(12)


def pieces(count: int) -> Iterator[bytes]:
    """``count`` buffers of 1 MiB."""
    for number in range(count):
        yield BUFFERS[number % len(BUFFERS)]


def alone_writing(count: int) -> None:
    digest, cipher = hashlib.sha256(), AESGCM(bytes(32))
    for piece in pieces(count):
        digest.update(piece)
        cipher.encrypt(NONCE, piece, None)


def alone_reading(count: int) -> None:
    cipher = AESGCM(bytes(32))
    sealed = [cipher.encrypt(NONCE, piece, None) for piece in BUFFERS]
    digest = hashlib.sha256()
    for number in range(count):
        digest.update(cipher.decrypt(NONCE, sealed[number % len(sealed)], None))


def store(system: AISystem, count: int) -> Artifact:
    """An artifact of ``count`` MiB and a few random bytes, so that no two are equal."""
    content = chain(pieces(count), [os.urandom(8)])
    with transaction.atomic():
        return vault.keep(vault.put(content), acting_user=None, system=system, media_type="application/x")


def read(artifact: Artifact) -> None:
    for _ in vault.chunks_of(artifact):
        pass


def raw_writing(folder: Path, count: int) -> None:
    """The bound that the disk sets: the same bytes written and synced."""
    with (folder / "raw").open("wb", buffering=0) as file:
        for piece in pieces(count):
            file.write(piece)
        os.fsync(file.fileno())


def raw_reading(folder: Path, _: int) -> None:
    with (folder / "raw").open("rb", buffering=0) as file:
        while file.read(1 << 20):
            pass


class Times:
    """Wall-clock and processor time of what was done under each name."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[tuple[float, float]]] = {}

    def take(self, name: str, act: Callable[[], Any]) -> None:
        wall, processor = time.perf_counter(), time.process_time()
        act()
        took = (time.perf_counter() - wall, time.process_time() - processor)
        self._seconds.setdefault(name, []).append(took)

    def rate(self, name: str, count: int) -> float:
        """MiB a second, the median of the rounds."""
        return count / statistics.median(wall for wall, _ in self._seconds[name])

    def processor_ms(self, name: str, count: int) -> float:
        """Milliseconds of processor time for a MiB, the median of the rounds."""
        return round(1000 * statistics.median(cpu for _, cpu in self._seconds[name]) / count, 2)

    def row(self, case: str, count: int) -> dict[str, Any]:
        alone, vault_, raw = (self.rate(name, count) for name in ("alone", "vault", "raw"))
        return {
            "case": f"{case} {count} MiB",
            "alone_MiB_s": round(alone),
            "raw_MiB_s": round(raw),
            "vault_MiB_s": round(vault_),
            "ratio": round(vault_ / alone, 2),
            "ratio_to_slower": round(vault_ / min(alone, raw), 2),
            "alone_cpu_ms": self.processor_ms("alone", count),
            "vault_cpu_ms": self.processor_ms("vault", count),
        }


def compare(system: AISystem, folder: Path, count: int) -> list[dict[str, Any]]:
    """Writing and reading ``count`` MiB against the computations alone and against the disk alone."""
    artifact, writing, reading = store(system, 8), Times(), Times()
    for _ in range(ROUNDS):
        writing.take("alone", lambda: alone_writing(count))
        writing.take("raw", lambda: raw_writing(folder, count))
        writing.take("vault", lambda: store(system, count))
    rows = [writing.row("write", count)]
    if not vault.is_whole(artifact):
        return rows  # this store keeps nothing to read
    artifact = store(system, count)
    for _ in range(ROUNDS):
        reading.take("alone", lambda: alone_reading(count))
        reading.take("raw", lambda: raw_reading(folder, count))
        reading.take("vault", lambda: read(artifact))
    return [*rows, reading.row("read", count)]


def memory(system: AISystem, _: Path, count: int) -> list[dict[str, Any]]:
    """The peak of this process's memory while it stores and reads one artifact of ``count`` MiB."""
    artifact = store(system, 8)
    read(artifact)
    before = peak()
    artifact = store(system, count)
    read(artifact)
    return [
        {"case": f"write and read {count} MiB: peak of the process", "memory_MiB": peak()},
        {"case": "the same with 8 MiB", "memory_MiB": before},
    ]


def peak() -> int:
    """MiB, of this program alone: what getrusage says counts the process that it was forked from."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) // 1024


def use(where: str, folder: str) -> None:
    """Let the vault store nowhere, or in ``folder``."""
    if where == "nowhere":
        chosen: dict[str, Any] = {"BACKEND": "bench.nowhere.Nowhere"}
    else:
        chosen = {"BACKEND": "security.vault.storage.AtomicFileStorage", "OPTIONS": {"location": folder}}
    settings.STORAGES = {**settings.STORAGES, "vault": chosen}


def main(what: str, where: str, count: int) -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY if where == "memory" else None, prefix="countersign-bench-") as folder:
        use(where, folder)
        _, system = cast()
        print(json.dumps({"compare": compare, "memory": memory}[what](system, Path(folder), count)))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
