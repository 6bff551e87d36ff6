"""Where an artifact comes from and what came of it: artifacts and steps as a graph.

An artifact's producers are the steps that have it among their outputs. A reused step stands for the step that it
reuses (same step, parameters and inputs), so the graph shows one producer and not one per repetition.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal
from uuid import UUID

from django.db import connection
from django.db.models import Model as Row
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce

from pipelines.models import DatasetVersion, Evidence, ModelVersion, StepInput, StepOutput, StepRun
from security.canonical import urn
from security.vault.models import Artifact

Direction = Literal["up", "down", "both"]
MAX_NODES = 20_000
_BATCH = 10_000  # ids in one query


@dataclass(frozen=True)
class Node:
    """``id`` is a URN; ``page`` and ``key`` name the page to link to; ``state`` a step's state or a verdict."""

    id: str
    kind: str
    label: str
    digest: str = ""
    state: str = ""
    page: str = ""
    key: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Edge:
    """From what was there first to what came of it; ``role`` is the port, or what the target says of the source."""

    source: str
    target: str
    role: str


@dataclass(frozen=True)
class Lineage:
    """``truncated``: there is more beyond the asked depth or beyond ``MAX_NODES``."""

    nodes: list[Node]
    edges: list[Edge]
    truncated: bool = False

    def as_json(self) -> dict[str, Any]:
        """``{"nodes": [...], "edges": [{"from", "to", "role"}], "truncated"}``."""
        edges = [{"from": edge.source, "to": edge.target, "role": edge.role} for edge in self.edges]
        return {"nodes": [asdict(node) for node in self.nodes], "edges": edges, "truncated": self.truncated}


def graph(artifact: Artifact, direction: Direction = "both", depth: int = 10) -> Lineage:
    """The lineage of one artifact, ``depth`` steps up and down, with models, data sets and evidence on the way.

    Breadth first, with two queries for each level and a constant number besides.
    """
    walk = _Walk(artifact.pk)
    for way in ("up", "down") if direction == "both" else (direction,):
        walk.go(way, depth)
    steps = _steps(walk.steps)
    nodes = [*_artifact_nodes(walk), *(_step_node(step) for step in steps)]
    edges = walk.edges()
    evidence = list(_evidence_on(walk.artifacts))
    nodes.extend(evidence_node(row) for row in evidence)
    edges.extend(_evidence_edges(evidence, {urn("step", step.pk) for step in steps}, walk.artifacts))
    return Lineage(nodes, edges, walk.truncated)


def upstream_artifacts(artifact: Artifact) -> set[UUID]:
    """Ids of everything that any producer of the artifact, however often it was made, used; itself included."""
    return upstream_of([artifact.pk])[artifact.pk]


def upstream_of(artifacts: Iterable[UUID]) -> dict[UUID, set[UUID]]:
    """``upstream_artifacts`` of many, in one query."""
    roots = list(dict.fromkeys(artifacts))
    if not roots:
        return {}
    adapt = Artifact._meta.pk.get_db_prep_value
    with connection.cursor() as cursor:
        cursor.execute(_UPSTREAM.format(", ".join(["%s"] * len(roots))), [adapt(pk, connection) for pk in roots])
        rows = cursor.fetchall()
    found: dict[UUID, set[UUID]] = defaultdict(set)
    for root, member in rows:
        found[_uuid(root)].add(_uuid(member))
    return dict(found)


_UPSTREAM = """
    WITH RECURSIVE up (root, artifact) AS (
        SELECT id, id FROM vault_artifact WHERE id IN ({})
        UNION
        SELECT up.root, used.artifact_id FROM up
        JOIN pipelines_stepoutput made ON made.artifact_id = up.artifact
        JOIN pipelines_stepinput used ON used.step_run_id = made.step_run_id
    )
    SELECT root, artifact FROM up
"""


@dataclass(frozen=True)
class Ancestry:
    """What one model version was made from, in the run that registered it: ids of artifacts, the model's included.

    ``data`` maps the tables and source files among them to ``table`` or ``source``.
    """

    artifacts: frozenset[UUID]
    data: Mapping[UUID, str]


def ancestries(versions: Iterable[ModelVersion]) -> dict[UUID, Ancestry]:
    """The ancestry of each model version, in two queries.

    Every input of a step is a source file or made in the same run (a reused step records its inputs again), so the
    registering run holds the whole ancestry, and later runs that happen to make the same bytes change nothing in it.
    """
    wanted = list(versions)
    runs = {version.step_run.run_id for version in wanted}
    made: dict[tuple[UUID, UUID], list[UUID]] = defaultdict(list)  # (run, artifact) → steps
    used: dict[UUID, list[UUID]] = defaultdict(list)  # step → artifacts
    data: dict[UUID, str] = {}
    outputs = StepOutput.objects.filter(step_run__run__in=runs)
    for run, step, artifact, kind in outputs.values_list("step_run__run", "step_run", "artifact", "kind"):
        made[run, artifact].append(step)
        if kind == "table":
            data[artifact] = "table"
    for step, artifact, origin in StepInput.objects.filter(step_run__run__in=runs).values_list(
        "step_run", "artifact", "origin"
    ):
        used[step].append(artifact)
        if origin:
            data.setdefault(artifact, "source")
    return {version.pk: _ancestry(version, made, used, data) for version in wanted}


