"""Facts about model versions, for one or for many in the same number of queries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from governance.documents.facts import parts
from governance.models import Review
from governance.selectors import approvals, evidence, people
from governance.selectors.evidence import Found
from pipelines.models import DatasetVersion, ModelVersion, StepInput, StepOutput
from security.identity.models import User

Row = dict[str, Any]
Grouped = dict[UUID, list[Row]]


def cards(versions: Iterable[ModelVersion]) -> list[Row]:
    """What each version is for, how and from what it was made and by whom, what was measured, what it may do.

    The versions come with model, system, artifact, author, and the run that made them with its pipeline and author.
    """
    wanted = list(versions)
    found = evidence.found_for(wanted, whole=True)
    held = approvals.approvals_of(wanted, found=found)
    asked, trained, made_from, done = _reviews(wanted), _training(wanted), data_of(found), builders(wanted)
    made = []
    for version in wanted:
        now, approval = found[version.pk], held[version.pk]
        made.append(
            {
                "model": parts.version(version),
                "training": trained.get(version.pk, {"step": "", "uses": "", "params": {}}),
                "run": parts.run(version.step_run.run),
                "data": made_from[version.pk],
                "policy": {"tier": now.policy.tier, "title": now.policy.title, "digest": now.policy.digest},
                "gates": [parts.gate(gate) for gate in evidence.judge(now.policy, now.evidence)],
                "evidence": parts.sorted_evidence(now.evidence),
                "approval": parts.approval(approval.approval, approval.status) if approval.approval else None,
                "reviews": asked[version.pk],
                "builders": done[version.pk],
            }
        )
    return made


def builders(versions: Iterable[ModelVersion]) -> Grouped:
    """Version → who had a hand in it and how: none of them may decide on it."""
    done = people.parts_of(versions)
    everybody = {part.user for found in done.values() for part in found}
    names = dict(User.objects.filter(pk__in=everybody).values_list("pk", "full_name"))
    return {pk: [parts.part(one, names) for one in found] for pk, found in done.items()}


def data_of(found: Mapping[UUID, Found]) -> dict[UUID, dict[str, list[Row]]]:
    """Version → the tables and the files from outside that it was made from."""
    artifacts = {pk for now in found.values() for pk in now.ancestry.data}
    tables: Grouped = defaultdict(list)
    rows = DatasetVersion.objects.filter(artifact__in=artifacts).select_related("dataset", "artifact")
    for row in rows.order_by("dataset__name", "number"):
        tables[row.artifact_id].append(parts.dataset_version(row))
    files: dict[tuple[UUID, UUID], dict[str, Row]] = defaultdict(dict)  # (run, artifact) → origin → file
    runs = {now.version.step_run.run_id for now in found.values()}
    inputs = StepInput.objects.filter(step_run__run__in=runs, artifact__in=artifacts).exclude(origin="")
    for read in inputs.select_related("artifact", "step_run").order_by("origin", "pk"):
        file = {"origin": read.origin, "digest": read.artifact.digest, "bytes": read.artifact.size}
        files[read.step_run.run_id, read.artifact_id][read.origin] = file
    return {pk: _data(now, tables, files) for pk, now in found.items()}


def _data(now: Found, tables: Grouped, files: Mapping[tuple[UUID, UUID], dict[str, Row]]) -> dict[str, list[Row]]:
    run = now.version.step_run.run_id
    mine = [row for artifact in now.ancestry.data for row in tables.get(artifact, ())]
    read = [row for artifact in now.ancestry.data for row in files.get((run, artifact), {}).values()]
    return {
        "tables": sorted(mine, key=lambda row: (row["dataset"], row["number"])),
        "sources": sorted(read, key=lambda row: (row["origin"], row["digest"])),
    }


def _training(versions: Iterable[ModelVersion]) -> dict[UUID, Row]:
    """Version → the step that made the model in the run that registered it, and its parameters."""
    keys = {version.pk: (version.step_run.run_id, version.artifact_id) for version in versions}
    runs, artifacts = {run for run, _ in keys.values()}, {artifact for _, artifact in keys.values()}
    outputs = StepOutput.objects.filter(step_run__run__in=runs, artifact__in=artifacts).select_related("step_run")
    made: dict[tuple[UUID, UUID], Row] = {}
    for output in outputs.defer("step_run__log").order_by("-step_run__position", "-pk"):  # the first step comes last
        step = output.step_run
        made[step.run_id, output.artifact_id] = {"step": step.name, "uses": step.uses, "params": step.params}
    return {pk: made[key] for pk, key in keys.items() if key in made}


def _reviews(versions: Iterable[ModelVersion]) -> Grouped:
    """Version → its reviews, oldest first."""
    found: Grouped = defaultdict(list)
    for row in Review.objects.filter(model_version__in=list(versions)).order_by("submitted_at"):
        found[row.model_version_id].append(
            {
                "id": str(row.pk),
                "state": str(row.state),
                "submitted_at": parts.time(row.submitted_at),
                "decided_at": parts.time(row.decided_at),
            }
        )
    return found
