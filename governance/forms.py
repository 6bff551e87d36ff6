"""Forms of models, reviews and lineage."""

from __future__ import annotations

from typing import Any

from django import forms

from governance.models import Decision, ReviewState
from governance.services.conditions import MAX_CONDITION
from governance.services.reviews import DEFAULT_ENVIRONMENTS, MAX_TEXT
from pipelines.forms import ListFilter

CONDITION_ROWS = 3  # more of them go through the API
_CONDITION = ("condition_text", "condition_owner", "condition_due")
DECISION_WORDS = {
    Decision.APPROVE: "Approve: I have read the evidence and take responsibility",
    Decision.REQUEST_CHANGES: "Ask for changes: it must be submitted again before anybody decides",
    Decision.REJECT: "Reject: this version must not be used",
}


class _PasswordField(forms.CharField):
    """One's password again; it is never put back into the page."""

    def __init__(self) -> None:
        super().__init__(
            label="Your password, again",
            strip=False,
            widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
            error_messages={"required": "A signature needs your password."},
        )


def _reason(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=help_text,
        error_messages={"required": "A decision without a reason cannot be understood later: write one."},
    )


def _condition_fields(number: int) -> dict[str, forms.Field]:
    return {
        f"condition_text_{number}": forms.CharField(
            label=f"Condition {number}: what must still be done", required=False, max_length=MAX_CONDITION
        ),
        f"condition_owner_{number}": forms.CharField(label="By whom (username)", required=False, max_length=150),
        f"condition_due_{number}": forms.DateField(
            label="Until the end of (UTC)", required=False, widget=forms.DateInput(attrs={"type": "date"})
        ),
    }


class SigningForm(forms.Form):
    """The proof that it is this person: their password, and their second factor where they have one.

    ``factors`` are the types that they have enrolled; without any, the fields for them are not shown.
    """

    password = _PasswordField()
    code = forms.CharField(
        label="Code of your second factor",
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        help_text="six digits of your authenticator app, or a recovery code",
    )
    credential = forms.JSONField(required=False, widget=forms.HiddenInput)

    ids = "id_%s"  # of the inputs: another for each form that stands on a page with others

    def __init__(self, *args: Any, factors: frozenset[str] = frozenset(), has_password: bool = True, **kw: Any) -> None:
        super().__init__(*args, **{"auto_id": self.ids, **kw})
        self.passkeys = "webauthn" in factors
        if not factors & {"totp", "webauthn"}:
            del self.fields["code"], self.fields["credential"]
        elif not has_password:
            del self.fields["password"], self.fields["code"]
        elif self.passkeys:
            self.fields["code"].label = "Code of your second factor, if you do not use a passkey"
        else:
            self.fields["code"].required = True


class SubmitForm(forms.Form):
    """What the reviewers should know."""

    note = forms.CharField(
        label="Note to the reviewers",
        required=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="What the model is for, what changed, what to look at first. It stays on record.",
    )
    environments = forms.CharField(
        label="Where it is to be used",
        required=False,
        initial=", ".join(DEFAULT_ENVIRONMENTS),
        max_length=500,
        help_text="Names of environments, separated by commas. The approval covers these and no others.",
    )

    def clean_environments(self) -> list[str]:
        """The names one by one, the usual ones where there are none; the service says what is wrong with any."""
        names = [name.strip() for name in self.cleaned_data["environments"].split(",")]
        return [name for name in names if name] or list(DEFAULT_ENVIRONMENTS)


