"""Which policy applies."""

from __future__ import annotations

from governance.models import PolicyVersion
from governance.policy import TIERS, Policy, Tier, builtin
from security.access.models import AISystem


def current_versions() -> dict[str, PolicyVersion]:
    """The newest published version of each tier that has one."""
    return {version.tier: version for version in PolicyVersion.objects.order_by("number")}


def current(tier: str) -> PolicyVersion | None:
    """The newest published version of a tier."""
    return PolicyVersion.objects.filter(tier=tier).order_by("-number").first()


def policy_for(system: AISystem) -> Policy:
    """The policy of a system's tier: the published one, or before the first publication the one this release ships."""
    found = current(system.tier)
    return found.policy if found is not None else builtin(tier_of(system))


def tier_of(system: AISystem) -> Tier:
    """The system's tier; anything unknown is treated as high."""
    return next((tier for tier in TIERS if tier == system.tier), "high")
