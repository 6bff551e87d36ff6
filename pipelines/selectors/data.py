"""Reading datasets and their versions."""

from __future__ import annotations

from django.db.models import Count, Max, Prefetch, QuerySet

from pipelines.models import Dataset, DatasetVersion


def datasets() -> QuerySet[Dataset]:
    """Datasets with system, ``version_count`` and ``latest_number``, by name."""
    counted = Dataset.objects.annotate(version_count=Count("versions"), latest_number=Max("versions__number"))
    return counted.select_related("system").order_by("name")


def datasets_with_versions() -> QuerySet[Dataset]:
    """Datasets as ``datasets`` has them, with all versions, newest first."""
    return datasets().prefetch_related(Prefetch("versions", queryset=dataset_versions().order_by("-number")))


def dataset_versions() -> QuerySet[DatasetVersion]:
    """Versions with dataset, system, artifact, and the step and run that made them."""
    return DatasetVersion.objects.select_related(
        "dataset__system", "artifact", "step_run__run__version__pipeline"
    ).order_by("dataset", "-number")
