"""Publishing policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction

from governance.models import PolicyVersion
from governance.policy import BUILTIN, TIERS, Policy, builtin
from governance.policymaking.models import PolicyAssignment, PolicyDraft
from governance.selectors import policies
from security.canonical import urn
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


def publish_builtin() -> list[PolicyVersion]:
    """Publish the policies that this release ships where they are not the current ones yet; returns what is new.

    Those of the tiers, and those that a system was put under. What two people have signed stays: a release replaces
    only what a release has published.
    """
    found = policies.current_versions()
    assigned = PolicyAssignment.objects.filter(ended_at=None, policy__in=BUILTIN).values_list("policy", flat=True)
    wanted = [builtin(name) for name in dict.fromkeys([*TIERS, *assigned])]
    new = [policy for policy in wanted if policy.key not in found or found[policy.key].digest != policy.digest]
    signed = set(PolicyDraft.objects.filter(published__in=found.values()).values_list("name", flat=True)) if new else ()
    made = [publish(policy) for policy in new if policy.key not in signed]
    return [version for version in made if version is not None]


def publish(
    policy: Policy, *, acting_user: User | None = None, signed: Mapping[str, Any] | None = None
) -> PolicyVersion | None:
    """The next version of the policy's tier; None when somebody else has just published it.

    ``signed``: what the log says besides of a policy that people have signed.
    """
    last = PolicyVersion.objects.filter(tier=policy.tier).order_by("-number").first()
    try:
        with transaction.atomic():
            version = PolicyVersion.objects.create(
                tier=policy.tier,
                number=last.number + 1 if last else 1,
                digest=policy.digest,
                content=policy.content(),
            )
            told = {"name": policy.key, "tier": version.tier, "number": version.number, "digest": version.digest}
            record(
                Event.POLICY_PUBLISHED,
                acting_user=acting_user,
                subject=urn("policy-version", version.id),
                payload={**told, **(signed or {})},
            )
    except IntegrityError:
        return None
    return version
