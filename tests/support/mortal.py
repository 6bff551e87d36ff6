"""Processes that work on a database until they are killed: ``python -m tests.support.mortal SEED KILLS``.

A web server, a worker and the sequencer work beside each other, forked from one process that has imported everything.
One of them after the other, by chance, is killed with SIGKILL at a random time and takes up its work again as a new
process while the others go on. Prints how many died in each role, as JSON.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from uuid import uuid4

import django

django.setup()

from django.db import connections, transaction
from django.test import Client

from security.access.models import AISystem
from security.identity.models import User
from security.log import sequencer
from security.vault import services as vault

LONGEST_CALM = 0.12  # seconds between two kills


def web() -> Iterator[None]:
    """Requests through every middleware, each of which changes something."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="admin"))
    for _ in itertools.count():
        slug = f"s{uuid4().hex[:12]}"
        answer = client.post(
            "/api/v1/systems",
            {"slug": slug, "name": "A system", "purpose": "To be there"},
            content_type="application/json",
            headers={"X-CSRFToken": client.cookies["csrftoken"].value if "csrftoken" in client.cookies else ""},
        )
        if answer.status_code != 201:
            raise SystemExit(f"{answer.status_code} {answer.content[:300]!r}")
        yield


def worker() -> Iterator[None]:
    """Artifacts into the vault, each with its row and its event."""
    system = AISystem.objects.get(slug="credit")
    for number in itertools.count():
        stored = vault.put(iter([f"{os.getpid()} {number} {uuid4()}".encode() * 200]))
        with transaction.atomic():
            vault.keep(stored, acting_user=None, system=system, media_type="text/plain")
        yield


def numberer() -> Iterator[None]:
    """The sequencer, with a pause as short as lets the others write: on SQLite there is one writer at a time."""
    while True:
        sequencer.number()
        yield
        time.sleep(0.005)


ROLES = {"web": web, "worker": worker, "sequencer": numberer}


def _live(role: str, say: int) -> None:
    """Work for ever, and say so after the first change."""
    try:
        for done, _ in enumerate(ROLES[role]()):
            if done == 0:
                os.write(say, b"x")
    except BaseException as error:
        sys.stderr.write(f"{role}: {type(error).__name__}: {error}\n")
    os._exit(1)


def _born(role: str) -> int:
    """The process id of a new child, which is at work when this returns, or has ended."""
    said, say = os.pipe()
    child = os.fork()
    if child == 0:
        _live(role, say)
    os.close(say)
    os.read(said, 1)
    os.close(said)
    return child


def _die(child: int, role: str) -> str:
    """The role, if it was the kill that ended it."""
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return role if os.WIFSIGNALED(status) else f"{role} ended by itself"


def main(seed: int, kills: int) -> None:
    Client(headers={"host": "localhost"}).get("/api/v1/systems")  # loads what the first request loads
    connections.close_all()
    chance, died = random.Random(seed), Counter[str]()
    alive = {role: _born(role) for role in ROLES}
    for _ in range(kills - len(ROLES)):
        time.sleep(chance.uniform(0, LONGEST_CALM))
        role = chance.choice(list(ROLES))
        died[_die(alive[role], role)] += 1
        alive[role] = _born(role)
    died.update([_die(child, role) for role, child in alive.items()])
    print(json.dumps(died))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
