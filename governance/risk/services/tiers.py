"""The only writer of a system's tier: raising is free and immediate, lowering takes a second-line signature."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from governance.policy import TIERS
from governance.risk import records, selectors
from governance.risk.builders import builders
from governance.risk.models import Assessment, TierChange
from governance.risk.questionnaire import height
from governance.risk.services.texts import text
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record


def raise_tier(*, acting_user: User, system: AISystem, tier: str, reason: str) -> TierChange:
    """Put a system into a higher tier, at once and without a signature.

    Approvals under the old tier's policy stop holding with it. Raises DeniedError, InvalidError (tier, reason),
    ConflictError (the tier is not higher than the present one).
    """
    access.require(acting_user, Action.ASSESS, system)
    why = text(reason, "reason")
    if tier not in TIERS:
        raise InvalidError(f"There is no tier {tier[:60]!r}; there are {', '.join(TIERS)}.", field="tier")
    with transaction.atomic():
        locked = _lock(system)
        if height(tier) <= height(locked.tier):
            raise ConflictError(
                f"{locked.slug} is in the tier {locked.tier} already. Lowering it takes a questionnaire that comes to "
                "less, and the signature of a risk officer."
            )
        return _write(acting_user, locked, after=tier, reason=why)


def raise_by(acting_user: User, system: AISystem, assessment: Assessment) -> TierChange:
    """Raise a tier to what an assessment came to, inside its transaction, with the system locked by the caller."""
    return _write(acting_user, system, after=assessment.tier, reason="The questionnaire came to it.", ground=assessment)


def lower_tier(
    *,
    acting_user: User,
    assessment: Assessment,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> TierChange:
    """Sign that a system goes down to the tier that its newest assessment came to.

    ``password``, and ``code`` or ``passkey`` where a second factor is enrolled: see ``signing.reauthenticate``.

    Raises DeniedError (no second-line role, a token, a builder, whoever answered, answers of a builder, wrong password
    or second factor, one hand under two names), ConflictError (used already, or something has changed since it was
    answered: ``selectors.why_not_lower``), InvalidError (reason).
    """
    why, system = text(reason, "reason"), assessment.system
    require_a_person(acting_user)
    _may_lower(acting_user, selectors.assessments().get(pk=assessment.pk))
    proven = reauthenticate(
        acting_user,
        password,
        subject=urn("assessment", assessment.pk),
        system=system.slug,
        code=code,
        passkey=passkey,
    )
    with decision_on_record():
        locked = _lock(system)
        ground = selectors.assessments().get(pk=assessment.pk)
        others = _may_lower(acting_user, ground)
        require_two_people(acting_user, proven.method, builders=others, others={ground.answered_by: ""})
        return _write(acting_user, locked, after=ground.tier, reason=why, ground=ground, proven=proven)


def _may_lower(acting_user: User, assessment: Assessment) -> set[User]:
    """Raise unless this person may lower the tier by this assessment now; returns who has a hand in the system."""
    access.require(acting_user, Action.SIGN_RISK, assessment.system)
    hands = builders(assessment.system)
    if personal := selectors.why_not_this_signer(acting_user, assessment, hands):
        raise DeniedError(personal)
    if why_not := selectors.why_not_lower(assessment, hands):
        raise ConflictError(why_not)
    return set(User.objects.filter(pk__in=hands))


def _lock(system: AISystem) -> AISystem:
    return AISystem.objects.select_for_update().get(pk=system.pk)


def _write(
    acting_user: User,
    system: AISystem,
    *,
    after: str,
    reason: str,
    ground: Assessment | None = None,
    proven: Proven | None = None,
) -> TierChange:
    change = TierChange(
        system=system,
        number=system.tier_changes.count() + 1,
        before=system.tier,
        after=after,
        reason=reason,
        assessment=ground,
        changed_by=acting_user,
        changed_at=timezone.now(),
        printed_name=acting_user.full_name,
        reauthenticated_at=proven.at if proven else None,
        method=proven.method if proven else "",
    )
    change.digest = records.tier_change_digest(change)
    change.save(force_insert=True)
    system.tier = after
    system.save(update_fields=["tier"])
    record(
        Event.TIER_RAISED if height(after) > height(change.before) else Event.TIER_LOWERED,
        acting_user=acting_user,
        subject=urn("system", system.pk),
        system=system.slug,
        payload={
            "change": str(change.pk),
            "digest": change.digest,
            "before": change.before,
            "after": after,
            "assessment": ground.digest if ground else None,
        },
    )
    return change
