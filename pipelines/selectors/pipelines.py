"""Reading pipelines, versions and what lies between two of them."""

from __future__ import annotations

from functools import lru_cache

from django.db.models import OuterRef, QuerySet, Subquery

from pipelines.models import Pipeline, PipelineVersion
from pipelines.selectors.counting import count_of
from pipelines.spec.canonical import from_canonical
from pipelines.spec.comparing import Change, compare
from pipelines.spec.model import PipelineSpec


def pipelines() -> QuerySet[Pipeline]:
    """Pipelines with system and author, ``version_count``, and ``latest_id``, ``latest_number``, ``latest_digest``."""
    latest = PipelineVersion.objects.filter(pipeline=OuterRef("pk")).order_by("-number")
    return Pipeline.objects.select_related("system", "created_by").annotate(
        version_count=count_of(PipelineVersion.objects.all(), "pipeline"),
        latest_id=Subquery(latest.values("pk")[:1]),
        latest_number=Subquery(latest.values("number")[:1]),
        latest_digest=Subquery(latest.values("digest")[:1]),
    )


def versions() -> QuerySet[PipelineVersion]:
    """Versions with pipeline, system and author, newest first within a pipeline."""
    return PipelineVersion.objects.select_related("pipeline__system", "created_by").order_by("pipeline", "-number")


def latest_version(pipeline: Pipeline) -> PipelineVersion:
    """The newest version of a pipeline; every registered pipeline has one."""
    return versions().filter(pipeline=pipeline).order_by("-number")[0]


def spec_of(version: PipelineVersion) -> PipelineSpec:
    """The spec of a registered version."""
    return _parsed(version.canonical)


def changes(old: PipelineVersion, new: PipelineVersion) -> list[Change]:
    """What changed from one version to another, in the spec's order."""
    return compare(spec_of(old), spec_of(new))


@lru_cache(maxsize=256)
def _parsed(canonical: str) -> PipelineSpec:
    return from_canonical(canonical.encode())
