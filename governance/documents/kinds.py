"""The table of documents: what each is about, in which formats it comes, and the functions that make it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db.models import QuerySet

from governance.documents import formats
from governance.documents.facts import datasets as dataset_facts
from governance.documents.facts import models as model_facts
from governance.documents.facts import open_items as open_facts
from governance.documents.facts import period as period_facts
from governance.documents.facts import reviews as review_facts
from governance.documents.facts import standing as standing_facts
from governance.documents.facts import systems as system_facts
from governance.documents.formats import Format
from governance.documents.outlines import datasets as dataset_outlines
from governance.documents.outlines import models as model_outlines
from governance.documents.outlines import period as period_outlines
from governance.documents.outlines import reviews as review_outlines
from governance.documents.outlines import standing as standing_outlines
from governance.documents.outlines import systems as system_outlines
from governance.models import Review
from governance.selectors import approvals
from governance.selectors.reviews import reviews
from pipelines.models import DatasetVersion
from pipelines.selectors.data import dataset_versions
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import parse_urn


class Noun(NamedTuple):
    """What a document can be about: the word, the column that names one, the rows to choose from, and its label."""

    word: str
    key: str
    rows: Callable[[], QuerySet[Any]]
    label: Callable[[Any], str]


@dataclass(frozen=True)
class Kind:
    """One kind of document. ``facts`` reads the subject as JSON, ``outline`` says it in headings and tables.

    ``takes``: the parameters that it needs besides its subject, given to ``facts`` as moments; ``needs``: the actions
    that whoever asks must be allowed; ``later``: it may take more than a second, so a worker makes it.
    """

    name: str
    title: str
    about: str
    noun: Noun
    facts: Callable[..., dict[str, Any]]
    outline: Callable[[Mapping[str, Any]], dict[str, Any]]
    formats: Mapping[str, Format]
    takes: tuple[str, ...] = ()
    needs: tuple[Action, ...] = (Action.EXPORT,)
    later: bool = False


def _reviews() -> QuerySet[Review]:
    version = "model_version"
    run = f"{version}__step_run__run"
    return reviews().select_related(
        "system__owner", "policy_version", "submitted_by", f"{version}__model__system", f"{version}__artifact",
        f"{version}__created_by", f"{run}__version__pipeline", f"{run}__created_by",
    )  # fmt: skip


def _approvals() -> QuerySet[Any]:
    return approvals.rows().select_related(
        *approvals.APPROVAL_RELATED, "review__policy_version", "review__submitted_by", "review__system__owner",
        "model_version__created_by",
    ).order_by("-issued_at")  # fmt: skip


def _tables() -> QuerySet[DatasetVersion]:
    rows = dataset_versions().select_related(
        "dataset__system__owner", "artifact", "step_run__run__version__pipeline", "step_run__run__created_by"
    )
    return rows.defer(*system_facts.LONG).order_by("-created_at")


def _systems() -> QuerySet[AISystem]:
    return AISystem.objects.select_related("owner").order_by("slug")


SYSTEM = Noun("system", "slug", _systems, lambda row: row.name)
VERSION = Noun("model-version", "pk", system_facts.versions, str)
REVIEW = Noun("review", "pk", _reviews, lambda row: f"{row.model_version}, {row.submitted_at:%Y-%m-%d}")
TABLE = Noun("dataset-version", "pk", _tables, str)
APPROVAL = Noun("approval", "pk", _approvals, lambda row: f"{row.model_version}, {row.issued_at:%Y-%m-%d}")


def _table(*also: Format, instead: tuple[Format, ...] = ()) -> dict[str, Format]:
    """PDF, HTML and JSON, or what comes in their place, and more."""
    readable = instead or (formats.PDF, formats.HTML, formats.JSON)
    return {one.name: one for one in (*readable, *also)}


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "model-card",
            "Model card",
            "what a model is, from what it was made, what was measured, and whether it may be used",
            VERSION,
            model_facts.model_card,
            model_outlines.model_card,
            _table(formats.CYCLONEDX, formats.SPDX, formats.HUB_CARD),
        ),
        Kind(
            "validation-report",
            "Validation report",
            "one review: the evidence that was judged, the gates, who signed what",
            REVIEW,
            review_facts.validation_report,
            review_outlines.validation_report,
            _table(formats.OSCAL_PLAN, formats.OSCAL_RESULTS),
        ),
        Kind(
            "approval-certificate",
            "Approval certificate",
            "what an approval covers, who signed it, until when it holds",
            APPROVAL,
            review_facts.approval_certificate,
            review_outlines.approval_certificate,
            _table(),
        ),
        Kind(
            "model-inventory",
            "Model inventory",
            "every model of a system: newest version, standing, what may be used until when",
            SYSTEM,
            model_facts.inventory,
            model_outlines.inventory,
            _table(formats.INVENTORY_SHEET),
            later=True,
        ),
        Kind(
            "datasheet",
            "Datasheet",
            "one table: what it holds, where it came from, what was done to it, what was found, what uses it",
            TABLE,
            dataset_facts.datasheet,
            dataset_outlines.datasheet,
            _table(),
        ),
        Kind(
            "technical-documentation",
            "Technical documentation",
            "the items of Annex IV of the EU AI Act, each with what the record says, and what is left to write",
            SYSTEM,
            system_facts.technical_documentation,
            system_outlines.technical_documentation,
            _table(),
            later=True,
        ),
        Kind(
            "risk-profile",
            "AI RMF profile",
            "the outcomes of the NIST AI RMF 1.0 and the evidence that speaks for each",
            SYSTEM,
            system_facts.risk_profile,
            system_outlines.risk_profile,
            _table(formats.OSCAL_PROFILE, formats.OSCAL_COMPONENTS),
        ),
        Kind(
            "open-items",
            "Open items",
            "what is still open in a system: gates that do not pass, conditions, waivers",
            SYSTEM,
            open_facts.open_items,
            system_outlines.open_items,
            _table(formats.OSCAL_POAM),
        ),
        Kind(
            "standing",
            "As of a moment",
            "which model versions could be used at a past moment, approved by whom, on which evidence",
            SYSTEM,
            standing_facts.standing,
            standing_outlines.standing,
            _table(),
            takes=("at",),
        ),
        Kind(
            "audit-period",
            "Audit report of a period",
            "everything that the log has of a system between two dates: every event, the decisions, who acted",
            SYSTEM,
            period_facts.audit_period,
            period_outlines.audit_period,
            _table(
                formats.PERIOD_SHEET,
                formats.PERIOD_LINES,
                instead=(formats.PDF, formats.PERIOD_HTML, formats.JSON),
            ),
            takes=("since", "until"),
            needs=(Action.EXPORT, Action.VIEW_LOG),
            later=True,
        ),
    )
}


_NOUNS = {kind.noun.word: kind.noun for kind in KINDS.values()}


def noun_of(subject: str) -> Noun:
    """What a subject's URN names. Raises ValueError, KeyError."""
    return _NOUNS[parse_urn(subject)[0]]
