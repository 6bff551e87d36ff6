"""A tool, not collected by itself: ``pytest -q -s tests/walk/observed.py`` prints rows for routes that have none yet.

What it prints is what the code does now. Before a row goes into the table, think who should get which answer.
"""

from __future__ import annotations

import sys

from django.test import Client

from tests.support.people import People
from tests.walk import routes, table
from tests.walk.test_walk import walked
from tests.walk.world import World, visitor


def test_rows_that_are_missing(people: People):
    world = World(people)
    names = sorted(set(routes.everything()) - set(table.read()))
    nobody = walked(world, Client(), {}, names)
    own = {role: walked(world, *visitor(people, role, people.system), names) for role in table.ROLES}
    foreign = {role: walked(world, *visitor(people, role, people.other), names) for role in table.ROLES}
    lines = [
        table.line(name, table.Row(nobody[name], *({r: one[r][name] for r in one} for one in (own, foreign))))
        for name in names
    ]
    sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert [table.parse(line)[0] for line in lines] == names
