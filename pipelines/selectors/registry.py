"""Reading the model registry."""

from __future__ import annotations

from django.db.models import OuterRef, Prefetch, QuerySet, Subquery

from pipelines.models import Model, ModelVersion
from pipelines.selectors.counting import count_of


def models() -> QuerySet[Model]:
    """Models with system, ``version_count``, ``latest_id`` and ``latest_number``, by name."""
    latest = ModelVersion.objects.filter(model=OuterRef("pk")).order_by("-number")
    return (
        Model.objects.select_related("system")
        .annotate(
            version_count=count_of(ModelVersion.objects.all(), "model"),
            latest_id=Subquery(latest.values("pk")[:1]),
            latest_number=Subquery(latest.values("number")[:1]),
        )
        .order_by("name")
    )


def models_with_versions() -> QuerySet[Model]:
    """Models as ``models`` has them, with all versions, newest first."""
    return models().prefetch_related(Prefetch("versions", queryset=model_versions().order_by("-number")))


def model_versions() -> QuerySet[ModelVersion]:
    """Versions with model, system, artifact, training report, author, and the run that made them, newest first.

    The texts of its step and of its specification are read when they are asked for.
    """
    related = ("model__system", "artifact", "training_report", "created_by", "step_run__run__version__pipeline")
    long = ("step_run__log", "step_run__run__version__source", "step_run__run__version__canonical")
    return ModelVersion.objects.select_related(*related).defer(*long).order_by("-created_at")
