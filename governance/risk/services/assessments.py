"""Answering the questionnaire for a system."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from django.db import transaction
from django.utils import timezone

from governance.risk import records, selectors
from governance.risk.builders import builders
from governance.risk.models import Assessment, QuestionnaireVersion
from governance.risk.questionnaire import Outcome, height, judge
from governance.risk.services import tiers
from governance.risk.services.questionnaires import ensure_one
from governance.risk.services.texts import text
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


def answer(
    *,
    acting_user: User,
    system: AISystem,
    answers: Mapping[str, Sequence[str]],
    note: str = "",
    questionnaire: str = "",
) -> Assessment:
    """Record answers (question → ids of answers) to the current questionnaire.

    Where they come to a higher tier than the system has, it is raised in the same transaction. Where they come to a
    lower one nothing changes until somebody signs it (``tiers.lower_tier``). ``questionnaire``: the digest of the
    version that was read, where the caller knows it.

    Raises DeniedError, InvalidError (the question as field, note), ConflictError (another version was published since).
    """
    access.require(acting_user, Action.ASSESS, system)
    remark = text(note, "note", required=False)
    version = ensure_one()
    if questionnaire not in ("", version.digest):
        raise ConflictError(f"Version {version.number} of the questionnaire was published since; answer that one.")
    outcome = judge(version.questionnaire, answers)
    built = acting_user.pk in builders(system)
    with transaction.atomic():
        locked = AISystem.objects.select_for_update().get(pk=system.pk)
        assessment = _store(acting_user, locked, version, answers, outcome, note=remark, built=built)
        if height(outcome.tier) > height(locked.tier):
            tiers.raise_by(acting_user, locked, assessment)
    return assessment


def _store(
    acting_user: User,
    system: AISystem,
    version: QuestionnaireVersion,
    answers: Mapping[str, Sequence[str]],
    outcome: Outcome,
    *,
    note: str,
    built: bool,
) -> Assessment:
    assessment = Assessment(
        system=system,
        number=Assessment.objects.filter(system=system).count() + 1,
        questionnaire=version,
        questionnaire_digest=version.digest,
        profile=selectors.profile(system),
        answers={question: sorted(given) for question, given in sorted(answers.items())},
        note=note,
        score=outcome.score,
        tier=outcome.tier,
        reasons=[asdict(reason) for reason in outcome.reasons],
        built=built,
        changes_before=system.tier_changes.count(),
        answered_by=acting_user,
        answered_at=timezone.now(),
    )
    assessment.digest = records.assessment_digest(assessment)
    assessment.save(force_insert=True)
    record(
        Event.ASSESSMENT_RECORDED,
        acting_user=acting_user,
        subject=urn("assessment", assessment.pk),
        system=system.slug,
        payload={
            "digest": assessment.digest,
            "questionnaire": version.digest,
            "score": outcome.score,
            "tier": outcome.tier,
        },
    )
    return assessment