class DecisionForm(SigningForm):
    """A signed decision. ``decisions`` are those that this person can take now."""

    decision = forms.ChoiceField(
        widget=forms.RadioSelect, error_messages={"required": "Choose one: nothing is decided by default."}
    )
    reason = _reason("Reason", "Stands in the audit log for good, with your printed name.")
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    field_order = ("decision", "reason", "password", "code", "credential", "expected_version")

    def __init__(self, *args: Any, decisions: tuple[str, ...], conditions: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offers_conditions = conditions and Decision.APPROVE in decisions
        for number in range(1, CONDITION_ROWS + 1) if self.offers_conditions else ():
            self.fields |= _condition_fields(number)
        self.fields["decision"].choices = [(one, DECISION_WORDS[Decision(one)]) for one in decisions]  # type: ignore[attr-defined]  # ChoiceField

    def condition_rows(self) -> list[list[forms.BoundField]]:
        """The fields of each condition."""
        return [[self[f"{name}_{number}"] for name in _CONDITION] for number in self._numbers()]

    def plain_fields(self) -> list[forms.BoundField]:
        """The visible fields that belong to no condition."""
        return [field for field in self.visible_fields() if field.name.rpartition("_")[0] not in _CONDITION]

    def clean(self) -> dict[str, Any]:
        """Conditions that are filled in become ``conditions``; a row that is half filled in is an error."""
        cleaned = dict(super().clean() or {})
        rows = [
            {name.removeprefix("condition_"): cleaned.pop(f"{name}_{number}", None) for name in _CONDITION}
            for number in self._numbers()
        ]
        filled = [row for row in rows if any(row.values())]
        if any(not all(row.values()) for row in filled):
            self.add_error(None, "A condition needs all three: what has to be done, by whom, and until when.")
        return {**cleaned, "conditions": filled}

    def _numbers(self) -> range:
        return range(1, CONDITION_ROWS + 1) if self.offers_conditions else range(0)


class NoteForm(forms.Form):
    """What was done for a condition, or why that is not enough."""

    note = forms.CharField(label="What was done", max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 3}))
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)


class SendBackForm(NoteForm):
    """Why what was reported does not meet a condition."""

    note = forms.CharField(label="What is missing", max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 3}))


class ConfirmForm(SigningForm):
    """A condition is met."""

    ids = "confirm_%s"
    reason = _reason("How you know that it is met", "Stands in the audit log for good, with your printed name.")
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    field_order = ("reason", "password", "code", "credential", "expected_version")


class RevokeForm(SigningForm):
    """End an approval at once."""

    ids = "revoke_%s"
    reason = _reason("Why it must end", "Whoever uses the model will read this.")
    expected_version = forms.IntegerField(required=False, widget=forms.HiddenInput)
    field_order = ("reason", "password", "code", "credential", "expected_version")


class SuspendForm(RevokeForm):
    """Stop an approval until it is reinstated."""

    ids = "suspend_%s"
    reason = _reason("Why it must stop", "Whoever reinstates it will read this.")


class ReinstateForm(forms.Form):
    """Ask that a suspended approval holds again."""

    note = forms.CharField(
        label="What has been done since",
        required=False,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="Everybody whose signature the policy asks for reads this and signs again.",
    )


class ModelFilter(ListFilter):
    """Narrows the list of models (annotated as ``selectors.registry_pages.models`` has them)."""

    searched = ("name", "description")
    exact = {"tier": "system__tier", "review": "latest_review"}
    tier = forms.ChoiceField(
        label="Risk tier",
        required=False,
        choices=[("", "Any"), ("high", "High"), ("medium", "Medium"), ("low", "Low")],
    )
    review = forms.ChoiceField(
        label="Latest version",
        required=False,
        choices=[
            ("", "Any"),
            ("none", "Not submitted"),
            *((v, label.capitalize()) for v, label in ReviewState.choices),
        ],
    )


class ReviewFilter(ListFilter):
    """Narrows the list of reviews."""

    searched = ("model_version__model__name", "submitted_by__full_name")
    exact = {"state": "state"}
    state = forms.ChoiceField(
        required=False, choices=[("", "Any"), *((v, label.capitalize()) for v, label in ReviewState.choices)]
    )


class LineageForm(forms.Form):
    """How much of a lineage to draw."""

    direction = forms.ChoiceField(
        required=False, choices=[("both", "both ways"), ("up", "where it came from"), ("down", "what came of it")]
    )
    depth = forms.IntegerField(label="Steps", required=False, min_value=1, max_value=50)
