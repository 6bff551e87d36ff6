"""What reviews, votes, approvals, lineage and coverage look like in answers, and what requests for them hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import Approval, Decision, Review, ReviewState, Vote
from governance.selectors.evidence import Gate
from governance.selectors.inclusion import Place
from governance.selectors.reviews import ReviewPage
from governance.selectors.standing import Standing
from governance.services.reviews import MAX_TEXT
from pipelines.api.shapes import ModelVersionRefSerializer
from security.rest.shapes import (
    VERDICTS,
    Body,
    MeasurementSerializer,
    ObjectField,
    PersonRefSerializer,
    Shape,
    VerdictField,
)

STATUSES = ("active", "expired", "revoked", "void")
COVERAGE = ("supported", "partial", "missing", "needs-attestation")
MAX_DEPTH = 100
SEVERITIES = ("block", "warn")


class PolicyRefSerializer(Shape):
    id = serializers.UUIDField()
    tier = serializers.CharField()
    number = serializers.IntegerField()
    digest = serializers.CharField()


class SeatSerializer(Shape):
    """One approval step of the policy."""

    role = serializers.CharField()
    people = serializers.IntegerField(help_text="How many different people it takes.")
    open = serializers.IntegerField(help_text="How many signatures are still needed.")
    why = serializers.CharField()


class RuleOutcomeSerializer(Shape):
    """What one rule of the policy said to a measurement; `measurement` is the one that decides, null without any."""

    part = serializers.CharField(help_text="How a waiver names it.")
    checks = serializers.ListField(
        source="rule.checks", child=serializers.CharField(), help_text="Results of these steps only; empty: of all."
    )
    metric = serializers.CharField(source="rule.metric")
    slice = serializers.DictField(source="rule.slice", child=serializers.CharField(), allow_null=True)
    comparator = serializers.ChoiceField(["at-least", "at-most"], source="rule.comparator")
    threshold = serializers.FloatField(source="rule.threshold")
    on = serializers.ChoiceField(["value", "low", "high"], source="rule.on", help_text="Value, or interval bound.")
    severity = serializers.ChoiceField(SEVERITIES, source="rule.severity")
    verdict = serializers.ChoiceField(VERDICTS)
    measurement = MeasurementSerializer(allow_null=True)
    of = serializers.IntegerField(help_text="How many measurements the rule looked at.")
    reason = serializers.CharField()


class GateSerializer(Shape):
    """One requirement of the policy and what was found."""

    kind = serializers.CharField()
    question = serializers.CharField()
    why = serializers.CharField()
    must = serializers.CharField()
    verdict = serializers.ChoiceField(VERDICTS)
    reason = serializers.CharField()
    evidence = serializers.ListField(child=serializers.UUIDField())
    max_age_days = serializers.IntegerField(allow_null=True, help_text="How many days a result counts.")
    rules = RuleOutcomeSerializer(many=True)
    broken = serializers.ListField(child=serializers.CharField(), help_text="The parts of the policy that shut it.")
    waived = serializers.BooleanField(help_text="Whether a waiver is in effect for every part that shuts it.")
    waivers = serializers.ListField(child=serializers.UUIDField())


class VoteSerializer(Shape):
    """One person's signed decision."""

    id = serializers.UUIDField()
    voter = PersonRefSerializer()
    printed_name = serializers.CharField()
    role = serializers.CharField()
    decision = serializers.ChoiceField(Decision.choices)
    reason = serializers.CharField()
    subject_digest = serializers.CharField(help_text="What was signed.")
    signed_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField(help_text="Of the whole vote; it stands in the audit log.")


class PlaceSerializer(Shape):
    """Where an event stands in the audit log; `index` and `checkpoint` are null while it is not included yet."""

    event = serializers.CharField()
    time = serializers.DateTimeField()
    index = serializers.IntegerField(allow_null=True)
    checkpoint = serializers.IntegerField(
        allow_null=True, help_text="Size of the first signed checkpoint that covers it."
    )


class SignedVoteSerializer(VoteSerializer):
    """A vote, and where the decisions of its review stand in the audit log."""

    log = PlaceSerializer(many=True)


class ReviewSerializer(Shape):
    """The request to use one model version under one policy version."""

    id = serializers.UUIDField()
    system = serializers.CharField()
    model_version = ModelVersionRefSerializer()
    policy = PolicyRefSerializer()
    state = serializers.ChoiceField(ReviewState.choices)
    submitted_by = PersonRefSerializer()
    submitted_at = serializers.DateTimeField()
    decided_at = serializers.DateTimeField(allow_null=True)
    note = serializers.CharField()
    subject_digest = serializers.CharField(help_text="What votes bind to.")
    gates_passed = serializers.IntegerField()
    gates_waived = serializers.IntegerField(help_text="Broken, and a waiver is in effect: counted apart from passes.")
    gates_total = serializers.IntegerField()
    seats = SeatSerializer(many=True)


class ApprovalSerializer(Shape):
    """What a passed review issued. It holds while `status` is `active`, which is computed at every reading."""

    id = serializers.UUIDField()
    review = serializers.UUIDField(source="review_id")
    system = serializers.CharField(source="review.system.slug")
    model_version = ModelVersionRefSerializer()
    status = serializers.ChoiceField(STATUSES)
    issued_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()
    subject_digest = serializers.CharField()
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = PersonRefSerializer(allow_null=True)
    revoked_reason = serializers.CharField()


