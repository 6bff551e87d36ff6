"""Raising a tier is free; nothing but a second-line signature on valid answers of somebody else lowers it."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.models import Approval, Review
from governance.risk import records, selectors
from governance.risk.models import Assessment, QuestionnaireVersion, SystemProfile, TierChange
from governance.risk.questionnaire import builtin_text
from governance.risk.services import profiles, tiers
from governance.risk.services.questionnaires import publish
from governance.selectors import approvals
from governance.services.reviews import refresh, submit, vote
from security.access.models import AISystem
from security.access.services import change_system, grant_role
from security.access.table import Role
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import ApiToken, User
from security.log.models import AuditEvent
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import events, fresh, sign
from tests.support.risk import DESCRIBED, HIGH, LOW, MEDIUM, answer, describe, lower

HARDER = builtin_text().replace("{medium: 30, high: 60}", "{medium: 20, high: 60}")


@pytest.fixture
def low(people: People) -> Assessment:
    """The system is described, and the owner's answers come to the lowest tier."""
    describe(people.owner, people.system)
    return answer(people.owner, people.system)


def tier_of(people: People) -> str:
    return AISystem.objects.get(pk=people.system.pk).tier


def officer(people: People, name: str = "ruth") -> User:
    return people.make(name, f"{name.title()} Risk", Role.RISK_OFFICER)


def test_a_new_system_is_in_the_highest_tier_until_somebody_signs(people, low):
    assert (low.tier, tier_of(people)) == ("low", "high")
    change = lower(people.risk_officer, low)
    assert tier_of(people) == "low"
    assert (change.before, change.after, change.printed_name) == ("high", "low", "Rosa Risk")
    assert change.method == "password"
    assert events("assessment:recorded", "tier:lowered") == ["assessment:recorded", "tier:lowered"]


def test_answers_that_come_to_more_raise_the_tier_at_once(people, low):
    lower(people.risk_officer, low)
    found = answer(people.engineer, people.system, HIGH)
    assert tier_of(people) == "high"
    assert found.tier_change.changed_by == people.engineer
    assert events("tier:lowered", "tier:raised") == ["tier:lowered", "tier:raised"]


def test_anybody_who_works_in_the_system_raises_its_tier_without_a_signature(people, low):
    lower(people.risk_officer, low)
    tiers.raise_tier(acting_user=people.validator, system=people.system, tier="medium", reason="It is used for offers.")
    assert tier_of(people) == "medium"
    with pytest.raises(ConflictError, match="medium already"):
        tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="low", reason="Down again.")
    with pytest.raises(InvalidError, match="no tier"):
        tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="extreme", reason="Up.")
    for user in (people.auditor, people.admin, people.outsider):
        with pytest.raises(DeniedError):
            tiers.raise_tier(acting_user=user, system=people.system, tier="high", reason="Up.")


def test_the_builder_cannot_have_the_tier_lowered_by_their_own_answers(people):
    describe(people.engineer, people.system)
    found = answer(people.engineer, people.system)
    assert found.built
    with pytest.raises(ConflictError, match="Erin Engineer answered it, and has a hand in the system"):
        lower(people.risk_officer, found)
    assert tier_of(people) == "high"


def test_an_owner_who_ran_something_here_counts_as_a_builder(people, low):
    make_model_version(people.system, people.owner)
    with pytest.raises(ConflictError, match="Olga Owner answered it, and has a hand"):
        lower(people.risk_officer, low)


def test_giving_up_the_engineers_role_does_not_undo_what_the_answers_were(people):
    describe(people.second_engineer, people.system)
    found = answer(people.second_engineer, people.system)
    people.second_engineer.grants.update(revoked_at=timezone.now())
    with pytest.raises(ConflictError, match="built here when it was answered"):
        lower(people.risk_officer, found)


def test_a_risk_officer_who_builds_or_who_answered_cannot_sign(people, low):
    builder = officer(people)
    grant_role(acting_user=people.admin, user=builder, role=Role.ENGINEER, system=people.system)
    with pytest.raises(DeniedError, match="You have a hand in this system"):
        lower(builder, low)
    own = answer(people.risk_officer, people.system)
    with pytest.raises(DeniedError, match="You answered this yourself"):
        lower(people.risk_officer, own)
    lower(officer(people, "rita"), own)
    assert tier_of(people) == "low"


