"""The pages and the API of policies: what is shown, where errors stand, and that hostile text stays text."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance.models import PolicyVersion
from governance.policy import builtin
from governance.policymaking import selectors, services
from governance.policymaking.models import PolicyDraft
from governance.selectors import policies
from governance.services.policies import publish_builtin
from tests.governance.policymaking.conftest import STRICT, sign, text
from tests.support.api import PROBLEM, Api
from tests.support.models import make_model_version
from tests.support.people import PASSWORD

SIGNED = {"reason": "The floor was too low.", "password": PASSWORD}


def client_of(user) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_two_people_publish_on_the_pages(people, makers, approved):
    writer, officer = client_of(makers.val), client_of(makers.ris)
    begun = writer.get(reverse("policy-draft-new") + "?from=high").content.decode()
    assert "better-than-chance" in begun
    page = writer.post(reverse("policy-draft-new"), {"text": text("high", *STRICT)}, follow=True)
    draft = PolicyDraft.objects.get()
    said = page.content.decode()
    assert "evidence[holdout_metrics].rules[better-than-chance].threshold" in said
    assert "holdout_metrics: pass → fail" in said
    assert "1 approvals that would be void" in said
    first = writer.post(reverse("policy-draft-sign", args=[draft.pk]), SIGNED, follow=True).content.decode()
    assert "published once the other signature is there" in first
    assert "Val Maker" in first
    assert "it takes two people" in first
    second = officer.post(reverse("policy-draft-sign", args=[draft.pk]), SIGNED, follow=True).content.decode()
    assert "published as version 2" in second
    assert "Ris Maker" in second
    assert policies.current("high").digest == draft.digest
    index = client_of(people.engineer).get(reverse("policies")).content.decode()
    assert "two signatures" in index


def test_an_error_in_the_text_stands_at_its_line(makers):
    client = client_of(makers.val)
    wrong = text("high", "validity_days: 180", "validity_days: 9999")
    answer = client.post(reverse("policy-draft-new"), {"text": wrong})
    said = answer.content.decode()
    line = wrong[: wrong.index("validity_days")].count("\n") + 1
    assert answer.status_code == 422
    assert f"Line {line}, column 16" in said
    assert "less than or equal to 3650" in said
    assert not PolicyDraft.objects.exists()


def test_fields_are_kept_and_an_error_stands_at_its_field(makers, draft):
    client, address = client_of(makers.val), reverse("policy-draft-fields", args=[draft.pk])
    form = client.get(address).context["form"]
    given = {name: "" if field.initial is None else str(field.initial) for name, field in form.fields.items()}
    refused = client.post(address, {**given, "validity_days": "181"})
    assert refused.status_code == 422
    assert "180 at most" in str(refused.context["form"].errors["validity_days"])
    kept = client.post(address, {**given, "validity_days": "90", "gap-between-groups.threshold": "0.15"})
    assert kept.status_code == 302
    changed = PolicyDraft.objects.get().policy
    assert changed.validity_days == 90
    found = {rule.id: rule.threshold for row in changed.evidence for rule in row.rules}
    assert (found["gap-between-groups"], found["better-than-chance"]) == (0.15, 0.99)


def test_hostile_text_in_a_policy_is_shown_as_text(makers):
    hostile = text("high", "title: High risk", 'title: "<script>alert(1)</script>{{ 7 }}"')
    made = services.draft(acting_user=makers.val, text=hostile)
    said = client_of(makers.val).get(reverse("policy-draft", args=[made.pk])).content.decode()
    assert "<script>alert" not in said
    assert "&lt;script&gt;alert(1)" in said


def test_a_refused_signature_says_why_and_leaves_nothing(people, makers, draft):
    page = client_of(people.validator).post(reverse("policy-draft-sign", args=[draft.pk]), SIGNED)
    assert page.status_code == 403
    assert "in all systems" in page.content.decode()
    wrong = client_of(makers.val).post(reverse("policy-draft-sign", args=[draft.pk]), {**SIGNED, "password": "no"})
    assert (wrong.status_code, PASSWORD in wrong.content.decode()) == (403, False)
    assert selectors.counted(draft) == []


def test_who_has_no_role_anywhere_reads_no_policy(people, draft):
    client = client_of(people.nobody)
    for name, args in (("policies", []), ("policy-draft", [draft.pk])):
        assert client.get(reverse(name, args=args)).status_code == 404


def test_a_risk_officer_puts_a_system_under_a_policy_of_its_use(people):
    client, address = client_of(people.risk_officer), reverse("system-policy", args=["credit"])
    answer = client.post(address, {**SIGNED, "policy": "financial-model-risk"}, follow=True).content.decode()
    assert "is under another policy" in answer
    assert "Financial model risk" in answer
    assert "chosen for its use" in client.get(address).content.decode()
    refused = client_of(people.engineer).post(address, {**SIGNED, "policy": ""})
    assert refused.status_code == 403


def test_the_rules_stand_on_the_pages_of_a_version_and_in_the_api(people):
    version = make_model_version(people.system, people.engineer)
    page = client_of(people.validator).get(reverse("model-version", args=[version.pk])).content.decode()
    assert "better-than-chance" in page
    assert "at least 0.6, lower bound" in page
    assert "A result counts for 180 days." in page
    made = Api(people.engineer).post(f"model-versions/{version.pk}/submit", {}).json()
    gate = next(one for one in made["gates"] if one["kind"] == "holdout_metrics")
    (rule, warning) = gate["rules"]
    assert (rule["threshold"], rule["on"], rule["comparator"], rule["verdict"]) == (0.6, "low", "at-least", "pass")
    assert (rule["measurement"]["value"], rule["measurement"]["interval"]["low"]) == (0.97, 0.96)
    assert (warning["severity"], gate["broken"], gate["max_age_days"]) == ("warn", [], 180)


# ------------------------------------------------------------------------------------------------------------- the API


def test_a_policy_is_drafted_simulated_signed_and_read_through_the_api(people, makers, approved):
    writer, officer = Api(makers.val, session=True), Api(makers.ris, session=True)
    made = writer.post("policy-drafts", {"text": text("high", *STRICT)})
    assert made.status_code == 201
    draft = made.json()
    assert [change["path"] for change in draft["changes"]] == [
        "evidence[holdout_metrics].rules[better-than-chance].threshold"
    ]
    found = writer.get(f"policy-drafts/{draft['id']}/simulation").json()
    assert (found["looked_at"], found["lines"][0]["void"], found["lines"][0]["passes"]) == (1, True, False)
    for one in (writer, officer):
        signed = one.post(f"policy-drafts/{draft['id']}/signatures", SIGNED)
        assert (signed.status_code, PASSWORD in signed.content.decode()) == (201, False)
    done = writer.get(f"policy-drafts/{draft['id']}").json()
    assert (done["state"], done["published"]["digest"]) == ("published", draft["digest"])
    (newest, *_) = Api(people.engineer).get("policies", name="high").json()["results"]
    whole = Api(people.engineer).get(f"policies/{newest['id']}").json()
    assert [row["role"] for row in whole["signatures"]] == ["validator", "risk-officer"]
    assert (whole["number"], whole["before"]["number"]) == (2, 1)


def test_a_refused_text_is_a_problem_with_every_error_by_line_and_field(makers):
    wrong = text("high", "tier: high", "tier: extreme")
    answer = Api(makers.val, session=True).post("policy-drafts", {"text": wrong})
    assert (answer.status_code, answer["Content-Type"]) == (422, PROBLEM)
    assert [(one["parameter"], one["line"] > 0) for one in answer.json()["errors"] if "parameter" in one] != []
    assert not PolicyVersion.objects.exists()


def test_a_token_of_who_may_sign_signs_nothing(makers, draft):
    api = Api(makers.val)
    for path, body in (("signatures", SIGNED), ("change", {"text": draft.text}), ("withdraw", None)):
        assert api.post(f"policy-drafts/{draft.pk}/{path}", body).status_code == 403
    assert api.post("policy-drafts", {"text": draft.text}).status_code == 403


def test_lists_take_as_many_queries_for_many_as_for_one(makers, draft):
    publish_builtin()
    api, pages = Api(makers.val, session=True), client_of(makers.val)

    def queries() -> list[int]:
        counts = []
        for ask in (
            lambda: api.get("policies"),
            lambda: api.get("policy-drafts"),
            lambda: pages.get(reverse("policies")),
        ):
            with CaptureQueriesContext(connection) as captured:
                assert ask().status_code == 200
            counts.append(len(captured))
        return counts

    queries()  # what is counted once while the log has not grown
    one = queries()
    for threshold in (0.7, 0.8):
        row = services.draft(acting_user=makers.val, text=text("high", "threshold: 0.6\n", f"threshold: {threshold}\n"))
        for user in (makers.val, makers.ris):
            sign(user, row)
        services.draft(acting_user=makers.val, text=text("medium"))
    queries()
    assert queries() == one


@pytest.mark.parametrize("name", ["high", "financial-model-risk"])
def test_a_draft_begins_with_what_is_in_force(makers, name):
    page = client_of(makers.val).get(reverse("policy-draft-new") + f"?from={name}").content.decode()
    assert f"name: {name}" in page
    assert builtin(name).title in page
