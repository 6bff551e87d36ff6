"""Deciding on the pages: the server decides who may; a refused signature leaves nothing behind."""

from __future__ import annotations

from django.test import Client
from django.urls import reverse
from django.utils import timezone

from governance.models import Approval, Review, ReviewState, Vote
from governance.services.reviews import submit
from pipelines.models import StepRun
from security.access.services import grant_role
from security.access.table import Role
from security.identity.models import User
from security.log import selectors as log
from tests.governance.pages.conftest import Login
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD, People
from tests.support.reviews import sign


def sent(decision: str = "approve", **more: str) -> dict[str, str]:
    return {"decision": decision, "reason": "Reproduced.", "password": PASSWORD, **more}


def vote_url(review: Review) -> str:
    return reverse("review-vote", args=[review.pk])


def page_of(client: Client, review: Review) -> str:
    return client.get(reverse("review", args=[review.pk])).content.decode()


def test_two_people_sign_and_the_certificate_stands_on_the_page(people: People, review: Review, login: Login):
    first = login(people.validator).post(vote_url(review), sent(), follow=True)
    assert "Signed. The approval is issued once the other signatures are there." in first.content.decode()
    assert "9 of 9 gates pass; approval needs 1 signature more" in first.content.decode()
    assert not Approval.objects.exists()
    second = login(people.risk_officer).post(vote_url(review), sent(), follow=True).content.decode()
    assert "the approval is issued" in second
    assert "Approval certificate" in second
    approval = Approval.objects.get()
    assert approval.subject_digest[:12] in second
    for vote in Vote.objects.all():
        assert vote.printed_name in second
        assert f"{vote.signed_at:%Y-%m-%d %H:%M:%S} UTC" in second


def test_the_builder_sees_why_not_and_is_refused_by_post(people: People, review: Review, login: Login):
    grant_role(acting_user=people.admin, user=people.engineer, role=Role.VALIDATOR, system=people.system)
    client = login(User.objects.get(pk=people.engineer.pk))
    page = page_of(client, review)
    assert "You had a hand in this model" in page
    assert "Vera Validator" in page
    assert vote_url(review) not in page
    size = log.head()[0]
    answer = client.post(vote_url(review), sent())
    assert answer.status_code == 403
    assert "Nothing was signed." in answer.content.decode()
    assert "You had a hand in this model" in answer.content.decode()
    assert not Vote.objects.exists()
    assert log.head()[0] == size


def test_a_wrong_password_shows_at_its_field_and_nothing_is_stored(people: People, review: Review, login: Login):
    client = login(people.validator)
    answer = client.post(vote_url(review), sent(password="not it at all"))
    assert answer.status_code == 403
    page = answer.content.decode()
    form = answer.context["decision_form"]
    assert form.errors == {"password": ["The password is not right; nothing was signed."]}
    assert 'id="id_password_error"' in page
    assert "not it at all" not in page
    assert "Reproduced." in page  # what was written is not lost
    assert not Vote.objects.exists()


def test_a_decision_needs_a_choice_and_a_reason(people: People, review: Review, login: Login):
    answer = login(people.validator).post(vote_url(review), {"password": PASSWORD, "reason": "  "})
    assert answer.status_code == 422
    assert set(answer.context["decision_form"].errors) == {"decision", "reason"}
    assert not Vote.objects.exists()


def test_a_form_from_elsewhere_is_refused(people: People, review: Review):
    client = Client(enforce_csrf_checks=True)
    client.force_login(people.validator)
    answer = client.post(vote_url(review), sent())
    assert answer.status_code == 403
    assert "nothing was done" in answer.content.decode()
    assert not Vote.objects.exists()


def test_somebody_without_a_deciding_role_is_told_who_can(people: People, review: Review, login: Login):
    client = login(people.auditor)
    page = page_of(client, review)
    assert "Deciding on this needs the role validator or risk officer in credit." in page
    assert "Vera Validator" in page
    assert client.post(vote_url(review), sent()).status_code == 403
    assert not Vote.objects.exists()


def test_with_a_failing_gate_one_can_only_reject_and_is_told_which(people: People, login: Login):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    client = login(people.engineer)
    answer = client.post(reverse("model-submit", args=[version.pk]), {"note": ""}, follow=True)
    review = Review.objects.get()
    assert answer.redirect_chain == [(reverse("review", args=[review.pk]), 302)]
    client = login(people.risk_officer)
    page = client.get(reverse("review", args=[review.pk]))
    assert [key for key, _ in page.context["decision_form"].fields["decision"].choices] == ["request-changes", "reject"]
    assert "Approving is not possible while these gates do not pass" in page.content.decode()
    assert client.post(vote_url(review), sent()).status_code == 409
    assert not Vote.objects.exists()
    assert (
        "Signed. The version is rejected."
        in client.post(vote_url(review), sent("reject"), follow=True).content.decode()
    )
    review.refresh_from_db()
    assert review.state == ReviewState.REJECTED


