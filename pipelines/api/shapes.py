"""What pipelines, runs, data and models look like in answers."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from pipelines.models import RunState, StepRun, StepState
from pipelines.selectors.pipelines import spec_of
from security.rest.shapes import (
    FREE,
    ArtifactRefSerializer,
    MeasurementSerializer,
    ObjectField,
    ObjectOrNullField,
    PersonRefSerializer,
    Shape,
    VerdictField,
)


class VersionRefSerializer(Shape):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    digest = serializers.CharField()


class PipelineRefSerializer(Shape):
    id = serializers.UUIDField()
    name = serializers.CharField()


class PipelineSerializer(PipelineRefSerializer):
    """A named series of specs."""

    system = serializers.CharField(source="system.slug")
    title = serializers.CharField()
    description = serializers.CharField()
    version_count = serializers.IntegerField()
    latest = serializers.SerializerMethodField()
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()

    @extend_schema_field(VersionRefSerializer(allow_null=True))
    def get_latest(self, row: Any) -> dict[str, Any] | None:
        if row.latest_id is None:
            return None
        return {"id": str(row.latest_id), "number": row.latest_number, "digest": row.latest_digest}


class PipelineVersionSerializer(VersionRefSerializer):
    """One immutable spec, named by the SHA-256 of its canonical form."""

    pipeline = PipelineRefSerializer()
    system = serializers.CharField(source="pipeline.system.slug")
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()


class WholePipelineVersionSerializer(PipelineVersionSerializer):
    """A version with its spec, as normalised data and as it was written."""

    spec = serializers.SerializerMethodField()
    source = serializers.CharField(help_text="The text as it was registered.")  # type: ignore[assignment]  # a member, not the option of a field

    @extend_schema_field(FREE)
    def get_spec(self, version: Any) -> dict[str, Any]:
        return dict(spec_of(version).model_dump(mode="json", by_alias=True))


class ChangeSerializer(Shape):
    """One difference; steps and run parameters by name in ``path``."""

    path = serializers.CharField()
    kind = serializers.ChoiceField(["added", "removed", "changed"])
    step = serializers.CharField()
    before = serializers.JSONField()
    after = serializers.JSONField()


class ComparisonSerializer(Shape):
    old = PipelineVersionSerializer()
    new = PipelineVersionSerializer()
    changes = ChangeSerializer(many=True)


class SpecSummarySerializer(Shape):
    """A spec that holds: what it would be registered as."""

    name = serializers.CharField()
    digest = serializers.CharField()
    steps = serializers.ListField(child=serializers.CharField())


class RunRefSerializer(Shape):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    pipeline = PipelineRefSerializer(source="version.pipeline")


class StepRefSerializer(Shape):
    """A step of a run."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    run = RunRefSerializer()


class RunSerializer(RunRefSerializer):
    """One execution of a pipeline version."""

    system = serializers.CharField(source="system.slug")
    version = VersionRefSerializer()
    state = serializers.ChoiceField(RunState.choices)
    parameters = ObjectField()
    seed = serializers.IntegerField()
    steps_total = serializers.IntegerField(source="step_count")
    steps_done = serializers.IntegerField(source="done_count")
    steps_failed = serializers.IntegerField(source="failed_count")
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    cancel_requested_at = serializers.DateTimeField(allow_null=True)


class ProgressSerializer(Shape):
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    note = serializers.CharField()


class StepErrorSerializer(Shape):
    """Why a step failed."""

    kind = serializers.CharField()
    message = serializers.CharField()
    param = serializers.CharField()
    details = ObjectField()


class InputSerializer(Shape):
    port = serializers.CharField()
    artifact = ArtifactRefSerializer()
    origin = serializers.CharField(help_text="Path of a source file; empty for another step's output.")


class OutputSerializer(Shape):
    port = serializers.CharField()
    kind = serializers.CharField()
    artifact = ArtifactRefSerializer()
    info = ObjectField(help_text="Rows and columns of a table.")


class AttemptSerializer(Shape):
    number = serializers.IntegerField()
    worker = serializers.CharField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    outcome = serializers.CharField()
    error = ObjectOrNullField()
    resources = ObjectOrNullField()


