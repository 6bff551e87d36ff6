"""Drafts, two signatures, publishing, systems under a policy of their use: who may, and how it is misused."""

from __future__ import annotations

import json

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from governance.models import PolicyVersion, ReviewState
from governance.policy import builtin
from governance.policymaking import records, selectors, services
from governance.policymaking.models import DraftSignature, PolicyDraft
from governance.policymaking.simulation import simulate
from governance.selectors import approvals, policies
from governance.services.policies import publish_builtin
from governance.services.reviews import refresh, submit
from security.access.models import AISystem, RoleGrant
from security.access.services import grant_role, revoke_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.services import create_token
from security.log.models import AuditEvent
from tests.governance.policymaking.conftest import STRICT, sign, text
from tests.support.models import make_model_version
from tests.support.people import PASSWORD
from tests.support.reviews import events


def published() -> list[int]:
    return list(PolicyVersion.objects.filter(tier="high").order_by("number").values_list("number", flat=True))


def test_two_signatures_publish_and_the_log_says_who_signed_what(people, makers, draft):
    publish_builtin()
    draft = services.change(acting_user=makers.val, row=draft, text=draft.text)
    first = sign(makers.val, draft)  # the author may be the first
    assert published() == [1]
    second = sign(makers.ris, draft)
    draft.refresh_from_db()
    assert (draft.state, draft.published.number, draft.published.digest) == ("published", 2, draft.digest)
    assert policies.current("high") == draft.published
    event = AuditEvent.objects.filter(event="policy:published").latest("time")
    assert json.loads(event.entry)["payload"]["signatures"] == [first.digest, second.digest]
    assert event.actor.endswith(str(makers.ris.pk))
    assert [row.role for row in selectors.signed_for(draft.published)] == ["validator", "risk-officer"]
    assert events("policy-draft:signed") == ["policy-draft:signed"] * 2


def test_one_person_signs_once_whatever_roles_they_hold(makers, draft):
    sign(makers.both, draft)
    with pytest.raises(DeniedError, match="takes two people"):
        sign(makers.both, draft)
    sign(makers.ris if selectors.counted(draft)[0].role == "validator" else makers.val, draft)
    draft.refresh_from_db()
    assert draft.state == "published"


def test_two_validators_are_not_two_signatures(people, makers, draft):
    second = people.make("vid", "Vid Validator")
    grant_role(acting_user=people.admin, user=second, role=Role.VALIDATOR)
    sign(makers.val, draft)
    with pytest.raises(ConflictError, match="validator is there already"):
        sign(second, draft)
    assert not PolicyVersion.objects.exists()


def test_who_holds_the_role_in_one_system_only_signs_no_policy_for_all(people, draft):
    for user in (people.validator, people.risk_officer, people.admin, people.owner, people.engineer):
        with pytest.raises(DeniedError):
            sign(user, draft)
    with pytest.raises(DeniedError):
        services.draft(acting_user=people.engineer, text=text())


def test_a_token_cannot_sign_even_for_who_may(people, makers, draft):
    token, _ = create_token(acting_user=makers.val, user=makers.val, name="x", scopes=["read"])
    user = User.objects.get(pk=makers.val.pk)
    user.acting_token = token
    with pytest.raises(DeniedError, match="signs in"):
        services.sign(acting_user=user, row=draft, reason="x", password=PASSWORD)


def test_a_wrong_password_and_an_empty_reason_sign_nothing(makers, draft):
    with pytest.raises(DeniedError, match="password"):
        sign(makers.val, draft, password="wrong")
    with pytest.raises(InvalidError):
        sign(makers.val, draft, reason="  ")
    assert not DraftSignature.objects.exists()


def test_a_changed_draft_voids_what_was_signed(makers, draft):
    sign(makers.val, draft)
    draft = services.change(
        acting_user=makers.ris, row=draft, text=text("high", "threshold: 0.6\n", "threshold: 0.1\n")
    )
    assert selectors.counted(draft) == []
    sign(makers.ris, draft)
    assert not PolicyVersion.objects.exists()  # the validator signed another text
    sign(makers.val, draft)
    assert policies.current("high").digest == draft.digest


