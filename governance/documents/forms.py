"""Forms of the reports' pages: the filter of the list, and what is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.utils import timezone

from governance.documents.kinds import KINDS, Kind
from governance.documents.models import ExportState
from governance.documents.services import MAX_PURPOSE
from pipelines.forms import ListFilter

_WORDS = {
    "system": "System",
    "model-version": "Model version",
    "dataset-version": "Dataset version",
    "review": "Review",
    "approval": "Approval",
}


class ExportFilter(ListFilter):
    """Narrows the list of documents that were made."""

    searched = ("label", "purpose", "requested_by__full_name")
    exact = {"kind": "kind", "state": "state"}
    kind = forms.ChoiceField(
        label="Document", required=False, choices=[("", "Any"), *((kind.name, kind.title) for kind in KINDS.values())]
    )
    state = forms.ChoiceField(required=False, choices=[("", "Any"), *ExportState.choices])


class ExportForm(forms.Form):
    """A document of one kind: about what, in which format, and why."""

    subject = forms.ChoiceField(error_messages={"required": "Choose what it is about."})
    format = forms.ChoiceField(widget=forms.RadioSelect)
    purpose = forms.CharField(
        label="What it is for",
        max_length=MAX_PURPOSE,
        help_text="Stands on the document and in the audit log, with your name.",
        error_messages={"required": "Say what the document is for."},
    )

    def __init__(self, *args: Any, kind: Kind, subjects: list[tuple[str, str]], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kind = kind
        self.fields["subject"].label = _WORDS.get(kind.noun.word, kind.noun.word.capitalize())
        self.fields["subject"].choices = subjects  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["format"].choices = [(one.name, one.title) for one in kind.formats.values()]  # type: ignore[attr-defined]  # the same
        self.fields["format"].initial = next(iter(kind.formats))
        for name in kind.takes:
            self.fields[name] = _Day(label=_DAYS[name][0], help_text=_DAYS[name][1])
        self.order_fields(["subject", *kind.takes, "format", "purpose"])

    @property
    def asked(self) -> dict[str, Any]:
        """What ``services.request`` takes; a day counts as a whole, in UTC."""
        given = dict(self.cleaned_data)
        for name in self.kind.takes:
            ended = timedelta(days=1) if name in ("until", "at") else timedelta()
            given[name] = datetime.combine(given[name], time(), UTC) + ended
        if "at" in given:
            given["at"] = min(given["at"], timezone.now())  # today has not ended
        return {"kind": self.kind.name, **given}


class _Day(forms.DateField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(widget=forms.DateInput(attrs={"type": "date"}), **kwargs)


_DAYS = {
    "since": ("From", "the first day, in UTC"),
    "until": ("To", "the last day, in UTC"),
    "at": ("As of the end of", "a day, in UTC"),
}


class MomentForm(forms.Form):
    """A past moment, in UTC."""

    at = forms.DateTimeField(
        label="As of (UTC)", required=False, widget=forms.DateTimeInput(attrs={"type": "datetime-local"})
    )

    @property
    def moment(self) -> datetime:
        """The moment that was asked for; now, where none was, or one that makes no sense or has not come."""
        now = timezone.now()
        asked: datetime | None = self.cleaned_data.get("at") if self.is_valid() else None
        return min(asked, now) if asked is not None else now
