"""The contract of a step: tables, models, reports or files in; the same and measurements out.

A step file defines one ``STEP = Step(...)`` whose ``run`` is a pure function. It imports no Django, no Celery and
opens no network connection; everything it may know is in its ``StepContext``. The engine loads inputs by digest,
verifies them, runs the step in a child process and stores what it returns.

Port kinds and the Python value that travels through them:

======== ============================================== =====================================
kind     as an input                                    as an output
======== ============================================== =====================================
table    ``pyarrow.Table``                              ``pyarrow.Table`` (stored as Parquet)
model    ``bytes`` (skops; load with ``modelfile``)      ``bytes``
report   ``dict`` (parsed JSON)                         ``dict`` (stored as canonical JSON)
file     ``pathlib.Path`` to a verified private copy    not allowed
======== ============================================== =====================================
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from security.measurement import Measurement, Verdict

PortKind = Literal["table", "model", "report", "file"]


class StepParams(BaseModel):
    """Base of every step's parameters. Unknown names are refused; JSON Schema, form and docs are made from it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NoParams(StepParams):
    """For a step that takes none."""


@dataclass(frozen=True)
class Port:
    """A named input or output.

    ``learned_from``: the step fits something on this table and judges no model by it, so a model may have seen it.
    """

    kind: PortKind
    help: str
    required: bool = True
    learned_from: bool = False


@dataclass(frozen=True)
class Source:
    """A file from outside that the engine fetches: the parameter ``param`` holds its path, the input is ``name``.

    The engine resolves the path inside the allowed roots (no symlink out of them), stores the bytes in the vault and
    hands the step a verified private copy, so that what is hashed is what is read. ``stored``: the parameter holds the
    SHA-256 of an artifact that the run's system has already; when it has none, the input stays away unless the port is
    required.
    """

    name: str
    param: str
    stored: bool = False


class StepError(Exception):
    """The step cannot do its work with this input: an answer for a person, never a traceback.

    ``message`` says what is wrong and what would be right, and holds no cell values of personal data;
    ``param`` names the parameter to mend, ``details`` is JSON shown beside it (row numbers, column names).
    """

    def __init__(self, message: str, *, param: str = "", details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.details = dict(details or {})


def _quiet(done: int, total: int | None, note: str) -> None:
    """Progress nobody listens to."""


def _silent(line: str) -> None:
    """A log nobody reads."""


@dataclass(frozen=True)
class StepContext:
    """All a step may know of the world.

    ``seed``: derived from the run's seed and the step's name; ``scratch``: a private folder, removed afterwards;
    ``progress(rows_done, rows_total_or_None, note)``; ``log(line)`` (no personal values); ``seconds`` and
    ``memory_bytes``: the budgets the engine enforces; ``secret``: 32 bytes for keyed tokens, stable per AI system,
    empty unless the step is ``keyed``.
    """

    seed: int
    scratch: Path
    progress: Callable[[int, int | None, str], None] = _quiet
    log: Callable[[str], None] = _silent
    seconds: float = 600.0
    memory_bytes: int = 4 * 2**30
    secret: bytes = b""

    def random(self, purpose: str = "") -> random.Random:
        """A generator for one purpose; the same seed and purpose give the same numbers."""
        return random.Random(self.subseed(purpose))  # noqa: S311 - repeatable on purpose, never for secrets

    def subseed(self, purpose: str) -> int:
        """A 32-bit seed for one purpose (NumPy and scikit-learn accept it)."""
        return int.from_bytes(hashlib.sha256(f"{self.seed}:{purpose}".encode()).digest()[:4], "big")


@dataclass(frozen=True)
class RegisterModel:
    """Asks the engine to register the model that came in on ``port`` as a new version of ``model``."""

    model: str
    port: str
    description: str = ""
    training: str = ""


@dataclass(frozen=True)
class StepResult:
    """What a step gives back. ``outputs`` must hold exactly the declared required ports."""

    outputs: Mapping[str, Any] = field(default_factory=dict)
    measurements: tuple[Measurement, ...] = ()
    verdict: Verdict | None = None
    summary: str = ""
    register: RegisterModel | None = None


@dataclass(frozen=True)
class Step:
    """A registry entry. ``id`` is ``family.name@version``; a change of meaning is a new version.

    ``evidence`` lists the kinds (``governance/catalogues/evidence_kinds.json``) that the result counts as, ``about``
    the ports (input or output) whose digests it speaks of. ``blocking``: a FAIL verdict stops the run.
    ``keyed``: it makes tokens with the system's secret, which no other step is given. ``confined``: it opens what
    somebody else made, so its process loses network and other programs before it starts.
    """

    id: str
    title: str
    help: str
    params: type[StepParams]
    run: Callable[[Mapping[str, Any], Any, StepContext], StepResult]
    inputs: Mapping[str, Port] = field(default_factory=dict)
    outputs: Mapping[str, Port] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    evidence: tuple[str, ...] = ()
    about: tuple[str, ...] = ()
    blocking: bool = False
    keyed: bool = False
    confined: bool = False

    @property
    def name(self) -> str:
        return self.id.partition("@")[0]

    @property
    def version(self) -> int:
        return int(self.id.partition("@")[2])
