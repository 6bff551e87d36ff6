"""What reviews, votes, approvals, lineage and coverage look like in answers, and what requests for them hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.models import Approval, Decision, GrantActKind, Review, ReviewState, Vote
from governance.selectors.evidence import Gate
from governance.selectors.inclusion import Place
from governance.selectors.reviews import ReviewPage
from governance.selectors.standing import Standing
from governance.services.conditions import MAX_CONDITION, MAX_CONDITIONS
from governance.services.reviews import DEFAULT_ENVIRONMENTS, ENVIRONMENT, MAX_ENVIRONMENTS, MAX_TEXT
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

STATUSES = ("active", "suspended", "expired", "superseded", "revoked", "void")
CONDITION_STANDINGS = ("open", "reported", "overdue", "met")
COVERAGE = ("supported", "partial", "missing", "needs-attestation", "not-applicable")
RULE_SEVERITIES = ("block", "warn")
MAX_DEPTH = 100


def expected_version_field() -> serializers.IntegerField:
    """The ``row_version`` that somebody looked at before they decided."""
    return serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=2**31 - 1,
        help_text="The `row_version` that you looked at; another one now is a conflict.",
    )


class EnvironmentField(serializers.RegexField):
    """The name of an environment."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(rf"^{ENVIRONMENT.pattern}\Z", max_length=40, trim_whitespace=False, **kwargs)


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
    severity = serializers.ChoiceField(RULE_SEVERITIES, source="rule.severity")
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
    meaning = serializers.CharField(help_text="What the signature means, as of signing.")
    subject_digest = serializers.CharField(help_text="What was signed.")
    signed_at = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField(help_text="Of the whole vote; it stands in the audit log.")
    statement = serializers.UUIDField(
        source="statement_id",
        allow_null=True,
        help_text="Of `/statements/{id}`: the vote as an in-toto statement.",
    )


class GrantActSerializer(Shape):
    """What one person did to an approval after it was issued, signed."""

    id = serializers.UUIDField()
    kind = serializers.ChoiceField(GrantActKind.choices)
    printed_name = serializers.CharField()
    reason = serializers.CharField()
    meaning = serializers.CharField()
    signed_at = serializers.DateTimeField()
    method = serializers.CharField()
    condition = serializers.UUIDField(source="condition_id", allow_null=True)
    digest = serializers.CharField()
    statement = serializers.UUIDField(source="statement_id", allow_null=True)


class ConditionSerializer(Shape):
    """What must still be done for an approval to go on holding. Overdue, it suspends the approval."""

    id = serializers.UUIDField()
    review = serializers.UUIDField(source="review_id")
    text = serializers.CharField()
    owner = PersonRefSerializer()
    set_by = PersonRefSerializer(source="vote.voter")
    due_at = serializers.DateTimeField()
    standing = serializers.ChoiceField(CONDITION_STANDINGS, help_text="Its state as it is to be read now.")
    row_version = serializers.IntegerField()
    note = serializers.CharField(help_text="What was said last: how it was met, or why that is not enough.")
    reported_at = serializers.DateTimeField(allow_null=True)
    met_at = serializers.DateTimeField(allow_null=True)
    confirmed_by = PersonRefSerializer(allow_null=True)


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
    environments = serializers.ListField(child=serializers.CharField(), help_text="Where it is to be used.")
    reinstates = serializers.UUIDField(
        source="reinstates_id", allow_null=True, help_text="The suspended approval that this is about."
    )
    submitted_by = PersonRefSerializer()
    submitted_at = serializers.DateTimeField()
    deadline = serializers.DateTimeField(help_text="When it lapses unless it is decided.")
    decided_at = serializers.DateTimeField(allow_null=True)
    follows = serializers.UUIDField(
        source="follows_id", allow_null=True, help_text="The review whose request for changes this one answers."
    )
    row_version = serializers.IntegerField(help_text="Counts its moves; `expected_version` of a decision.")
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
    environments = serializers.ListField(child=serializers.CharField(), help_text="Where it lets the version be used.")
    issued_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()
    subject_digest = serializers.CharField()
    row_version = serializers.IntegerField(help_text="Counts its moves; `expected_version` of a revocation.")
    revoked_at = serializers.DateTimeField(allow_null=True)
    revoked_by = PersonRefSerializer(allow_null=True)
    revoked_reason = serializers.CharField()


class RevokedSerializer(ApprovalSerializer):
    """A revoked approval, and where the decisions of its review stand in the audit log."""

    log = PlaceSerializer(many=True)


class DecisionSerializer(Shape):
    """What I can do with a review now, or why not and who can."""

    can_approve = serializers.BooleanField()
    can_request_changes = serializers.BooleanField()
    can_reject = serializers.BooleanField()
    can_withdraw = serializers.BooleanField()
    can_revoke = serializers.BooleanField()
    can_suspend = serializers.BooleanField()
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
    conditions = ConditionSerializer(many=True)
    acts = GrantActSerializer(many=True, help_text="What people did to the approval after it was issued.")
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
    environments = serializers.ListField(
        child=EnvironmentField(),
        required=False,
        default=list(DEFAULT_ENVIRONMENTS),
        min_length=1,
        max_length=MAX_ENVIRONMENTS,
        help_text="Where it is to be used; everybody who signs, signs that too.",
    )


class ReinstateBody(Body):
    note = serializers.CharField(max_length=MAX_TEXT, required=False, default="", allow_blank=True)


class ConditionBody(Body):
    """Something that must still be done."""

    text = serializers.CharField(max_length=MAX_CONDITION)
    owner = serializers.CharField(max_length=150, help_text="A username: who has to do it.")
    due = serializers.DateField(help_text="The last day for it, in UTC.")


class VoteBody(Body):
    """A decision, why, and the password again: a signature."""

    decision = serializers.ChoiceField(Decision.choices)
    conditions = serializers.ListField(
        child=ConditionBody(), required=False, default=list, max_length=MAX_CONDITIONS, help_text="Of an approval."
    )
    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )
    expected_version = expected_version_field()


class RevokeBody(Body):
    """Why, and the password again: a signature."""

    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )
    expected_version = expected_version_field()


def review_line(now: Standing) -> dict[str, Any]:
    """A review as a list shows it."""
    review: Review = now.review
    times = ("submitted_at", "deadline", "decided_at")
    same = ("id", "submitted_by", "note", "environments", "reinstates_id", "follows_id", "row_version", *times)
    return {
        **{name: getattr(review, name) for name in (*same, "subject_digest", "model_version")},
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
    can = {
        "can_request_changes": decision.can_request_changes,
        "can_withdraw": page.can_withdraw,
        "can_revoke": page.can_revoke,
        "can_suspend": page.can_suspend,
    }
    return {
        **review_line(now),
        "subject": page.review.subject,
        "gates": [_gate(gate) for gate in now.gates],
        "votes": now.votes,
        "excluded": [{"person": person, "reasons": reasons} for person, reasons in page.excluded],
        "decision": {**vars(decision), **can},
        "approval": approval_line(page.approval, page.approval_status) if page.approval else None,
        "conditions": page.conditions,
        "acts": page.acts,
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
