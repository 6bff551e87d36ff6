"""Forms of catalogues and attestations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from governance.forms import SigningForm
from governance.frameworks.models import KEY, Statement
from governance.frameworks.oscal import MAX_BYTES
from governance.frameworks.services.attestations import MAX_DAYS, MAX_TEXT

USUAL_DAYS = 180
STATEMENT_WORDS = {
    Statement.MET: "It is met: I have seen what shows it, and take responsibility",
    Statement.NOT_APPLICABLE: "It does not apply to this system, for the reason below",
}


class ImportForm(forms.Form):
    """An OSCAL catalogue as a file."""

    file = forms.FileField(
        label="The catalogue",
        help_text=f"OSCAL 1.1 or 1.2 as JSON, at most {MAX_BYTES // 2**20} MiB.",
        widget=forms.ClearableFileInput(attrs={"accept": ".json,application/json"}),
    )
    key = forms.CharField(
        label="Key of its series",
        required=False,
        max_length=63,
        validators=[KEY],
        help_text="lower-case letters, digits, dashes; made from the title if left out",
    )
    source = forms.CharField(label="Where it is from", required=False, max_length=500)

    def clean_file(self) -> Any:
        """The file, if it is not too large to be read. Raises ValidationError."""
        file = self.cleaned_data["file"]
        if file.size > MAX_BYTES:
            raise forms.ValidationError(f"This file has {file.size:,} bytes; a catalogue has at most {MAX_BYTES:,}.")
        return file


class AttestForm(SigningForm):
    """A signed statement on a control. ``statements`` are those that this person may sign."""

    statement = forms.ChoiceField(
        widget=forms.RadioSelect, error_messages={"required": "Choose one: nothing is signed by default."}
    )
    text = forms.CharField(
        label="What shows it, or why it does not apply",
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Stands on record for good, with your printed name.",
        error_messages={"required": "A statement without its reasons cannot be checked later: write them."},
    )
    valid_until = forms.DateField(
        label="Counts until the end of",
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=f"{MAX_DAYS} days at most; what runs out counts no more",
    )
    field_order = ("statement", "text", "valid_until", "password", "code", "credential")

    def __init__(self, *args: Any, statements: tuple[Statement, ...], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.offer(statements)
        self.fields["valid_until"].initial = (timezone.now() + timedelta(days=USUAL_DAYS)).date()

    def offer(self, statements: tuple[Statement, ...]) -> None:
        """Let only these be chosen."""
        choices = [(str(one), STATEMENT_WORDS[one]) for one in statements]
        self.fields["statement"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField

    def clean_valid_until(self) -> datetime:
        """The last second of the day, in UTC."""
        return datetime.combine(self.cleaned_data["valid_until"], time(23, 59, 59), tzinfo=UTC)


class WithdrawForm(SigningForm):
    """End an attestation."""

    reason = forms.CharField(
        label="Why it no longer holds", max_length=MAX_TEXT, widget=forms.Textarea(attrs={"rows": 3})
    )
    field_order = ("reason", "password", "code", "credential")


class MatrixForm(forms.Form):
    """Which part of a matrix to show."""

    q = forms.CharField(label="System", required=False, max_length=100, widget=forms.SearchInput())
    group = forms.ChoiceField(label="Part", required=False)
    state = forms.ChoiceField(label="Controls with", required=False)

    def __init__(
        self, *args: Any, groups: Sequence[tuple[str, str]], states: Sequence[tuple[str, str]], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["group"].choices = [("", "All"), *groups]  # type: ignore[attr-defined]  # ChoiceField
        self.fields["state"].choices = [("", "Any state"), *states]  # type: ignore[attr-defined]  # ChoiceField

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the matrix."""
        return self.is_valid() and any(self.cleaned_data.values())

    @property
    def asked(self) -> dict[str, str]:
        """What was asked for; what makes no sense is not."""
        self.is_valid()
        return {name: self.cleaned_data.get(name) or "" for name in self.fields}