def ancestry(version: ModelVersion) -> Ancestry:
    """``ancestries`` of one."""
    return ancestries([version])[version.pk]


def _ancestry(
    version: ModelVersion,
    made: Mapping[tuple[UUID, UUID], list[UUID]],
    used: Mapping[UUID, list[UUID]],
    data: Mapping[UUID, str],
) -> Ancestry:
    run, seen, waiting = version.step_run.run_id, {version.artifact_id}, [version.artifact_id]
    while waiting:
        artifact = waiting.pop()
        for step in made.get((run, artifact), ()):
            for parent in used.get(step, ()):
                if parent not in seen:
                    seen.add(parent)
                    waiting.append(parent)
    return Ancestry(frozenset(seen), {pk: data[pk] for pk in seen if pk in data})


class _Walk:
    """Breadth-first search over artifacts and (original) steps."""

    def __init__(self, start: UUID) -> None:
        self.start = start
        self.artifacts: set[UUID] = {start}
        self.steps: set[UUID] = set()
        self.inputs: dict[tuple[UUID, UUID], str] = {}  # (artifact, step) → port
        self.outputs: dict[tuple[UUID, UUID], tuple[str, str]] = {}  # (step, artifact) → port, kind
        self.origins: dict[UUID, str] = {}
        self.truncated = False

    def go(self, way: str, depth: int) -> None:
        """Follow ``depth`` steps up or down from the start."""
        near, far = (self._read_outputs, self._read_inputs) if way == "up" else (self._read_inputs, self._read_outputs)
        frontier, seen_artifacts, seen_steps = {self.start}, {self.start}, set[UUID]()
        for _ in range(depth):
            steps = {step for step, _ in near(artifact=frontier)} - seen_steps
            seen_steps |= steps
            frontier = {artifact for _, artifact in far(step=steps)} - seen_artifacts if steps else set()
            seen_artifacts |= frontier
            self.steps |= steps
            self.artifacts |= frontier
            if not frontier:
                return
            if len(self.steps) + len(self.artifacts) > MAX_NODES:
                break
        self.truncated = self.truncated or bool(near(artifact=frontier, keep=False))

    def edges(self) -> list[Edge]:
        made = [
            Edge(urn("step", step), urn("artifact", artifact), port)
            for (step, artifact), (port, _) in self.outputs.items()
            if step in self.steps and artifact in self.artifacts
        ]
        return made + [
            Edge(urn("artifact", artifact), urn("step", step), port)
            for (artifact, step), port in self.inputs.items()
            if step in self.steps and artifact in self.artifacts
        ]

    def _read_outputs(self, *, keep: bool = True, **ids: set[UUID]) -> list[tuple[UUID, UUID]]:
        pairs = []
        for original, artifact, port, kind in _rows(StepOutput.objects, ids, "port", "kind"):
            pairs.append((original, artifact))
            if keep:
                self.outputs[original, artifact] = (port, kind)
        return pairs

    def _read_inputs(self, *, keep: bool = True, **ids: set[UUID]) -> list[tuple[UUID, UUID]]:
        pairs = []
        for original, artifact, port, origin in _rows(StepInput.objects, ids, "port", "origin"):
            pairs.append((original, artifact))
            if keep:
                self.inputs[artifact, original] = port
            if origin:
                self.origins[artifact] = origin
        return pairs


def _rows(manager: Any, ids: Mapping[str, set[UUID]], *columns: str) -> Iterator[tuple[Any, ...]]:
    """(original step, artifact, *columns) of the inputs or outputs of these artifacts or original steps."""
    original = Coalesce("step_run__reused_from", "step_run")
    for name, wanted in ids.items():
        condition = "artifact__in" if name == "artifact" else "step_run__in"
        for batch in _batches(wanted):
            yield from manager.filter(**{condition: batch}).values_list(original, "artifact", *columns)


def _batches(ids: Iterable[UUID]) -> Iterator[list[UUID]]:
    ordered = sorted(ids)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _in_batches(queryset: QuerySet[Any], column: str, ids: Iterable[UUID]) -> Iterator[Any]:
    for batch in _batches(ids):
        yield from queryset.filter(**{f"{column}__in": batch})


