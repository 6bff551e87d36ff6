"""What profiles, assessments, tiers, risks and incidents look like in answers, and what requests for them hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.policy import TIERS
from governance.risk.models import Severity, Source, Treatment
from governance.risk.services.profiles import MAX_CATEGORIES
from governance.risk.services.texts import MAX_LINE, MAX_TEXT
from pipelines.api.shapes import ModelVersionRefSerializer
from security.rest.shapes import Body, ObjectField, PersonRefSerializer, Shape

MAX_QUESTIONNAIRE = 200_000
KINDS = ("opened", "note", "graver", "closed")


def _text(**more: Any) -> serializers.CharField:
    return serializers.CharField(max_length=MAX_TEXT, **more)


def _optional() -> serializers.CharField:
    return _text(required=False, default="", allow_blank=True)


class QuestionnaireSerializer(Shape):
    """One published version of the risk questionnaire. `published_by` is null for the one that is shipped."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    digest = serializers.CharField()
    content = ObjectField()
    published_by = PersonRefSerializer(allow_null=True)
    published_at = serializers.DateTimeField()


class QuestionnaireBody(Body):
    text = serializers.CharField(
        max_length=MAX_QUESTIONNAIRE, help_text="The whole questionnaire as YAML or JSON, as `content` has it."
    )


class SystemProfileSerializer(Shape):
    """How a system was described, with its purpose as it was then."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    purpose = serializers.CharField()
    users = serializers.CharField()
    affected_people = serializers.CharField()
    deployment_context = serializers.CharField()
    data_categories = serializers.ListField(child=serializers.CharField())
    written_by = PersonRefSerializer()
    written_at = serializers.DateTimeField()


class SystemProfileBody(Body):
    users = _text()
    affected_people = _text()
    deployment_context = _text()
    data_categories = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LINE), min_length=1, max_length=MAX_CATEGORIES
    )


class TierReasonSerializer(Shape):
    """Why a tier came out: `override` by one answer, or `score`."""

    kind = serializers.ChoiceField(("override", "score"))
    tier = serializers.ChoiceField(TIERS)
    question = serializers.CharField()
    text = serializers.CharField()


class AssessmentSerializer(Shape):
    """A questionnaire that was answered for a system, and what it came to."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    number = serializers.IntegerField()
    questionnaire = serializers.IntegerField(source="questionnaire.number")
    questionnaire_digest = serializers.CharField()
    profile = serializers.UUIDField(source="profile_id", allow_null=True)
    answers = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))
    note = serializers.CharField()
    score = serializers.IntegerField(help_text="Of 100.")
    tier = serializers.ChoiceField(TIERS)
    reasons = TierReasonSerializer(many=True)
    by_a_builder = serializers.BooleanField(source="built")
    answered_by = PersonRefSerializer()
    answered_at = serializers.DateTimeField()
    digest = serializers.CharField(help_text="Of all of it; it stands in the audit log.")


class AssessmentBody(Body):
    answers = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField(max_length=40), max_length=30),
        help_text="The id of each question → the ids of its answers.",
    )
    note = _optional()
    questionnaire = serializers.CharField(
        max_length=64,
        required=False,
        default="",
        allow_blank=True,
        help_text="The digest of the version that was read.",
    )


class TierChangeSerializer(Shape):
    """A change of a system's tier. `method` is empty for one that raised it, which nobody had to sign."""

    id = serializers.UUIDField()
    number = serializers.IntegerField()
    before = serializers.ChoiceField(TIERS)
    after = serializers.ChoiceField(TIERS)
    reason = serializers.CharField()
    assessment = serializers.UUIDField(source="assessment_id", allow_null=True)
    changed_by = PersonRefSerializer()
    printed_name = serializers.CharField()
    changed_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField()


class TierRaiseBody(Body):
    tier = serializers.ChoiceField(TIERS)
    reason = _text()


class _Signature(Body):
    """The proof that it is this person."""

    password = serializers.CharField(max_length=256, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", allow_blank=True, help_text="Of the second factor, if there is one."
    )


class TierSignatureBody(_Signature):
    reason = _text()


class TierStandingSerializer(Shape):
    """A tier and why. `lower_to`: what the newest assessment came to, if lower; `why_not`: why nobody can sign it."""

    tier = serializers.ChoiceField(TIERS, source="system.tier")
    change = TierChangeSerializer(allow_null=True)
    newest = AssessmentSerializer(allow_null=True)
    lower_to = serializers.CharField()
    why_not = serializers.CharField()


class RiskResidualSerializer(Shape):
    """What is left after controls: the worst level of any open risk, or the tier where none is open."""

    tier = serializers.ChoiceField(TIERS)
    why = serializers.CharField()
    open = serializers.IntegerField()
    unaccepted = serializers.IntegerField()
    overdue = serializers.IntegerField()


class RiskSummarySerializer(Shape):
    standing = TierStandingSerializer()
    residual = RiskResidualSerializer()


class RiskAcceptanceSerializer(Shape):
    """A signature that what is left of a risk is borne until the end of a day."""

    id = serializers.UUIDField()
    revision = serializers.IntegerField(source="revision.number")
    until = serializers.DateField()
    reason = serializers.CharField()
    accepted_by = PersonRefSerializer()
    printed_name = serializers.CharField()
    accepted_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField()


