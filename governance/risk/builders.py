"""Who has a hand in what a system does, and so neither lowers its tier nor has it lowered by their own answers."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db.models import Q

from governance.selectors import people
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.models import ModelVersion, PipelineVersion, Run
from security.access.models import AISystem
from security.access.selectors import live_grants
from security.access.table import Action, roles_for


def builders(system: AISystem) -> dict[UUID, str]:
    """User → what they did or may do, in a constant number of queries.

    Counted: everybody whose part in a model of the system would keep them from deciding on it (``people.parts_of``);
    whoever registered a pipeline or started a run in the system, whether or not a model came of it; and whoever holds a
    role here that registers and runs, since what they will build is what the tier is about.
    """
    found: dict[UUID, str] = {}
    roles = [str(role) for role in roles_for(Action.REGISTER)]
    grants = live_grants().filter(Q(system=system) | Q(system=None), role__in=roles)
    _note(found, grants.values_list("user", flat=True), "holds a role that builds here")
    registered = PipelineVersion.objects.filter(pipeline__system=system)
    _note(found, registered.values_list("created_by", flat=True).distinct(), "registered a pipeline")
    ran = Run.objects.filter(system=system)
    _note(found, ran.order_by().values_list("created_by", flat=True).distinct(), "started a run")
    versions = ModelVersion.objects.filter(model__system=system).select_related(*MODEL_VERSION_RELATED)
    for parts in people.parts_of(versions).values():
        found.update({part.user: part.text for part in parts})
    return found


def _note(found: dict[UUID, str], users: Iterable[UUID], what: str) -> None:
    found.update(dict.fromkeys(users, what))
