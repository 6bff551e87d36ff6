"""Publishing policies."""

from __future__ import annotations

from django.db import IntegrityError, transaction

from governance.models import PolicyVersion
from governance.policy import TIERS, Policy, builtin
from governance.selectors import policies
from security.canonical import urn
from security.log.events import Event
from security.log.services import record


def publish_builtin() -> list[PolicyVersion]:
    """Publish the policies that this release ships where they are not the current ones yet; returns what is new."""
    found = policies.current_versions()
    wanted = [builtin(tier) for tier in TIERS]
    new = [policy for policy in wanted if policy.tier not in found or found[policy.tier].digest != policy.digest]
    return [version for policy in new if (version := _publish(policy)) is not None]


def _publish(policy: Policy) -> PolicyVersion | None:
    """The next version of the policy's tier; None when somebody else has just published it."""
    last = policies.current(policy.tier)
    try:
        with transaction.atomic():
            version = PolicyVersion.objects.create(
                tier=policy.tier,
                number=last.number + 1 if last else 1,
                digest=policy.digest,
                content=policy.content(),
            )
            record(
                Event.POLICY_PUBLISHED,
                acting_user=None,
                subject=urn("policy-version", version.id),
                payload={"tier": version.tier, "number": version.number, "digest": version.digest},
            )
    except IntegrityError:
        return None
    return version