def test_evidence_that_comes_after_the_page_was_read_refuses_the_signature(
    people: People, review: Review, login: Login
):
    client = login(people.validator)
    page_of(client, review)
    train = StepRun.objects.get(run=review.model_version.step_run.run, name="train")
    add_evidence(train, "slice_metrics", review.model_version.artifact, n=7)
    answer = client.post(vote_url(review), sent())
    assert answer.status_code == 409
    assert "the evidence changed after this review was submitted" in answer.content.decode()
    assert not Vote.objects.exists()
    review.refresh_from_db()
    assert review.state == ReviewState.SUPERSEDED


def test_an_approval_whose_evidence_changed_says_that_it_is_void(people: People, approval: Approval, login: Login):
    version = approval.model_version
    train = StepRun.objects.get(run=version.step_run.run, name="train")
    add_evidence(train, "slice_metrics", version.artifact, n=7)
    client = login(people.auditor)
    for url in (reverse("review", args=[approval.review_id]), reverse("model-version", args=[version.pk])):
        page = client.get(url).content.decode()
        assert "The approval no longer holds: the evidence changed after it was signed" in page


def test_revoking_needs_the_password_and_a_reason_and_ends_the_approval(
    people: People, approval: Approval, login: Login
):
    client, url = login(people.owner), reverse("approval-revoke", args=[approval.pk])
    wrong = client.post(url, {"reason": "Drift in production.", "password": "wrong"})
    assert wrong.status_code == 403
    assert wrong.context["revoke_form"].errors == {"password": ["The password is not right; nothing was signed."]}
    approval.refresh_from_db()
    assert approval.revoked_at is None
    done = client.post(url, {"reason": "Drift in production.", "password": PASSWORD}, follow=True).content.decode()
    assert "The approval was revoked" in done
    assert "Drift in production." in done


def test_who_cannot_revoke_is_told_who_can_and_refused(people: People, approval: Approval, login: Login):
    client = login(people.engineer)
    assert "“approval.revoke” in credit needs the role" in page_of(client, approval.review)
    url = reverse("approval-revoke", args=[approval.pk])
    answer = client.post(url, {"reason": "No.", "password": PASSWORD})
    assert answer.status_code == 403
    approval.refresh_from_db()
    assert approval.revoked_at is None


def test_withdrawing(people: People, review: Review, login: Login):
    url = reverse("review-withdraw", args=[review.pk])
    assert login(people.validator).post(url).status_code == 403
    assert "The review is withdrawn" in login(people.engineer).post(url, follow=True).content.decode()
    assert login(people.engineer).post(url).status_code == 409


def test_submitting_twice_is_said_at_the_form(people: People, review: Review, login: Login):
    url = reverse("model-submit", args=[review.model_version_id])
    answer = login(people.engineer).post(url, {"note": ""})
    assert answer.status_code == 409
    assert "is open already" in answer.content.decode()


def test_what_waits_for_me_comes_first_and_only_while_it_does(people: People, review: Review, login: Login):
    client = login(people.validator)
    assert [row.role for row in client.get(reverse("reviews")).context["mine_lines"]] == ["validator"]
    assert 'title="1 waiting for you"' in page_of(client, review)
    sign(people.validator, review)
    assert client.get(reverse("reviews")).context["mine_lines"] == []
    assert "waiting for you" not in page_of(client, review)
    assert len(login(people.risk_officer).get(reverse("reviews")).context["mine_lines"]) == 1
    assert login(people.engineer).get(reverse("reviews")).context["mine_lines"] == []


def test_a_signature_from_a_locked_out_person_says_for_how_long(people: People, review: Review, login: Login):
    client = login(people.validator)
    for _ in range(5):
        client.post(vote_url(review), sent(password="guess"))
    answer = client.post(vote_url(review), sent())
    assert answer.status_code == 403
    assert "up to 15 minutes" in str(answer.context["decision_form"].errors["password"])
    assert not Vote.objects.filter(signed_at__lte=timezone.now()).exists()


def test_a_list_of_what_waits_says_when_it_has_not_looked_at_all(people: People, login: Login, review, monkeypatch):
    monkeypatch.setattr("governance.selectors.waiting.LOOKED_AT", 1)
    version = make_model_version(people.system, people.engineer, name="second")
    submit(acting_user=people.engineer, model_version=version)
    for url in (reverse("home"), reverse("reviews")):
        page = login(people.validator).get(url).content.decode()
        assert 'title="1+ waiting for you"' in page
        assert "tiny v1" in page
        assert "Only 1 open review was looked at" in page
