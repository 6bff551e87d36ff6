"""Rows in two systems, and clients for the people in them."""

from __future__ import annotations

import pytest

from tests.support.api import Api, Rows
from tests.support.people import People


@pytest.fixture
def rows(people: People) -> Rows:
    """One of everything in the system ``credit``."""
    return Rows(people.system, people.engineer)


@pytest.fixture
def foreign(people: People) -> Rows:
    """One of everything in the system ``other``, where only the outsider has a role."""
    return Rows(people.other, people.outsider)


@pytest.fixture
def api(people: People) -> Api:
    """The engineer's token with every scope."""
    return Api(people.engineer)


@pytest.fixture
def admin(people: People) -> Api:
    """The administrator's session."""
    return Api(people.admin, session=True)
