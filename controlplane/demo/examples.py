"""The three examples: where their data comes from, what is run, and what their checks are meant to find."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml
from django.conf import settings

from examples.breast_cancer import write_breast_cancer
from examples.credit_applications import write_credit_applications

ADULT = "adult.csv"
ADULT_COMES_FROM = "the UCI Machine Learning Repository, https://archive.ics.uci.edu/dataset/2/adult (CC BY 4.0)"


class DataMissingError(Exception):
    """The example's data is not here; the message says where to get it."""


@dataclass(frozen=True)
class Batch:
    """One run: its label, parameters, and the steps (``family.name``) whose FAIL is the finding it was made for.

    Every other check is expected to pass. ``submit``: its model is put up for approval.
    """

    label: str
    parameters: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    findings: frozenset[str] = frozenset()
    submit: bool = True


@dataclass(frozen=True)
class Example:
    """An AI system, its pipeline (``examples/<slug>.yaml``) and its risk (``examples/risk/<slug>.yaml``).

    ``tier``: what the answers about its risk come to.
    """

    slug: str
    name: str
    purpose: str
    tier: str
    write: Callable[[Path, Path | None], object]
    batches: tuple[Batch, ...]

    @property
    def spec(self) -> bytes:
        """The specification as it is in the repository."""
        return (Path(settings.BASE_DIR) / "examples" / f"{self.slug}.yaml").read_bytes()

    @property
    def risk(self) -> dict[str, Any]:
        """How the system is described, and under ``answers`` what its questionnaire is answered with."""
        found: dict[str, Any] = yaml.safe_load(
            (Path(settings.BASE_DIR) / "examples" / "risk" / f"{self.slug}.yaml").read_text(encoding="utf-8")
        )
        return found


def _breast_cancer(root: Path, data: Path | None) -> object:
    return write_breast_cancer(root)


def _credit(root: Path, data: Path | None) -> object:
    return write_credit_applications(root)


def _adult(root: Path, data: Path | None) -> object:
    """Copy adult.csv from the first folder that has it. Raises DataMissingError."""
    beside = Path(settings.BASE_DIR).parent / "shared" / "data"
    folders = [folder for folder in (data, os.environ.get("COUNTERSIGN_DATA"), root, beside) if folder]
    for folder in map(Path, folders):
        if (folder / ADULT).is_file():
            return folder == root or shutil.copyfile(folder / ADULT, root / ADULT)
    raise DataMissingError(
        f"{ADULT} is not here: take it from {ADULT_COMES_FROM}, with a header line, and name its folder: "
        "make demo ARGS='--data FOLDER'."
    )


EXAMPLES = (
    Example(
        "breast-cancer",
        "Breast cancer, second reading",
        "Teaching example on published measurements: marks stored samples for a second reading. Nobody is diagnosed, "
        "and no patient is affected by its answer.",
        "low",
        _breast_cancer,
        (Batch("all samples"),),
    ),
    Example(
        "credit-applications",
        "Credit applications",
        "Estimates the chance that an applicant defaults, so that a clerk looks at the doubtful ones. All applicants "
        "are made up.",
        "high",
        _credit,
        (
            Batch("batch 1", MappingProxyType({"applications": "credit-applications-1.csv"})),
            Batch(
                "batch 2",
                MappingProxyType({"applications": "credit-applications-2.csv"}),
                findings=frozenset({"check.poisoning", "monitor.drift"}),
                submit=False,
            ),
        ),
    ),
    Example(
        "adult-income",
        "Census income",
        "Shows on the 1994 census how a model that is accurate on average can miss people of some groups more often. "
        "Not for use.",
        "medium",
        _adult,
        (Batch("1994 census", findings=frozenset({"evaluate.slices"})),),
    ),
)
