"""Forms of models, reviews and lineage."""

from __future__ import annotations

from typing import Any

from django import forms

from governance.models import Decision, ReviewState
from governance.services.reviews import MAX_TEXT
from pipelines.forms import ListFilter

DECISION_WORDS = {
    Decision.APPROVE: "Approve: I have read the evidence and take responsibility",
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

    def __init__(self, *args: Any, factors: frozenset[str] = frozenset(), has_password: bool = True, **kw: Any) -> None:
        super().__init__(*args, **kw)
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


class DecisionForm(SigningForm):
    """A signed decision. ``decisions`` are those that this person can take now."""

    decision = forms.ChoiceField(
        widget=forms.RadioSelect, error_messages={"required": "Choose one: nothing is decided by default."}
    )
    reason = _reason("Reason", "Stands in the audit log for good, with your printed name.")
    field_order = ("decision", "reason", "password", "code", "credential")

    def __init__(self, *args: Any, decisions: tuple[str, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["decision"].choices = [(one, DECISION_WORDS[Decision(one)]) for one in decisions]  # type: ignore[attr-defined]  # ChoiceField


class RevokeForm(SigningForm):
    """End an approval at once."""

    reason = _reason("Why it must end", "Whoever uses the model will read this.")
    field_order = ("reason", "password", "code", "credential")


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