@pytest.mark.parametrize("who", ["engineer", "validator", "auditor", "owner", "admin", "outsider", "nobody"])
def test_nobody_but_the_second_line_lowers_a_tier(who, people, low):
    with pytest.raises(DeniedError):
        lower(getattr(people, who), low)
    assert tier_of(people) == "high"


def test_a_token_or_a_wrong_password_lowers_nothing(people, low):
    with pytest.raises(DeniedError, match="The password is not right"):
        lower(people.risk_officer, low, password="guess")
    assert AuditEvent.objects.get(event="signature:refused").subject.endswith(str(low.pk))
    people.risk_officer.acting_token = ApiToken(scopes=["risk"])
    with pytest.raises(DeniedError, match="Only a person"):
        lower(people.risk_officer, low)
    assert (tier_of(people), TierChange.objects.count()) == ("high", 0)


def test_a_signature_is_not_replayed_after_the_tier_was_raised_again(people, low):
    lower(people.risk_officer, low)
    tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="high", reason="Used for credit now.")
    with pytest.raises(ConflictError, match="has changed the tier already"):
        lower(people.risk_officer, low)
    assert tier_of(people) == "high"


def test_answers_from_before_a_raise_do_not_undo_it(people, low):
    lower(people.risk_officer, low)
    again = answer(people.owner, people.system, LOW)
    tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="medium", reason="An incident.")
    with pytest.raises(ConflictError, match="changed after this was answered"):
        lower(people.risk_officer, again)


def test_only_the_newest_of_two_assessments_counts(people, low):
    worse = answer(people.validator, people.system, HIGH)
    with pytest.raises(ConflictError, match="answered again since"):
        lower(people.risk_officer, low)
    with pytest.raises(ConflictError, match="not below the tier"):
        lower(people.risk_officer, worse)


def test_a_new_questionnaire_or_another_purpose_or_description_voids_the_answers(people, low):
    publish(acting_user=people.admin, text=HARDER)
    with pytest.raises(ConflictError, match="Another version of the questionnaire"):
        lower(people.risk_officer, low)
    second = answer(people.owner, people.system)
    change_system(acting_user=people.owner, system=people.system, name="Credit", purpose="Deciding on credit.")
    with pytest.raises(ConflictError, match="not answered about the system as it is described now"):
        lower(people.risk_officer, second)
    describe(people.owner, people.system)
    with pytest.raises(ConflictError, match="not answered about the system as it is described now"):
        lower(people.risk_officer, second)
    lower(people.risk_officer, answer(people.owner, people.system))
    assert tier_of(people) == "low"


def test_an_undescribed_system_can_be_assessed_and_raised_but_not_lowered(people):
    found = answer(people.owner, people.system)
    with pytest.raises(ConflictError, match="describe it, then answer again"):
        lower(people.risk_officer, found)


def test_whoever_set_the_signers_password_counts_as_their_hand(people, low):
    User.objects.filter(pk=people.risk_officer.pk).update(credentials_at=timezone.now(), credentials_by=people.owner)
    people.risk_officer.refresh_from_db()
    with pytest.raises(DeniedError, match="may be one person"):
        lower(people.risk_officer, low)
    assert tier_of(people) == "high"


def test_raising_the_tier_voids_approvals_and_supersedes_reviews(people, low):
    lower(people.risk_officer, low)
    kinds = ["training_config", "holdout_metrics"]
    version = make_model_version(people.system, people.engineer, kinds=kinds)
    review = submit(acting_user=people.engineer, model_version=version)
    sign(people.risk_officer, review)
    open_one = submit(acting_user=people.engineer, model_version=version)
    assert approvals.approval_of(fresh(review)).status == "active"
    tiers.raise_tier(acting_user=people.engineer, system=people.system, tier="high", reason="Used for credit now.")
    assert approvals.approval_of(fresh(review)).status == "void"
    assert refresh(Review.objects.get(pk=open_one.pk)).state == "superseded"
    assert Approval.objects.count() == 1
    with pytest.raises(ConflictError, match="policy changed"):
        vote(acting_user=people.risk_officer, review=open_one, decision="approve", reason="x", password=PASSWORD)


