"""The filter of the audit log."""

from __future__ import annotations

from django import forms

from security.log.events import Event


class EventFilter(forms.Form):
    """Which events to show; everything optional, all in the address."""

    event = forms.ChoiceField(required=False, choices=[("", "any event"), *((e.value, e.value) for e in Event)])
    system = forms.CharField(required=False, max_length=63, label="System")
    actor = forms.CharField(required=False, max_length=120, label="Who (name or URN)")
    subject = forms.CharField(required=False, max_length=200, label="Subject (URN or id)")
    since = forms.DateField(required=False, label="From", widget=forms.DateInput(attrs={"type": "date"}))
    until = forms.DateField(required=False, label="To", widget=forms.DateInput(attrs={"type": "date"}))
