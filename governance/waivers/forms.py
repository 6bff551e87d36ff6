"""Forms of waivers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms

from governance.forms import SigningForm
from governance.waivers.services import MAX_TEXT
from pipelines.forms import ListFilter

DECISIONS = [
    ("approve", "Approve: I accept the risk for this time, with this control in place"),
    ("reject", "Reject: what is broken must be mended first"),
]


def _text(label: str, help_text: str) -> forms.CharField:
    return forms.CharField(
        label=label, max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 4}), help_text=help_text
    )


class RequestForm(forms.Form):
    """What is to be waived, why, what keeps the harm away meanwhile, and for how long."""

    part = forms.ChoiceField(label="What is broken")
    reason = _text("Why it cannot wait until it is mended", "It stays on record.")
    control = _text("What keeps the harm away meanwhile", "The compensating control, and how one sees that it works.")
    owner = forms.CharField(
        label="Who answers for the control",
        required=False,
        max_length=63,
        help_text="A username; you, if nobody is named.",
    )
    days = forms.IntegerField(label="Days", min_value=1)

    def __init__(self, *args: Any, parts: Iterable[str], most_days: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["part"].choices = [(part, part) for part in parts]  # type: ignore[attr-defined]  # ChoiceField
        self.fields["days"].help_text = f"At most {most_days} under this policy."
        self.fields["days"].initial = most_days


class DecideForm(SigningForm):
    """A signed decision on a waiver."""

    decision = forms.ChoiceField(
        choices=DECISIONS,
        widget=forms.RadioSelect,
        error_messages={"required": "Choose one: nothing is decided by default."},
    )
    reason = _text("Reason", "Stands in the audit log for good, with your printed name.")
    field_order = ("decision", "reason", "password", "code", "credential")


class EndForm(SigningForm):
    """Ending a waiver now."""

    reason = _text("Why it ends", "Approvals that rest on it hold no more.")
    field_order = ("reason", "password", "code", "credential")


class WaiverFilter(ListFilter):
    """Narrows the list of waivers."""

    searched = ("part", "model_version__model__name", "requested_by__full_name")
