"""Waivers: what they let through, how they are counted, how they end, and how they are misused."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance import sentences
from governance.models import Approval, PolicyVersion, Review
from governance.selectors import approvals, evidence
from governance.selectors.standing import standing
from governance.services.reviews import submit
from governance.waivers import effect, records, services
from governance.waivers.models import Waiver, WaiverDecision, WaiverUse
from pipelines.models import ModelVersion
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.services import create_token, create_user
from tests.support.bundles import changed, export, files_of, remade, run_verify, unpack
from tests.support.models import HIGH, add_evidence, make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import approve, events, fresh, sign

PART = "slice_metrics"
ASKED = {"part": PART, "reason": "A group is small.", "control": "A clerk reads each of its cases.", "days": 10}


@pytest.fixture
def version(people: People) -> ModelVersion:
    """A version of which one gate fails: its slices."""
    made = make_model_version(people.system, people.engineer, kinds=[kind for kind in HIGH if kind != PART])
    step = made.step_run.run.steps.get(name="train")
    add_evidence(step, PART, made.artifact, verdict="fail")
    return made


@pytest.fixture
def waiver(people: People, version: ModelVersion) -> Waiver:
    return ask(people.engineer, version)


def ask(user: User, version: ModelVersion, **more: object) -> Waiver:
    return services.request(acting_user=user, model_version=version, **{**ASKED, **more})


def decide(user: User, waiver: Waiver, decision: str = "approve", **more: str) -> WaiverDecision:
    given = {"reason": "For ten days.", "password": PASSWORD, **more}
    return services.decide(acting_user=User.objects.get(pk=user.pk), waiver=waiver, decision=decision, **given)


def end(user: User, waiver: Waiver) -> WaiverDecision:
    fresh_user = User.objects.get(pk=user.pk)
    return services.end(acting_user=fresh_user, waiver=waiver, reason="No longer.", password=PASSWORD)


def gate(version: ModelVersion) -> evidence.Gate:
    return next(one for one in evidence.gates(version) if one.kind == PART)


def later(monkeypatch: pytest.MonkeyPatch, **more: float) -> None:
    """From now on it is that much later."""
    now = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: now() + timedelta(**more))


def test_an_active_waiver_lets_the_review_pass_and_is_counted_apart(people, version, waiver):
    review = submit(acting_user=people.owner, model_version=version)
    with pytest.raises(ConflictError, match="slice metrics"):
        sign(people.validator, review)
    decide(people.risk_officer, waiver)
    shut = gate(version)
    assert (str(shut.verdict), shut.ok, shut.waived, shut.holds) == ("fail", False, True, True)
    approve(people, review)
    issued = Approval.objects.get()
    assert issued.valid_until == waiver.expires_at  # it ends with the waiver, long before the policy's 180 days
    assert WaiverUse.objects.get().waiver == waiver
    said = sentences.gates_text(standing(review).gates)
    assert said == "8 of 9 gates pass, 1 waiver"
    assert "waived: slice metrics" in sentences.gates_parts(standing(review).gates)
    assert events("waiver:requested", "waiver:approved") == ["waiver:requested", "waiver:approved"]


def test_what_is_asked_for_and_not_decided_lets_nothing_pass(people, version, waiver):
    assert waiver.state() == "requested"
    assert not gate(version).holds


def test_a_rejected_waiver_lets_nothing_pass_and_is_decided_once(people, version, waiver):
    decide(people.risk_officer, waiver, "reject")
    assert fresh_waiver(waiver).state() == "rejected"
    assert not gate(version).holds
    with pytest.raises(ConflictError, match="rejected already"):
        decide(people.risk_officer, waiver)


def fresh_waiver(waiver: Waiver) -> Waiver:
    return Waiver.objects.get(pk=waiver.pk)


# ------------------------------------------------------------------------------------------------------ who may decide


@pytest.mark.parametrize("who", ["engineer", "second_engineer", "validator", "owner", "auditor", "admin"])
def test_only_a_risk_officer_decides(people, waiver, who):
    with pytest.raises(DeniedError):
        decide(getattr(people, who), waiver)
    assert fresh_waiver(waiver).state() == "requested"


def test_a_builder_who_became_risk_officer_waives_nothing_of_their_own(people, version):
    asked = ask(people.owner, version)
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.RISK_OFFICER, system=people.system)
    with pytest.raises(DeniedError, match="hand in this model"):
        decide(people.engineer, asked)


@pytest.mark.parametrize("part", ["requester", "owner"])
def test_who_asked_for_it_or_answers_for_it_does_not_decide(people, version, part):
    second = people.make("rico", "Rico Risk", Role.RISK_OFFICER)
    grant_role(acting_user=people.admin, user=second, role=Role.OWNER, system=people.system)
    second = User.objects.get(pk=second.pk)
    asked = ask(second, version) if part == "requester" else ask(people.owner, version, owner=second)
    with pytest.raises(DeniedError, match="another risk officer"):
        decide(second, asked)


def test_a_token_a_service_and_a_wrong_password_decide_nothing(people, version, waiver):
    token, _ = create_token(acting_user=people.risk_officer, user=people.risk_officer, name="x", scopes=["submit"])
    user = User.objects.get(pk=people.risk_officer.pk)
    user.acting_token = token
    with pytest.raises(DeniedError):
        services.decide(acting_user=user, waiver=waiver, decision="approve", reason="x", password=PASSWORD)
    with pytest.raises(DeniedError, match="password"):
        decide(people.risk_officer, waiver, password="wrong")
    service = create_user(acting_user=people.admin, username="ci", full_name="CI", password=None, is_service=True)
    with pytest.raises(DeniedError):
        ask(service, version)


def test_who_has_no_role_in_the_system_asks_for_nothing(people, version):
    for user in (people.outsider, people.validator, people.auditor):
        with pytest.raises(DeniedError):
            ask(user, version)


# ---------------------------------------------------------------------------------------------- what it has effect for


def test_a_waiver_has_no_effect_on_another_version_or_part(people, version, waiver):
    decide(people.risk_officer, waiver)
    other = make_model_version(people.system, people.engineer, verdict="fail")
    assert gate(version).waived
    assert not any(one.holds for one in evidence.gates(other) if one.kind == PART)


@pytest.mark.parametrize("what", ["evidence", "policy", "tier"])
def test_any_change_of_the_subject_ends_its_effect(people, version, waiver, what):
    submit(acting_user=people.owner, model_version=version)  # publishes the policies
    decide(people.risk_officer, waiver)
    assert effect.standing(fresh_waiver(waiver)).has_effect
    if what == "evidence":
        add_evidence(version.step_run, "holdout_metrics", version.artifact)
    elif what == "policy":
        content = {**PolicyVersion.objects.get(tier="high").content, "validity_days": 30}
        PolicyVersion.objects.create(tier="high", number=2, digest="1" * 64, content=content)
    else:
        type(people.system).objects.filter(pk=people.system.pk).update(tier="medium")
    again = ModelVersion.objects.get(pk=version.pk)
    assert not gate(again).holds
    standing_now = effect.standing(fresh_waiver(waiver))
    assert (standing_now.state, standing_now.same, standing_now.has_effect) == ("active", False, False)


def test_a_waiver_asked_for_another_subject_is_not_approved_any_more(people, version, waiver):
    add_evidence(version.step_run, "holdout_metrics", version.artifact)
    with pytest.raises(ConflictError, match="ask again"):
        decide(people.risk_officer, waiver)
    decide(people.risk_officer, waiver, "reject")


def test_an_expired_waiver_lets_nothing_pass_and_its_approval_has_ended(people, version, waiver, monkeypatch):
    decide(people.risk_officer, waiver)
    review = submit(acting_user=people.owner, model_version=version)
    approve(people, review)
    assert approvals.approval_of(version).active
    later(monkeypatch, days=10, seconds=1)
    assert fresh_waiver(waiver).state() == "expired"
    assert not gate(version).holds
    assert approvals.approval_of(version).status == "expired"


def test_time_never_approves_a_request(people, waiver, monkeypatch):
    later(monkeypatch, days=11)
    assert fresh_waiver(waiver).state() == "expired"
    with pytest.raises(ConflictError, match="expired already"):
        decide(people.risk_officer, waiver)


@pytest.mark.parametrize(("who", "state"), [("validator", "revoked"), ("engineer", "closed")])
def test_one_person_ends_it_and_what_rests_on_it_holds_no_more(people, version, waiver, who, state):
    decide(people.risk_officer, waiver)
    approve(people, submit(acting_user=people.owner, model_version=version))
    end(getattr(people, who), waiver)
    assert fresh_waiver(waiver).state() == state
    assert approvals.approval_of(version).status == "void"
    assert not gate(version).holds
    with pytest.raises(ConflictError, match=f"{state} already"):
        end(people.risk_officer, waiver)


def test_a_waiver_that_ends_between_two_votes_issues_nothing(people, version, waiver):
    decide(people.risk_officer, waiver)
    review = submit(acting_user=people.owner, model_version=version)
    sign(people.validator, review)
    end(people.validator, waiver)
    with pytest.raises(ConflictError, match="slice metrics"):
        sign(people.risk_officer, review)
    assert not Approval.objects.exists()
    assert fresh(review).reviews.get().is_open


# ----------------------------------------------------------------------------------------------------- what it may say


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"days": 31}, InvalidError),
        ({"days": 0}, InvalidError),
        ({"reason": "  "}, InvalidError),
        ({"control": ""}, InvalidError),
        ({"part": "nonsense"}, InvalidError),
        ({"part": "holdout_metrics"}, ConflictError),  # it passes
        ({"part": "holdout_metrics/calibrated"}, InvalidError),  # it warns only
    ],
)
def test_what_makes_no_sense_is_refused(people, version, more, error):
    with pytest.raises(error):
        ask(people.engineer, version, **more)
    assert not Waiver.objects.exists()


def test_the_owner_is_a_person_with_a_role_in_the_system(people, version):
    with pytest.raises(InvalidError, match="role in the system"):
        ask(people.engineer, version, owner=people.outsider)
    assert ask(people.engineer, version, owner=people.owner).owner == people.owner


def test_one_request_waits_at_a_time_and_renewals_are_bounded(people, version, waiver):
    with pytest.raises(ConflictError, match="waits for a decision"):
        ask(people.owner, version)
    decide(people.risk_officer, waiver)
    renewal = ask(people.owner, version)
    assert renewal.renewal == 1
    decide(people.risk_officer, renewal)
    add_evidence(version.step_run, "holdout_metrics", version.artifact)  # another subject starts no new count
    with pytest.raises(ConflictError, match="mend what is broken"):
        ask(people.owner, version)


def test_a_rule_is_waived_by_its_own_name_only(people):
    made = make_model_version(
        people.system, people.engineer, kinds=[kind for kind in HIGH if kind != "holdout_metrics"]
    )
    step = made.step_run.run.steps.get(name="train")
    add_evidence(step, "holdout_metrics", made.artifact, measurements=[])
    rule = "holdout_metrics/better-than-chance"
    with pytest.raises(ConflictError, match="not broken"):
        ask(people.engineer, made, part="holdout_metrics")
    decide(people.risk_officer, ask(people.engineer, made, part=rule))
    (held,) = [one for one in evidence.gates(made) if one.kind == "holdout_metrics"]
    assert (held.broken, held.waived) == ((rule,), True)


def test_a_policy_without_waivers_lets_nothing_be_waived(people, version):
    submit(acting_user=people.owner, model_version=version)
    content = {**PolicyVersion.objects.get(tier="high").content, "waivers": None}
    PolicyVersion.objects.create(tier="high", number=2, digest="1" * 64, content=content)
    with pytest.raises(ConflictError, match="nothing be waived"):
        ask(people.engineer, version)


# ------------------------------------------------------------------------------------------------------- what is stored


def test_waivers_and_decisions_are_insert_only_and_their_digests_cover_every_part(people, version, waiver):
    made = decide(people.risk_officer, waiver)
    assert records.decision_digest(WaiverDecision.objects.get()) == made.digest
    works = (
        lambda: Waiver.objects.update(expires_at=timezone.now() + timedelta(days=999)),
        lambda: WaiverDecision.objects.update(decision="approve"),
        lambda: WaiverDecision.objects.all().delete(),
    )
    for work in works:
        with pytest.raises(DatabaseError), transaction.atomic():
            work()
    copy = WaiverDecision.objects.get()
    copy.pk, copy.decision = uuid4(), "reject"
    with pytest.raises(DatabaseError), transaction.atomic():
        copy.save(force_insert=True)


def test_a_list_of_many_takes_as_many_queries_as_one(people, version, waiver):
    decide(people.risk_officer, waiver)

    def queries(rows: list[ModelVersion]) -> int:
        with CaptureQueriesContext(connection) as captured:
            found = evidence.found_for(rows)
            evidence.gates_of((found[row.pk].policy, found[row.pk]) for row in rows)
        return len(captured)

    rows = ModelVersion.objects.select_related(*evidence.MODEL_VERSION_RELATED)
    one = queries(list(rows))
    for _ in range(3):
        other = make_model_version(people.system, people.engineer, verdict="fail")
        decide(people.risk_officer, ask(people.engineer, other))
    assert queries(list(rows)) == one


# ---------------------------------------------------------------------------------------------------------- the export


@pytest.fixture
def bundle(people: People, version: ModelVersion, waiver: Waiver) -> dict[str, bytes]:
    decide(people.risk_officer, waiver)
    approve(people, submit(acting_user=people.owner, model_version=version))
    return files_of(export(people.auditor, version))


def test_an_export_with_a_waiver_is_verified_offline(bundle, tmp_path):
    result = run_verify(unpack(bundle, tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda d: d["waivers"][0]["content"].update(subject_digest="0" * 64), "its digest"),
        (lambda d: d["waivers"].clear(), "not in this bundle"),
        (lambda d: d["reviews"][0]["approval"].update(waivers=[]), "waivers that the approval rests on"),
        (lambda d: d["waivers"][0]["decisions"].clear(), "nobody had approved it"),
        (lambda d: d["waivers"][0]["decisions"][0]["content"].update(reason="x"), "digest of its decision"),
    ],
)
def test_a_changed_waiver_in_an_export_is_caught(bundle, tmp_path, change, told):
    result = run_verify(unpack(remade(changed(bundle, "decisions.json", change)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert told in result.stdout


def test_a_builder_who_got_a_waiver_of_their_own_approved_is_caught_offline(people, version, tmp_path, monkeypatch):
    """An insider who switches the server's own check off still leaves a log that convicts them."""
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.RISK_OFFICER, system=people.system)
    asked = ask(people.owner, version)
    monkeypatch.setattr(services, "_may_decide", lambda user, waiver: None)
    decide(people.engineer, asked)
    approve(people, submit(acting_user=people.owner, model_version=version))
    result = run_verify(unpack(files_of(export(people.auditor, version)), tmp_path / "bundle"))
    assert result.returncode == 1
    assert "who approved it" in result.stdout


def test_reviews_that_rest_on_a_waiver_are_told(people, bundle, waiver):
    assert effect.reviews_resting_on(waiver) == list(Review.objects.all())
