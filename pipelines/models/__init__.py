"""The tables of the second floor."""

from pipelines.models.data import Dataset, DatasetVersion
from pipelines.models.evidence import Evidence
from pipelines.models.pipeline import Pipeline, PipelineVersion
from pipelines.models.registry import Model, ModelVersion
from pipelines.models.run import Run, RunState, StepAttempt, StepInput, StepOutput, StepRun, StepState

__all__ = [
    "Dataset",
    "DatasetVersion",
    "Evidence",
    "Model",
    "ModelVersion",
    "Pipeline",
    "PipelineVersion",
    "Run",
    "RunState",
    "StepAttempt",
    "StepInput",
    "StepOutput",
    "StepRun",
    "StepState",
]