def _steps(ids: set[UUID]) -> list[StepRun]:
    rows = StepRun.objects.select_related("run__version__pipeline", "run__created_by", "run__version__created_by")
    found = _in_batches(rows.defer("log", "measurements", "run__version__canonical", "run__version__source"), "pk", ids)
    return sorted(found, key=lambda step: (step.run.created_at, step.position))


def _artifact_nodes(walk: _Walk) -> Iterator[Node]:
    data = {row.artifact_id: row for row in _named(DatasetVersion, walk.artifacts, "dataset")}
    models = {row.artifact_id: row for row in _named(ModelVersion, walk.artifacts, "model")}
    kinds = {artifact: kind for (_, artifact), (_, kind) in walk.outputs.items()}
    ports = {artifact: port for (_, artifact), (port, _) in walk.outputs.items()}
    for artifact in _in_batches(Artifact.objects.order_by("created_at"), "pk", walk.artifacts):
        facts = {"bytes": artifact.size, "media_type": artifact.media_type}
        identity = {"id": urn("artifact", artifact.pk), "digest": artifact.digest}
        if (model := models.get(artifact.pk)) is not None:
            node = Node(
                **identity, kind="model", label=str(model), page="model-version", key=str(model.pk), facts=facts
            )
        elif (version := data.get(artifact.pk)) is not None:
            facts["rows"] = version.rows
            key = str(version.pk)
            node = Node(**identity, kind="dataset", label=str(version), page="dataset-version", key=key, facts=facts)
        else:
            kind = _KIND.get(kinds.get(artifact.pk, ""), "source" if artifact.pk in walk.origins else "report")
            label = walk.origins.get(artifact.pk) or ports.get(artifact.pk) or artifact.digest[:12]
            node = Node(**identity, kind=kind, label=label, page="artifact", key=str(artifact.pk), facts=facts)
        yield node


_KIND = {"table": "dataset", "model": "model", "report": "report"}


def _named(model: type[Row], artifacts: set[UUID], parent: str) -> Iterator[Any]:
    """Dataset or model versions of the artifacts; where there are several, the newest comes last and wins."""
    rows: QuerySet[Any] = model._default_manager.select_related(parent).order_by("created_at")
    return _in_batches(rows, "artifact", artifacts)


def _step_node(step: StepRun) -> Node:
    run = step.run
    facts = {
        "uses": step.uses,
        "run": str(run.pk),
        "run_number": run.number,
        "pipeline": run.version.pipeline.name,
        "pipeline_version": str(run.version_id),
        "pipeline_digest": run.version.digest,
        "run_by": str(run.created_by_id),
        "registered_by": str(run.version.created_by_id),
        "finished_at": step.finished_at.isoformat() if step.finished_at else "",
    }
    return Node(
        id=urn("step", step.pk),
        kind="step",
        label=f"{run.version.pipeline.name} / {step.name}",
        state=step.verdict or step.state,
        page="run",
        key=str(run.pk),
        facts=facts,
    )


def _evidence_on(artifacts: set[UUID]) -> Iterator[Evidence]:
    rows = Evidence.objects.filter(superseded_by=None).select_related("step_run").order_by("created_at")
    return _in_batches(rows.defer("measurements", "step_run__log"), "subject", artifacts)


def evidence_node(row: Evidence) -> Node:
    """The node of one piece of evidence."""
    return Node(
        id=urn("evidence", row.pk),
        kind="evidence",
        label=row.kind.replace("_", " "),
        digest=row.digest,
        state=row.verdict,
        page="evidence",
        key=str(row.pk),
        facts={"uses": row.uses, "kind": row.kind},
    )


def _evidence_edges(rows: Iterable[Evidence], steps: set[str], artifacts: set[UUID]) -> Iterator[Edge]:
    for row in rows:
        yield Edge(urn("artifact", row.subject_id), urn("evidence", row.pk), "is judged by")
        original = urn("step", row.step_run.reused_from_id or row.step_run_id)
        if original in steps:
            yield Edge(original, urn("evidence", row.pk), "found")
        if row.report_id in artifacts:
            yield Edge(urn("evidence", row.pk), urn("artifact", row.report_id), "is told in")


def evidence_on(artifacts: Iterable[UUID], *, whole: bool = True) -> QuerySet[Evidence]:
    """The evidence that stands (is not superseded) on any of the artifacts, with what a page shows beside it.

    Not ``whole``: only what a gate looks at, for lists of many; the rest is read when it is asked for.
    """
    rows = Evidence.objects.filter(Q(superseded_by=None), subject__in=set(artifacts)).order_by("kind", "created_at")
    if not whole:
        return rows.only(*_OF_A_GATE)
    return rows.select_related("subject", "report", "step_run__run").defer("step_run__log")


_OF_A_GATE = ("kind", "subject_id", "verdict", "digest", "created_at")


def _uuid(value: UUID | str) -> UUID:
    return value if isinstance(value, UUID) else UUID(value)
