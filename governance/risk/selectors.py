"""Reading what is on record about the risk of systems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import QuerySet

from governance.risk.builders import builders
from governance.risk.models import Assessment, QuestionnaireVersion, SystemProfile, TierChange
from governance.risk.questionnaire import Questionnaire, height
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User


@dataclass(frozen=True)
class TierStanding:
    """A system's tier and why it has it.

    ``newest``: the newest assessment; ``change``: what brought the tier, None when it is the one that every system
    begins with; ``lower_to``: the tier that the newest assessment came to, where that is lower than the present one;
    ``why_not``: why nobody can sign that, empty where somebody can.
    """

    system: AISystem
    newest: Assessment | None
    change: TierChange | None
    lower_to: str
    why_not: str


def questionnaires() -> QuerySet[QuestionnaireVersion]:
    """All versions, newest first."""
    return QuestionnaireVersion.objects.select_related("published_by").order_by("-number")


def current_questionnaire() -> QuestionnaireVersion | None:
    """The version that is answered now; None before the first."""
    return questionnaires().first()


def profiles() -> QuerySet[SystemProfile]:
    """Descriptions of systems, newest first."""
    return SystemProfile.objects.select_related("system", "written_by").order_by("-number")


def profile(system: AISystem) -> SystemProfile | None:
    """How the system is described now."""
    return profiles().filter(system=system).first()


def assessments() -> QuerySet[Assessment]:
    """Assessments with all that a line or a signature needs, newest first."""
    related = ("system", "questionnaire", "profile", "answered_by", "tier_change")
    return Assessment.objects.select_related(*related).order_by("-number")


def tier_changes() -> QuerySet[TierChange]:
    """Changes of tiers, newest first."""
    return TierChange.objects.select_related("system", "assessment", "changed_by").order_by("-number")


def tier_standing(system: AISystem) -> TierStanding:
    """The tier and why, in a constant number of queries."""
    newest = assessments().filter(system=system).first()
    lower = newest is not None and height(newest.tier) < height(system.tier)
    return TierStanding(
        system=system,
        newest=newest,
        change=tier_changes().filter(system=system).first(),
        lower_to=newest.tier if newest is not None and lower else "",
        why_not=why_not_lower(newest, builders(system)) if newest is not None and lower else "",
    )


def why_not_lower(assessment: Assessment, hands: Mapping[UUID, str]) -> str:
    """Why nobody can lower the tier by this assessment; empty where somebody can. ``hands``: ``builders`` of now."""
    system = AISystem.objects.get(pk=assessment.system_id)
    return _spent(assessment, system) or _outdated(assessment, system) or _partial(assessment, hands)


def _spent(assessment: Assessment, system: AISystem) -> str:
    """Why there is nothing that these answers could lower."""
    if hasattr(assessment, "tier_change"):
        return "This assessment has changed the tier already: each does so once."
    if height(assessment.tier) >= height(system.tier):
        return f"It comes to {assessment.tier}, which is not below the tier that the system has ({system.tier})."
    return ""


def _outdated(assessment: Assessment, system: AISystem) -> str:
    """What has changed since the questions were answered."""
    newest = assessments().filter(system=system).first()
    if newest is None or newest.pk != assessment.pk:
        return "The questionnaire was answered again since; only the newest answers count."
    if system.tier_changes.count() != assessment.changes_before:
        return "The tier was changed after this was answered: answer again, knowing why it was."
    if (version := current_questionnaire()) is None or version.digest != assessment.questionnaire_digest:
        return "Another version of the questionnaire was published since: answer that one."
    described = profile(system)
    if described is None or assessment.profile_id != described.pk or described.purpose != system.purpose:
        return "It was not answered about the system as it is described now: describe it, then answer again."
    return ""


def _partial(assessment: Assessment, hands: Mapping[UUID, str]) -> str:
    """Whether whoever answered had something to gain."""
    if not assessment.built and assessment.answered_by_id not in hands:
        return ""
    did = hands.get(assessment.answered_by_id, "built here when it was answered")
    return f"{assessment.answered_by} answered it, and has a hand in the system ({did}): somebody else must answer."


def why_not_this_signer(user: User, assessment: Assessment, hands: Mapping[UUID, str]) -> str:
    """Why this person, whatever their role, cannot sign the lowering; empty where they can."""
    if user.pk == assessment.answered_by_id:
        return "You answered this yourself; somebody else of the second line must sign it."
    if user.pk in hands:
        return f"You have a hand in this system ({hands[user.pk]}), so you cannot lower its tier."
    return ""


def signers(assessment: Assessment, hands: Mapping[UUID, str]) -> list[User]:
    """Who could sign a lowering by this assessment."""
    able = access.eligible(Action.SIGN_RISK, assessment.system)
    return [user for user in able if not why_not_this_signer(user, assessment, hands)]


def answered(assessment: Assessment) -> list[tuple[str, str, list[str]]]:
    """``(question, why it is asked, answers)`` of an assessment, in the words of the version that was answered."""
    questionnaire: Questionnaire = assessment.questionnaire.questionnaire
    return [
        (
            question.text,
            question.why,
            [one.text for one in question.answers if one.id in assessment.answers[question.id]],
        )
        for question in questionnaire.questions
    ]
