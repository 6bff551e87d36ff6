"""Forms of policies: the text, the fields, a signature, and which policy a system is under."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django import forms

from governance.forms import SigningForm
from governance.policy import Policy
from governance.policymaking.services import MAX_REASON
from governance.policymaking.texts import MAX_TEXT

MUST = [("pass", "must pass"), ("pass-if-present", "must pass where it was done"), ("exist", "must exist")]
SEVERITY = [("block", "shuts the gate"), ("warn", "only warns")]


class TextForm(forms.Form):
    """A policy as YAML."""

    text = forms.CharField(
        label="The policy, as YAML",
        strip=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(
            attrs={"class": "spec", "spellcheck": "false", "wrap": "off", "autocomplete": "off", "rows": 30}
        ),
    )


class FieldsForm(forms.Form):
    """The parts of a policy that change most, one field each; what is not here stays as it is."""

    title = forms.CharField(label="Title", max_length=120)
    why = forms.CharField(label="What it is for", widget=forms.Textarea(attrs={"rows": 3}), max_length=2000)
    validity_days = forms.IntegerField(label="Days that an approval holds", min_value=1)
    deadline_days = forms.IntegerField(label="Days that a review may stay open", min_value=1, required=False)

    def __init__(self, *args: Any, policy: Policy, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._content = policy.content()
        for name in ("title", "why", "validity_days", "deadline_days"):
            self.fields[name].initial = self._content[name]
        for name, field, _ in self._parts():
            self.fields[name] = field

    def content(self) -> dict[str, Any]:
        """The policy's content with what was given in the fields. Only of a valid form."""
        given = self.cleaned_data
        for name in ("title", "why", "validity_days", "deadline_days"):
            self._content[name] = given[name]
        for name, _, (holder, key) in self._parts():
            holder[key] = given[name]
        return self._content

    def _parts(self) -> Iterator[tuple[str, forms.Field, tuple[dict[str, Any], str]]]:
        """(field's name, field, where its value goes) of every requirement, rule and step."""
        for row in self._content["evidence"]:
            kind, words = row["kind"], row["kind"].replace("_", " ")
            yield f"{kind}.must", _choice(f"{words}: what is asked", MUST, row["must"]), (row, "must")
            yield (
                f"{kind}.age",
                _days(f"{words}: days that a result counts", row["max_age_days"]),
                (row, "max_age_days"),
            )
            for rule in row["rules"]:
                asked = f"{words}: {rule['metric']} {rule['comparator'].replace('-', ' ')}"
                threshold = forms.FloatField(label=asked, initial=rule["threshold"])
                yield f"{rule['id']}.threshold", threshold, (rule, "threshold")
                yield (
                    f"{rule['id']}.severity",
                    _choice(f"{asked}: then it", SEVERITY, rule["severity"]),
                    (
                        rule,
                        "severity",
                    ),
                )
        for step in self._content["approvals"]:
            label = f"Signatures as {step['role'].replace('-', ' ')}"
            people = forms.IntegerField(label=label, min_value=1, max_value=9, initial=step["people"])
            yield f"{step['role']}.people", people, (step, "people")


class SignForm(SigningForm):
    """A signature under a policy."""

    reason = forms.CharField(
        label="Reason",
        max_length=MAX_REASON,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Why these rules, in your own words; it stands in the audit log for good.",
    )
    field_order = ("reason", "password", "code", "credential")


class AssignForm(SigningForm):
    """Which policy a system is under."""

    policy = forms.ChoiceField(label="Policy", required=False)
    reason = forms.CharField(label="Reason", max_length=MAX_REASON, widget=forms.Textarea(attrs={"rows": 3}))
    field_order = ("policy", "reason", "password", "code", "credential")

    def __init__(self, *args: Any, policies: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["policy"].choices = [("", "that of its tier"), *policies.items()]  # type: ignore[attr-defined]  # ChoiceField


def _choice(label: str, choices: list[tuple[str, str]], initial: str) -> forms.Field:
    return forms.ChoiceField(label=label, choices=choices, initial=initial)


def _days(label: str, initial: int | None) -> forms.Field:
    return forms.IntegerField(label=label, min_value=1, max_value=3650, required=False, initial=initial)
