"""Which policy applies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import F, Max, QuerySet, TextField
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Coalesce

from governance.models import PolicyVersion
from governance.policy import BUILTIN, TIERS, Policy, Tier, builtin
from governance.policymaking.models import PolicyAssignment
from security.access.models import AISystem


def named() -> QuerySet[Any]:
    """Published versions, each with ``key``: the name of its policy, which is that of its tier in older content."""
    name = KeyTextTransform("name", "content", output_field=TextField())
    return PolicyVersion.objects.annotate(key=Coalesce(name, F("tier"), output_field=TextField()))


def current_versions() -> dict[str, PolicyVersion]:
    """The newest published version of each policy that has one, by its name; in one query."""
    newest = named().order_by().values("key").annotate(last=Max("number")).values("last")
    rows = PolicyVersion.objects.filter(number__in=newest).order_by("number")
    return {str(row.content.get("name") or row.tier): row for row in rows}


def current(name: str) -> PolicyVersion | None:
    """The newest published version of a policy."""
    found: PolicyVersion | None = named().filter(key=name).order_by("-number").first()
    return found


def policy_for(system: AISystem) -> Policy:
    """The policy of a system: the published one, or before the first publication the one this release ships."""
    return policies_for([system])[system]


def policies_for(systems: Iterable[AISystem]) -> Mapping[AISystem, Policy]:
    """The policy of each system, in two queries: the one that it was put under for its use, else that of its tier.

    One that was chosen by use never makes things easier: while it is of a lower tier than the system, or has never been
    published or shipped, the policy of the system's tier applies.
    """
    wanted = list(systems)
    published = {name: version.policy for name, version in current_versions().items()}
    assigned = PolicyAssignment.objects.filter(system__in=wanted, ended_at=None)
    chosen = dict(assigned.values_list("system", "policy"))
    return {system: _governing(tier_of(system), chosen.get(system.pk, ""), published) for system in wanted}


def key_for(system: AISystem) -> str:
    """The name of the policy that applies to a system."""
    return policy_for(system).key


def _governing(tier: Tier, name: str, published: Mapping[str, Policy]) -> Policy:
    special = published.get(name) or (builtin(name) if name in BUILTIN else None)
    if special is not None and TIERS.index(special.tier) <= TIERS.index(tier):
        return special
    return published.get(tier) or builtin(tier)


def tier_of(system: AISystem) -> Tier:
    """The system's tier; anything unknown is treated as high."""
    return next((tier for tier in TIERS if tier == system.tier), "high")
