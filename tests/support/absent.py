"""What a test does when something of the machine that it needs is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def absent(what: str) -> NoReturn:
    """Skip the test; where every service is meant to be there (COUNTERSIGN_REQUIRE_SERVICES), fail it."""
    if os.environ.get("COUNTERSIGN_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{what} (COUNTERSIGN_REQUIRE_SERVICES is set)")
    pytest.skip(what)
