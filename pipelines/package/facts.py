"""What is known of one model version, as plain values: all that the builders of a package read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

KINDS = ("numeric", "categorical")


@dataclass(frozen=True)
class Data:
    """One table or source file that the model was made from. ``columns``: ``{"name", "type", "personal"}``."""

    digest: str
    role: Literal["table", "source", "declared"]
    name: str
    rows: int | None = None
    columns: Sequence[Mapping[str, Any]] = ()


@dataclass(frozen=True)
class Finding:
    """One result of a check. ``content`` is what ``digest`` is the digest of."""

    id: str
    digest: str
    content: Mapping[str, Any]
    summary: str
    created_at: str

    @property
    def kind(self) -> str:
        return str(self.content["kind"])


@dataclass(frozen=True)
class Facts:
    """A model version. Times are RFC 3339 in UTC; ``training`` is the training report, or the scan of an external one.

    ``onnx``: digest and report of a converted model whose predictions agree, where there is one.
    """

    system: Mapping[str, str]  # slug, name, purpose
    model: Mapping[str, str]  # name, description
    number: int
    version_id: str
    digest: str
    media_type: str
    size: int
    created_at: str
    created_by: str
    training: Mapping[str, Any]
    origin: Mapping[str, Any]  # what the supplier says; empty for a model that was trained here
    run: Mapping[str, Any]  # id, number, seed, parameters, code, environment, started_at, finished_at
    pipeline: Mapping[str, Any]  # name, number, digest
    steps: Sequence[Mapping[str, Any]] = ()  # name, uses, params of what led to the model, in order
    data: Sequence[Data] = ()
    findings: Sequence[Finding] = ()
    onnx: Mapping[str, Any] = field(default_factory=dict)  # digest, size, report

    @property
    def title(self) -> str:
        return f"{self.model['name']} v{self.number}"

    @property
    def is_external(self) -> bool:
        return bool(self.origin)

    @property
    def file(self) -> str:
        """The name of the model's own file in a package."""
        return "model.onnx" if self.media_type == "application/x-onnx" else "model.skops"

    @property
    def task(self) -> str:
        return str(self.training.get("task", "classification"))

    @cached_property
    def columns(self) -> list[dict[str, Any]]:
        """The inputs in their order: ``{"name", "kind"}`` and what limits or values were declared."""
        if declared := self.training.get("columns"):
            return [{name: value for name, value in one.items() if value not in (None, [], ())} for one in declared]
        texts = set(self.training.get("categorical", ()))
        names = self.training.get("features", ())
        return [{"name": str(name), "kind": "text" if name in texts else "number"} for name in names]

    @cached_property
    def classes(self) -> list[str]:
        return [str(one) for one in self.training.get("classes", ())]

    @property
    def estimator(self) -> str:
        """What it is, in the words of its report."""
        names = ("estimator", "estimator_type", "format")
        return str(next((self.training[name] for name in names if self.training.get(name)), "unknown"))

    @property
    def packages(self) -> Mapping[str, str]:
        """Installed packages with their exact versions, where the run recorded all of them; else the main ones."""
        environment = self.run.get("environment", {})
        found: Mapping[str, str] = environment.get("installed") or environment.get("packages") or {}
        return found
