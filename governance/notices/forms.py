"""The form of a webhook."""

from __future__ import annotations

from django import forms

from governance.notices.recipients import TELLINGS
from security.log.events import Event

# offered on the page; the API takes any event of the log
OFFERED = sorted({*TELLINGS, Event.RUN_SUCCEEDED, Event.MODEL_VERSION_REGISTERED, Event.EXPORT_CREATED})


class WebhookForm(forms.Form):
    """Which address is told of what."""

    url = forms.CharField(
        label="Address", max_length=500, help_text="https://host/path, of a host that is allowed here"
    )
    events = forms.MultipleChoiceField(
        choices=[(name, name) for name in OFFERED],
        widget=forms.CheckboxSelectMultiple,
        initial=[Event.REVIEW_SUBMITTED, Event.APPROVAL_ISSUED, Event.APPROVAL_REVOKED],
    )