class RiskRevisionSerializer(Shape):
    """What was thought of a risk from `written_at` on; scores go from 1 to 5."""

    number = serializers.IntegerField()
    title = serializers.CharField()
    description = serializers.CharField()
    likelihood = serializers.IntegerField()
    impact = serializers.IntegerField()
    controls = serializers.CharField()
    residual_likelihood = serializers.IntegerField()
    residual_impact = serializers.IntegerField()
    treatment = serializers.ChoiceField(Treatment.choices)
    owner = PersonRefSerializer()
    due = serializers.DateField(allow_null=True)
    closed = serializers.BooleanField()
    note = serializers.CharField()
    written_by = PersonRefSerializer()
    written_at = serializers.DateTimeField()
    digest = serializers.CharField()


class RiskSerializer(Shape):
    """One risk as it stands: its newest revision, the levels of its scores, and the acceptance that holds."""

    id = serializers.UUIDField(source="entry.risk_id")
    system = serializers.CharField(source="entry.risk.system.slug")
    number = serializers.IntegerField(source="entry.risk.number")
    source = serializers.ChoiceField(Source.choices, source="entry.risk.source")
    source_urn = serializers.CharField(source="entry.risk.source_urn")
    opened_by = PersonRefSerializer(source="entry.risk.opened_by")
    opened_at = serializers.DateTimeField(source="entry.risk.opened_at")
    inherent = serializers.ChoiceField(TIERS)
    residual = serializers.ChoiceField(TIERS)
    overdue = serializers.BooleanField()
    acceptance = RiskAcceptanceSerializer(allow_null=True)
    newest = RiskRevisionSerializer(source="entry")


class WholeRiskSerializer(Shape):
    risk = RiskSerializer()
    revisions = RiskRevisionSerializer(many=True)
    acceptances = RiskAcceptanceSerializer(many=True)


def _score(**more: Any) -> serializers.IntegerField:
    return serializers.IntegerField(min_value=1, max_value=5, **more)


class _RiskContent(Body):
    title = serializers.CharField(max_length=MAX_LINE)
    description = _optional()
    likelihood = _score()
    impact = _score()
    controls = _optional()
    residual_likelihood = _score(
        required=False, allow_null=True, default=None, help_text="As without controls if null."
    )
    residual_impact = _score(required=False, allow_null=True, default=None, help_text="As without controls if null.")
    treatment = serializers.ChoiceField(Treatment.choices)
    owner = serializers.CharField(max_length=63, help_text="A username.")
    due = serializers.DateField(required=False, allow_null=True, default=None)


class RiskBody(_RiskContent):
    source = serializers.ChoiceField(Source.choices)
    source_id = serializers.UUIDField(
        required=False, allow_null=True, default=None, help_text="Of the assessment, evidence or incident."
    )


class RiskReviseBody(_RiskContent):
    seen = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="The revision that this one follows.")
    closed = serializers.BooleanField(required=False, default=False)
    note = _optional()


class RiskAcceptBody(_Signature):
    seen = serializers.IntegerField(min_value=1, max_value=2**31 - 1, help_text="The revision that is accepted.")
    until = serializers.DateField()
    reason = _text()


class IncidentSerializer(Shape):
    """Something that went wrong. Without a `model_version` it concerns the whole system."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    number = serializers.IntegerField()
    title = serializers.CharField()
    severity = serializers.ChoiceField(Severity.choices)
    grave = serializers.BooleanField(help_text="Whether it stops approvals while it is open.")
    model_version = ModelVersionRefSerializer(allow_null=True)
    state = serializers.ChoiceField(("open", "closed"))
    opened_by = PersonRefSerializer()
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)


class IncidentEntrySerializer(Shape):
    """One entry of a timeline."""

    number = serializers.IntegerField()
    kind = serializers.ChoiceField(KINDS)
    text = serializers.CharField()
    severity = serializers.ChoiceField(Severity.choices)
    happened_at = serializers.DateTimeField()
    written_by = PersonRefSerializer()
    printed_name = serializers.CharField()
    written_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField()


class WholeIncidentSerializer(Shape):
    incident = IncidentSerializer()
    timeline = IncidentEntrySerializer(many=True)


class IncidentBody(Body):
    title = serializers.CharField(max_length=MAX_LINE)
    severity = serializers.ChoiceField(Severity.choices)
    what = _text()
    model_version = serializers.UUIDField(required=False, allow_null=True, default=None)
    happened_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class IncidentNoteBody(Body):
    what = _text()
    severity = serializers.ChoiceField(Severity.choices, required=False, allow_blank=True, default="")
    happened_at = serializers.DateTimeField(required=False, allow_null=True, default=None)


class IncidentCloseBody(Body):
    what = _text()
    password = serializers.CharField(
        max_length=256,
        trim_whitespace=False,
        required=False,
        default="",
        allow_blank=True,
        help_text="Of a risk officer, where the incident is grave.",
    )
    code = serializers.CharField(max_length=20, required=False, default="", allow_blank=True)