def test_a_signature_of_who_has_lost_the_role_counts_no_more(people, makers, draft):
    sign(makers.val, draft)
    revoke_role(acting_user=people.admin, grant=RoleGrant.objects.get(user=makers.val))
    sign(makers.ris, draft)
    assert not PolicyVersion.objects.exists()
    second = people.make("vid", "Vid Validator")
    grant_role(acting_user=people.admin, user=second, role=Role.VALIDATOR)
    sign(second, draft)
    assert policies.current("high").digest == draft.digest


def test_a_draft_that_another_version_overtook_is_looked_at_again(makers, draft):
    other = services.draft(acting_user=makers.ris, text=text("high", "threshold: 0.6\n", "threshold: 0.7\n"))
    for user in (makers.val, makers.ris):
        sign(user, other)
    with pytest.raises(ConflictError, match="published since"):
        sign(makers.val, draft)
    renewed = services.change(acting_user=makers.val, row=draft, text=draft.text)
    assert renewed.base == policies.current("high")
    for user in (makers.val, makers.ris):
        sign(user, renewed)
    assert published() == [1, 2]


def test_a_release_does_not_take_back_what_two_people_signed(people, makers, draft):
    for user in (makers.val, makers.ris):
        sign(user, draft)
    publish_builtin()
    assert policies.current("high").digest == draft.digest
    assert {version.tier for version in PolicyVersion.objects.all()} == {"high", "medium", "low"}


def test_signatures_are_insert_only_and_their_digest_covers_every_part(makers, draft):
    made = sign(makers.val, draft)
    assert records.signature_digest(DraftSignature.objects.get()) == made.digest
    for work in (lambda: DraftSignature.objects.update(reason="x"), lambda: DraftSignature.objects.all().delete()):
        with pytest.raises(DatabaseError), transaction.atomic():
            work()
    with connection.cursor() as cursor, pytest.raises(DatabaseError, match="insert-only"), transaction.atomic():
        cursor.execute("UPDATE policymaking_draftsignature SET role = ''")


def test_a_closed_draft_takes_neither_change_nor_signature(makers, draft):
    services.withdraw(acting_user=makers.ris, row=draft)
    for work in (
        lambda: sign(makers.val, draft),
        lambda: services.change(acting_user=makers.val, row=draft, text=draft.text),
        lambda: services.withdraw(acting_user=makers.val, row=draft),
    ):
        draft.refresh_from_db()
        with pytest.raises(ConflictError, match="withdrawn already"):
            work()


def test_a_draft_of_another_name_or_tier_is_another_draft(makers, draft):
    with pytest.raises(InvalidError, match="begin another"):
        services.change(acting_user=makers.val, row=draft, text=text("medium"))
    renamed = text("high", "name: high", "name: pricing")
    row = services.draft(acting_user=makers.val, text=renamed)
    for user in (makers.val, makers.ris):
        sign(user, row)
    lower = renamed.replace("tier: high", "tier: low")
    with pytest.raises(ConflictError, match="stays one"):
        services.draft(acting_user=makers.val, text=lower)


def test_a_refused_text_names_every_error_and_keeps_nothing(makers):
    with pytest.raises(InvalidError) as caught:
        services.draft(acting_user=makers.val, text=text("high", "validity_days: 180", "validity_days: 9999"))
    (error,) = caught.value.extra["errors"]
    assert (error["parameter"], error["line"] > 1) == ("validity_days", True)
    assert not PolicyDraft.objects.exists()


# ---------------------------------------------------------------------------------------------------- what would change