class RevokedSerializer(ApprovalSerializer):
    """A revoked approval, and where the decisions of its review stand in the audit log."""

    log = PlaceSerializer(many=True)


class DecisionSerializer(Shape):
    """What I can do with a review now, or why not and who can."""

    can_approve = serializers.BooleanField()
    can_reject = serializers.BooleanField()
    can_withdraw = serializers.BooleanField()
    can_revoke = serializers.BooleanField()
    role = serializers.CharField()
    why_not = serializers.CharField()
    why_not_approve = serializers.CharField()
    eligible = PersonRefSerializer(many=True)


class ExcludedSerializer(Shape):
    person = PersonRefSerializer()
    reasons = serializers.ListField(child=serializers.CharField())


class WholeReviewSerializer(ReviewSerializer):
    """A review with the evidence behind each question, the votes, and who can decide."""

    subject = ObjectField(help_text="The digests that are bound: model, data, evidence, policy.")
    gates = GateSerializer(many=True)
    votes = VoteSerializer(many=True)
    excluded = ExcludedSerializer(many=True, help_text="Who had a hand in the model and cannot decide.")
    decision = DecisionSerializer()
    approval = ApprovalSerializer(allow_null=True)
    log = PlaceSerializer(many=True, help_text="Where its decisions stand in the audit log.")


class SubcategorySerializer(Shape):
    """One numbered outcome of NIST AI RMF 1.0, its title in our own words."""

    id = serializers.CharField()
    function = serializers.CharField()
    category = serializers.CharField()
    title = serializers.CharField()
    support = serializers.CharField(help_text="How far evidence can go: strong, partial, none.")
    attestation = serializers.BooleanField(help_text="Whether a person's signed statement is needed as well.")
    why = serializers.CharField()


class CoveringSerializer(Shape):
    """What speaks for an outcome: evidence by id, or a fact of the registry or the workflow without one."""

    id = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField()
    verdict = VerdictField()
    summary = serializers.CharField()


class CoverageSerializer(Shape):
    subcategory = SubcategorySerializer()
    state = serializers.ChoiceField(COVERAGE)
    evidence = CoveringSerializer(many=True)


class CoveragesSerializer(Shape):
    """The outcomes of NIST AI RMF 1.0 and what speaks for each. Nothing is typed in: no evidence, no support."""

    framework = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    results = CoverageSerializer(many=True)


class NodeSerializer(Shape):
    """`id` is a URN; `page` and `key` name what to open."""

    id = serializers.CharField()
    kind = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a member, not the option of a field
    digest = serializers.CharField()
    state = serializers.CharField()
    page = serializers.CharField()
    key = serializers.CharField()
    facts = ObjectField()


_Text = serializers.CharField
EdgeSerializer: type[Shape] = type(
    "EdgeSerializer",
    (Shape,),
    {
        "__doc__": "From what was there first to what came of it.",
        "from": _Text(),
        "to": _Text(),
        "role": _Text(),
    },
)


class LineageSerializer(Shape):
    nodes = NodeSerializer(many=True)
    edges = EdgeSerializer(many=True)
    truncated = serializers.BooleanField(help_text="Whether there is more beyond the asked depth.")


class LineageQuery(Body):
    direction = serializers.ChoiceField(["up", "down", "both"], required=False, default="both")
    depth = serializers.IntegerField(required=False, default=10, min_value=1, max_value=MAX_DEPTH)


class SubmitBody(Body):
    note = serializers.CharField(max_length=MAX_TEXT, required=False, default="", allow_blank=True)


class VoteBody(Body):
    """A decision, why, and the password again: a signature."""

    decision = serializers.ChoiceField(Decision.choices)
    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )


class RevokeBody(Body):
    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )


def review_line(now: Standing) -> dict[str, Any]:
    """A review as a list shows it."""
    review: Review = now.review
    same = ("id", "submitted_by", "submitted_at", "decided_at", "note", "subject_digest", "model_version")
    return {
        **{name: getattr(review, name) for name in same},
        "system": review.system.slug,
        "policy": review.policy_version,
        "state": now.state,
        "gates_passed": sum(gate.ok for gate in now.gates),
        "gates_waived": sum(gate.waived for gate in now.gates),
        "gates_total": len(now.gates),
        "seats": now.seats,
    }


def review_whole(page: ReviewPage) -> dict[str, Any]:
    """A review as one address shows it."""
    now, decision = page.standing, page.decision
    can = {"can_withdraw": page.can_withdraw, "can_revoke": page.can_revoke}
    return {
        **review_line(now),
        "subject": page.review.subject,
        "gates": [_gate(gate) for gate in now.gates],
        "votes": now.votes,
        "excluded": [{"person": person, "reasons": reasons} for person, reasons in page.excluded],
        "decision": {**vars(decision), **can},
        "approval": approval_line(page.approval, page.approval_status) if page.approval else None,
        "log": page.places,
    }


def _gate(gate: Gate) -> dict[str, Any]:
    ids = {"evidence": [row.pk for row in gate.evidence], "waivers": [row.pk for row in gate.waivers]}
    return {**vars(gate), **ids, "waived": gate.waived}


def with_places(signed: Vote | Approval, found: list[Place]) -> Vote | Approval:
    """A decision with the places of its review's events beside it."""
    signed.log = found  # type: ignore[union-attr]  # read from the log, never a column
    return signed


def approval_line(approval: Approval, status: str) -> Approval:
    """An approval with its status of now beside it."""
    approval.status = status  # type: ignore[attr-defined]  # computed, never a column
    return approval