class ReusedSerializer(Shape):
    """The earlier identical step whose outputs were taken."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    run = serializers.UUIDField(source="run_id")


class StepSerializer(Shape):
    """One step of a run: where it stands, what it measured, what went in and came out."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    uses = serializers.CharField()
    position = serializers.IntegerField()
    state = serializers.ChoiceField(StepState.choices)
    needs = serializers.SerializerMethodField()
    progress = serializers.SerializerMethodField()
    verdict = VerdictField()
    summary = serializers.CharField()
    measurements = MeasurementSerializer(many=True)
    error = serializers.SerializerMethodField()
    params = ObjectField()
    inputs = InputSerializer(many=True)
    outputs = OutputSerializer(many=True)
    attempts = AttemptSerializer(many=True)
    reused_from = ReusedSerializer(allow_null=True)
    resources = ObjectOrNullField()
    queued_at = serializers.DateTimeField(allow_null=True)
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": "string"}})
    def get_needs(self, step: StepRun) -> dict[str, str]:
        """Input port → ``step.output``."""
        return dict(step.wiring)

    @extend_schema_field(ProgressSerializer(allow_null=True))
    def get_progress(self, step: StepRun) -> dict[str, Any] | None:
        found = step.progress
        return {name: found.get(name) for name in ("done", "total", "note")} if found else None

    @extend_schema_field(StepErrorSerializer(allow_null=True))
    def get_error(self, step: StepRun) -> dict[str, Any] | None:
        return StepErrorSerializer(step.error).data if step.error else None


class WholeRunSerializer(RunSerializer):
    """A run with its steps, and the fingerprint of code and environment."""

    code = ObjectField()
    environment = ObjectField()
    steps = StepSerializer(many=True)


class WholeStepSerializer(StepSerializer):
    """A step with its log."""

    run = RunRefSerializer()
    timeout_seconds = serializers.FloatField()
    memory_bytes = serializers.IntegerField()
    log = serializers.CharField()


class ColumnSerializer(Shape):
    name = serializers.CharField()
    type = serializers.CharField()
    personal = serializers.BooleanField()


class DatasetSerializer(Shape):
    """The tables that come out of one place of a pipeline."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    system = serializers.CharField(source="system.slug")
    version_count = serializers.IntegerField()
    latest_number = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class DatasetVersionSerializer(Shape):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    artifact = ArtifactRefSerializer()
    rows = serializers.IntegerField()
    columns = ColumnSerializer(many=True)
    step = StepRefSerializer(source="step_run")
    created_at = serializers.DateTimeField()


class WholeDatasetSerializer(DatasetSerializer):
    versions = DatasetVersionSerializer(many=True)


class EvidenceSerializer(Shape):
    """One check's result on one subject. Never edited; a newer one on the same subject supersedes it."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    kind = serializers.CharField()
    subject = ArtifactRefSerializer()
    uses = serializers.CharField()
    verdict = VerdictField()
    summary = serializers.CharField()
    measurements = MeasurementSerializer(many=True)
    report = ArtifactRefSerializer(allow_null=True)
    digest = serializers.CharField()
    superseded_by = serializers.UUIDField(source="superseded_by_id", allow_null=True)
    step = StepRefSerializer(source="step_run")
    created_at = serializers.DateTimeField()


class ModelRefSerializer(Shape):
    id = serializers.UUIDField()
    name = serializers.CharField()


class ModelVersionRefSerializer(Shape):
    id = serializers.UUIDField()
    number = serializers.IntegerField()
    model = ModelRefSerializer()


class ModelSerializer(ModelRefSerializer):
    """A named series of model versions."""

    system = serializers.CharField(source="system.slug")
    description = serializers.CharField()
    version_count = serializers.IntegerField()
    latest_number = serializers.IntegerField(allow_null=True)
    created_at = serializers.DateTimeField()


class ModelVersionSerializer(ModelVersionRefSerializer):
    """One trained model: its bytes, its training report, the run that made it."""

    system = serializers.CharField(source="model.system.slug")
    artifact = ArtifactRefSerializer()
    training_report = ArtifactRefSerializer(allow_null=True)
    step = StepRefSerializer(source="step_run")
    created_by = PersonRefSerializer()
    created_at = serializers.DateTimeField()


class WholeModelSerializer(ModelSerializer):
    versions = ModelVersionSerializer(many=True)