def test_a_simulation_tells_what_flips_and_which_approvals_would_be_void(people, makers, approved):
    second = make_model_version(people.system, people.engineer, name="fails", verdict="fail")
    make_model_version(people.other, people.outsider, name="elsewhere")
    draft = services.draft(acting_user=makers.val, text=text("high", *STRICT))
    found = simulate(User.objects.get(pk=people.validator.pk), draft.policy)
    assert found.looked_at == 2  # the other system is not theirs to see
    (lost,) = found.lost
    assert (lost.version, lost.void) == (approved, True)
    (flip,) = lost.flips
    assert (flip.kind, flip.before, flip.after) == ("holdout_metrics", "pass", "fail")
    assert "lower bound of roc_auc 0.96" in flip.reason
    assert found.gained == []
    assert [line.version for line in found.lines if not line.flips] == [second]
    everything = simulate(User.objects.get(pk=makers.val.pk), draft.policy)
    assert everything.looked_at == 3


def test_the_present_policy_simulated_changes_nothing(people, makers, approved):
    found = simulate(User.objects.get(pk=makers.val.pk), policies.current("high").policy)
    assert (found.changed, found.void, found.looked_at) == ([], [], 1)


def test_a_simulation_takes_as_many_queries_for_five_versions_as_for_one(people, makers, approved):
    def queries() -> int:
        user = User.objects.get(pk=makers.val.pk)
        with CaptureQueriesContext(connection) as captured:
            simulate(user, builtin("high"))
        return len(captured)

    one = queries()
    for _ in range(4):
        make_model_version(people.system, people.engineer)
    assert queries() == one


def test_publishing_voids_the_approval_and_supersedes_the_open_review(people, makers, approved):
    waiting = submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
    draft = services.draft(acting_user=makers.val, text=text("high", *STRICT))
    for user in (makers.val, makers.ris):
        sign(user, draft)
    assert approvals.approval_of(approved).status == "void"
    assert refresh(waiting).state == ReviewState.SUPERSEDED


# ------------------------------------------------------------------------------------------------------ chosen by use


def assign(user, system, policy="financial-model-risk", **more):
    given = {"reason": "It prices loans.", "password": PASSWORD, **more}
    return services.assign(acting_user=User.objects.get(pk=user.pk), system=system, policy=policy, **given)


def test_a_system_put_under_a_policy_of_its_use_is_judged_by_it(people, approved):
    assert approvals.approval_of(approved).active
    assign(people.risk_officer, people.system)
    assert policies.policy_for(people.system).key == "financial-model-risk"
    assert approvals.approval_of(approved).status == "void"
    review = submit(acting_user=people.owner, model_version=make_model_version(people.system, people.engineer))
    assert review.policy_version.policy.key == "financial-model-risk"
    assert review.subject["policy"]["digest"] == builtin("financial-model-risk").digest
    assert policies.policy_for(people.other).key == "high"
    assign(people.risk_officer, people.system, "")
    assert approvals.approval_of(approved).active
    assert events("policy:assigned", "policy:unassigned") == ["policy:assigned", "policy:unassigned"]


@pytest.mark.parametrize("who", ["engineer", "owner", "validator", "admin"])
def test_only_a_risk_officer_of_the_system_puts_it_under_another_policy(people, who):
    with pytest.raises(DeniedError):
        assign(getattr(people, who), people.system)


@pytest.mark.parametrize("name", ["nothing", "high", "low", "HIGH"])
def test_a_policy_that_there_is_not_or_of_a_tier_is_not_assigned(people, name):
    with pytest.raises(InvalidError, match="no policy for a use"):
        assign(people.risk_officer, people.system, name)


def test_a_use_never_makes_it_easier_than_the_tier(people, makers):
    easy = text("low", "name: low", "name: sandbox")
    row = services.draft(acting_user=makers.val, text=easy)
    for user in (makers.val, makers.ris):
        sign(user, row)
    with pytest.raises(InvalidError, match="never makes it easier"):
        assign(people.risk_officer, people.system, "sandbox")
    AISystem.objects.filter(pk=people.system.pk).update(tier="low")
    assign(people.risk_officer, people.system, "sandbox")
    assert policies.policy_for(AISystem.objects.get(pk=people.system.pk)).key == "sandbox"
    AISystem.objects.filter(pk=people.system.pk).update(tier="medium")  # raised later: the tier's own applies again
    assert policies.policy_for(AISystem.objects.get(pk=people.system.pk)).key == "medium"
