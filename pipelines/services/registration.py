"""Registering pipeline specs."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max

from pipelines.models import Pipeline, PipelineVersion
from pipelines.spec.canonical import canonical, digest
from pipelines.spec.errors import SpecErrors
from pipelines.spec.model import PipelineSpec
from pipelines.spec.validation import load_spec
from pipelines.steps import registry
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import InvalidError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


class InvalidSpecError(InvalidError):
    """The spec does not hold; ``extra["errors"]`` lists every error with line, column, step, parameter and hint."""

    slug = "invalid-spec"
    title = "The pipeline specification is not valid"


@dataclass(frozen=True)
class Registered:
    """The version, and whether this call made it."""

    version: PipelineVersion
    created: bool


def check(text: bytes | str) -> PipelineSpec:
    """Parse and validate a spec without storing anything. Raises InvalidSpecError."""
    try:
        return load_spec(text, registry())
    except SpecErrors as found:
        errors = [error.as_dict() for error in found.errors]
        count = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
        first = str(found.errors[0])
        raise InvalidSpecError(f"{count}; the first: {first}", field="spec", extra={"errors": errors}) from None


def register(*, acting_user: User, system: AISystem, text: bytes | str) -> Registered:
    """Register a spec. The same digest again is the same version; a change is a new, immutable one.

    Raises DeniedError, InvalidSpecError.
    """
    access.require(acting_user, Action.REGISTER, system)
    spec = check(text)
    source = text.decode() if isinstance(text, bytes) else text
    with transaction.atomic():
        pipeline = _pipeline(acting_user, system, spec)
        existing = pipeline.versions.filter(digest=digest(spec)).first()
        if existing is not None:
            return Registered(existing, created=False)
        _describe(pipeline, spec)
        version = PipelineVersion.objects.create(
            pipeline=pipeline,
            number=(pipeline.versions.aggregate(last=Max("number"))["last"] or 0) + 1,
            digest=digest(spec),
            canonical=canonical(spec).decode(),
            source=source,
            created_by=acting_user,
        )
        record(
            Event.PIPELINE_VERSION_REGISTERED,
            acting_user=acting_user,
            subject=urn("pipeline-version", version.id),
            system=system.slug,
            payload={"pipeline": pipeline.name, "number": version.number, "digest": version.digest},
        )
    return Registered(version, created=True)


def _pipeline(acting_user: User, system: AISystem, spec: PipelineSpec) -> Pipeline:
    """The pipeline row, locked; made on the first version."""
    title = spec.metadata.title or spec.name
    pipeline, created = Pipeline.objects.get_or_create(
        system=system, name=spec.name, defaults={"title": title, "created_by": acting_user}
    )
    if created:
        record(
            Event.PIPELINE_CREATED,
            acting_user=acting_user,
            subject=urn("pipeline", pipeline.id),
            system=system.slug,
            payload={"name": pipeline.name},
        )
    return Pipeline.objects.select_for_update().get(pk=pipeline.pk)


def _describe(pipeline: Pipeline, spec: PipelineSpec) -> None:
    """Title and description follow the newest version, whose event records them by its digest."""
    pipeline.title, pipeline.description = spec.metadata.title or spec.name, spec.metadata.description
    pipeline.save(update_fields=["title", "description"])
