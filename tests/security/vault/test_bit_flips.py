"""Ten thousand single bits, flipped at random (seeded) in stored objects and wrapped keys: each found, none a crash."""

from __future__ import annotations

import os
import random
from collections import Counter
from pathlib import Path

import pytest

from security.errors import UnavailableError
from security.vault import envelope
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.stream import SEGMENT_BYTES, DamagedError
from tests.support.api import stored
from tests.support.people import People

# size of the content in bytes: flips. Two segments, one, hardly more than the header, nothing but header and tag.
OBJECTS = {SEGMENT_BYTES + 1000: 300, 70_000: 2_200, 1_000: 2_500, 0: 2_000}
KEYS = 3_000


@pytest.fixture
def artifacts(people: People) -> dict[int, Artifact]:
    return {size: stored(people.system, random.Random(size).randbytes(size)) for size in OBJECTS}


def outcome(artifact: Artifact) -> str:
    """What reading the whole says: anything but the two errors of damage would be a crash."""
    try:
        vault.read(artifact)
    except DamagedError:
        return "damaged"
    except UnavailableError:
        return "unavailable"
    return "read"


def test_every_flipped_bit_of_a_stored_object_is_damage(artifacts: dict[int, Artifact]):
    chance, found = random.Random(20261121), Counter[str]()
    for size, flips in OBJECTS.items():
        artifact = artifacts[size]
        with Path(vault.store().path(artifact.object_name)).open("r+b", buffering=0) as file:
            for _ in range(flips):
                place, bit = chance.randrange(artifact.object_size), 1 << chance.randrange(8)
                byte = os.pread(file.fileno(), 1, place)
                os.pwrite(file.fileno(), bytes([byte[0] ^ bit]), place)
                found[outcome(artifact)] += 1
                os.pwrite(file.fileno(), byte, place)
        assert outcome(artifact) == "read"
    assert found == {"damaged": sum(OBJECTS.values())}


def test_every_flipped_bit_of_a_wrapped_key_is_damage(artifacts: dict[int, Artifact]):
    """Also while the right key is kept in memory: the kept one belongs to other bytes."""
    artifact, chance, found = artifacts[1_000], random.Random(20261122), Counter[str]()
    genuine = bytes(artifact.wrapped_key)
    assert outcome(artifact) == "read"
    for _ in range(KEYS):
        flipped = bytearray(genuine)
        flipped[chance.randrange(len(genuine))] ^= 1 << chance.randrange(8)
        Artifact.objects.filter(pk=artifact.pk).update(wrapped_key=bytes(flipped))
        found[outcome(artifact)] += 1
    assert found == {"damaged": KEYS}
    assert sum(OBJECTS.values()) + KEYS == 10_000
    Artifact.objects.filter(pk=artifact.pk).update(wrapped_key=genuine)
    envelope.forget()
    assert outcome(artifact) == "read"


@pytest.mark.parametrize("column", ["object_name", "key_id", "provider", "digest"])
def test_a_flipped_bit_in_what_names_object_and_key_is_found(artifacts: dict[int, Artifact], column: str):
    artifact = artifacts[1_000]
    value = getattr(artifact, column)
    for place in range(len(value)):
        changed = value[:place] + chr(ord(value[place]) ^ 1) + value[place + 1 :]
        Artifact.objects.filter(pk=artifact.pk).update(**{column: changed})
        assert outcome(artifact) in ("damaged", "unavailable")
