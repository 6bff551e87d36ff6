"""Reading what is on record about the risk of systems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from governance.risk.builders import builders
from governance.risk.models import (
    GRAVE,
    Assessment,
    Incident,
    IncidentEntry,
    QuestionnaireVersion,
    Risk,
    RiskAcceptance,
    RiskRevision,
    SystemProfile,
    TierChange,
)
from governance.risk.questionnaire import Bounds, Questionnaire, builtin, height
from pipelines.models import Evidence, ModelVersion
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User

MAX_TOLD = 10
# source of a risk → what it was seen in: noun and table
_SEEN_IN: Mapping[str, tuple[str, Any]] = {
    "questionnaire": ("assessment", Assessment),
    "check": ("evidence", Evidence),
    "drift": ("evidence", Evidence),
    "incident": ("incident", Incident),
}


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


@dataclass(frozen=True)
class Summary:
    """The risk of a system in a few lines; ``change`` as in ``TierStanding``, ``incidents``: the newest open ones."""

    change: TierChange | None
    residual: Residual
    incidents: list[Incident]


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


@dataclass(frozen=True)
class Residual:
    """What is left of a system's risk after controls. ``tier``: the level; ``why``: what it comes from.

    ``unaccepted``: open risks that are left at more than low and that no signature holds for; ``overdue``: open risks
    whose treatment was due.
    """

    tier: str
    why: str
    open: int
    unaccepted: int
    overdue: int


@dataclass(frozen=True)
class RiskLine:
    """One risk as a list shows it: its newest revision, the levels of its scores, and the acceptance that holds."""

    entry: RiskRevision
    inherent: str
    residual: str
    acceptance: RiskAcceptance | None
    overdue: bool


def entries() -> QuerySet[RiskRevision]:
    """The newest revision of every risk, with ``score``, what is left after controls, and ``before``; worst first."""
    newest = RiskRevision.objects.filter(risk=OuterRef("risk")).order_by("-number").values("pk")[:1]
    rows = RiskRevision.objects.filter(pk=Subquery(newest))
    scored = rows.annotate(score=F("residual_likelihood") * F("residual_impact"), before=F("likelihood") * F("impact"))
    related = ("risk__system", "risk__opened_by", "owner", "written_by")
    return scored.select_related(*related).order_by("closed", "-score", "-before", "risk__number")


def revisions(risk: Risk) -> QuerySet[RiskRevision]:
    """The history of a risk, newest first."""
    return RiskRevision.objects.filter(risk=risk).select_related("owner", "written_by").order_by("-number")


def risk_lines(rows: Iterable[RiskRevision]) -> list[RiskLine]:
    """Rows of ``entries`` as lines, in a constant number of queries."""
    if not (found := list(rows)):
        return []
    levels, held, today = register_levels(), _acceptances(found), timezone.now().date()
    return [
        RiskLine(
            entry=row,
            inherent=levels.tier(row.inherent),
            residual=levels.tier(row.residual),
            acceptance=held.get(row.pk),
            overdue=not row.closed and row.due is not None and row.due < today,
        )
        for row in found
    ]


def acceptance(entry: RiskRevision) -> RiskAcceptance | None:
    """The signature that holds for a risk as it is now; None where there is none, or its time has run out."""
    return _acceptances([entry]).get(entry.pk)


def acceptances(risk: Risk) -> QuerySet[RiskAcceptance]:
    """Every signature under a risk, those that no longer hold too, newest first."""
    rows = RiskAcceptance.objects.filter(revision__risk=risk)
    return rows.select_related("revision", "accepted_by").order_by("-accepted_at")


def residual(system: AISystem) -> Residual:
    """The system's risk after controls: the worst level that any open risk is left at.

    Without an open risk it is the system's tier: that nothing was written down does not mean that nothing is there.
    """
    lines = risk_lines(entries().filter(risk__system=system, closed=False))
    overdue = sum(line.overdue for line in lines)
    if not lines:
        why = "No risk is open in the register, so nothing says that less is left than the tier has it."
        return Residual(system.tier, why, 0, 0, 0)
    worst = max(lines, key=lambda line: line.entry.residual)
    unaccepted = sum(line.acceptance is None and line.residual != "low" for line in lines)
    why = f"Risk {worst.entry.risk.number} is the worst of {len(lines)} that are open: {worst.entry.title}."
    return Residual(worst.residual, why, len(lines), unaccepted, overdue)


def summary(system: AISystem) -> Summary:
    """What the page of a system says of its risk, in a constant number of queries."""
    return Summary(
        change=tier_changes().filter(system=system).first(),
        residual=residual(system),
        incidents=list(incidents().filter(system=system, closed_at=None)[:MAX_TOLD]),
    )


def register_levels() -> Bounds:
    """From which likelihood × impact on a risk is medium and high, by the current questionnaire."""
    version = current_questionnaire()
    return (version.questionnaire if version else builtin()).register_levels


def why_not_accept(user: User, entry: RiskRevision, hands: Mapping[UUID, str]) -> str:
    """Why this person, whatever their role, cannot accept what is left of a risk; empty where they can."""
    if user.pk == entry.written_by_id:
        return "You wrote this down yourself; somebody else of the second line must accept it."
    if user.pk == entry.owner_id:
        return "You own this risk; somebody else of the second line must accept it."
    if user.pk in hands:
        return f"You have a hand in this system ({hands[user.pk]}), so you cannot accept its risks."
    return ""


def seen_in(system: AISystem, source: str, source_id: str) -> str:
    """The noun of what a risk of this source was seen in, if the system has one of this id; empty otherwise."""
    noun, model = _SEEN_IN.get(source, ("", None))
    try:
        key = UUID(source_id)
    except ValueError:
        return ""
    found = model is not None and model.objects.filter(system=system, pk=key).exists()
    return noun if found else ""


def _acceptances(rows: Iterable[RiskRevision]) -> dict[UUID, RiskAcceptance]:
    """Revision → the signature that holds for it and lasts longest."""
    today = timezone.now().date()
    found = RiskAcceptance.objects.filter(revision__in=[row.pk for row in rows], until__gte=today)
    return {one.revision_id: one for one in found.select_related("accepted_by").order_by("until")}


def incidents() -> QuerySet[Incident]:
    """Incidents with all that a line needs: open ones first, the newest first."""
    rows = Incident.objects.select_related("system", "model_version__model", "opened_by")
    return rows.order_by(F("closed_at").desc(nulls_first=True), "-opened_at")


def timeline(incident: Incident) -> QuerySet[IncidentEntry]:
    """What was written about an incident, in the order of writing."""
    return IncidentEntry.objects.filter(incident=incident).select_related("written_by").order_by("number")


def why_not_close(user: User, hands: Mapping[UUID, str]) -> str:
    """Why this person, whatever their role, cannot close a grave incident; empty where they can."""
    if user.pk in hands:
        return f"You have a hand in this system ({hands[user.pk]}), so you cannot close a grave incident in it."
    return ""


def stopping(model_version: ModelVersion) -> list[str]:
    """What stops an approval of this version: open grave incidents on it, or on its whole system. One query."""
    concerned = Q(model_version=model_version) | Q(model_version=None, system=model_version.model.system_id)
    found = incidents().filter(concerned, closed_at=None, severity__in=GRAVE)
    return [f"Incident {one.number} ({one.severity}) is open: {one.title}" for one in found]