def test_what_was_recorded_is_bound_by_digests_in_the_log(people, low):
    change = lower(people.risk_officer, low)
    payloads = "".join(
        AuditEvent.objects.filter(event__in=["assessment:recorded", "tier:lowered"]).values_list("entry", flat=True)
    )
    stored = Assessment.objects.get()
    assert stored.questionnaire_digest == stored.questionnaire.questionnaire.digest
    assert records.assessment_digest(stored) == low.digest
    assert low.digest in payloads
    assert records.tier_change_digest(TierChange.objects.get()) == change.digest
    assert change.digest in payloads
    assert "Nothing is decided" not in payloads


@pytest.mark.parametrize("model", [QuestionnaireVersion, SystemProfile, Assessment, TierChange])
def test_the_database_refuses_to_change_or_delete_what_is_on_record(model, people, low):
    lower(people.risk_officer, low)
    for statement in (f"UPDATE {model._meta.db_table} SET id = id", f"DELETE FROM {model._meta.db_table}"):
        with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_the_database_refuses_a_lowering_without_a_signature(people, low):
    given = {
        "system": people.system, "number": 1, "before": "high", "after": "low", "reason": "x", "digest": "0" * 64,
        "changed_by": people.admin, "changed_at": timezone.now(), "printed_name": "x", "assessment": low,
    }  # fmt: skip
    with pytest.raises(IntegrityError), transaction.atomic():
        TierChange.objects.create(**given)
    given |= {"method": "password", "reauthenticated_at": timezone.now(), "assessment": None}
    with pytest.raises(IntegrityError), transaction.atomic():
        TierChange.objects.create(**given)


def test_publishing_is_for_administrators_validated_and_numbered(people):
    with pytest.raises(DeniedError):
        publish(acting_user=people.risk_officer, text=HARDER)
    with pytest.raises(InvalidError):
        publish(acting_user=people.admin, text="title: nothing")
    answer(people.owner, people.system, MEDIUM)
    second = publish(acting_user=people.admin, text=HARDER)
    assert (second.number, second.published_by) == (2, people.admin)
    with pytest.raises(ConflictError, match="version 2 already"):
        publish(acting_user=people.admin, text=HARDER)
    assert events("questionnaire:published") == ["questionnaire:published"] * 2


def test_two_versions_published_at_once_are_one_version_and_one_refusal(people, monkeypatch):
    publish(acting_user=people.admin, text=HARDER)
    monkeypatch.setattr(selectors, "current_questionnaire", lambda: None)  # as the slower one has read it
    with pytest.raises(ConflictError, match="at this moment"):
        publish(acting_user=people.admin, text=builtin_text())
    assert QuestionnaireVersion.objects.count() == 1


@pytest.mark.parametrize("field", ["users", "affected_people", "deployment_context", "data_categories"])
@pytest.mark.parametrize("given", ["", " \n", "x" * 5001, "a\0b"])
def test_a_description_that_says_nothing_or_too_much_is_refused(field, given, people):
    value = [given] if field == "data_categories" else given
    with pytest.raises(InvalidError) as refused:
        profiles.describe(acting_user=people.owner, system=people.system, **(DESCRIBED | {field: value}))
    assert refused.value.field == field
    assert not SystemProfile.objects.exists()


def test_reading_the_standing_takes_the_same_queries_whatever_there_is(people, low):
    def measured() -> int:
        with CaptureQueriesContext(connection) as captured:
            found = selectors.tier_standing(people.system)
        assert (found.lower_to, found.why_not) == ("low", "")
        return len(captured)

    make_model_version(people.system, people.engineer)
    few = measured()
    for _ in range(3):
        make_model_version(people.system, people.engineer)
        answer(people.owner, people.system, LOW)
    assert measured() == few
