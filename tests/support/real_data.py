"""The folder of real data sets, which are read where they lie and never committed, and the schemas beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# COUNTERSIGN_DATA names it; otherwise it lies beside the checkout.
FOLDER = Path(os.environ.get("COUNTERSIGN_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")


def real_data(name: str) -> Path:
    """The file of that name; a test that needs it skips and says so where it is absent."""
    file = FOLDER / name
    if not file.is_file():
        pytest.skip(f"{name} is absent: set COUNTERSIGN_DATA to the folder that holds it")
    return file


def reference(name: str) -> Path:
    """The file of that name in the folder ``reference`` beside the data: schemas that others have published."""
    file = FOLDER.parent / "reference" / name
    if not file.is_file():
        pytest.skip(f"{name} is absent: it belongs into the folder “reference” beside the data sets")
    return file
