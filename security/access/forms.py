"""Forms of systems and roles."""

from __future__ import annotations

from datetime import UTC, datetime, time
from typing import Any

from django import forms
from django.conf import settings

from security.access.models import AISystem
from security.access.table import Role


class SystemForm(forms.Form):
    """A system's name and purpose."""

    name = forms.CharField(max_length=120)
    purpose = forms.CharField(label="Intended purpose", widget=forms.Textarea(attrs={"rows": 4}), required=False)


class NewSystemForm(SystemForm):
    """A new AI system."""

    slug = forms.SlugField(max_length=63, help_text="lower-case letters, digits and dashes; it stays as it is")
    field_order = ("slug", "name", "purpose")


class GrantForm(forms.Form):
    """A role for a person, in one system or all."""

    role = forms.ChoiceField(choices=[(role.value, role.label) for role in Role])
    system = forms.ModelChoiceField(AISystem.objects.all(), required=False, empty_label="all systems")
    expires_on = forms.DateField(
        label="Ends on",
        required=False,
        widget=forms.DateInput(attrs={"type": "date"}),
        help_text=f"empty: after {settings.GRANT_DAYS} days, the longest there is",
    )

    def clean(self) -> dict[str, Any]:
        """Adds ``expires_at``: the end of the day named, UTC."""
        cleaned = super().clean() or {}
        day = cleaned.get("expires_on")
        cleaned["expires_at"] = datetime.combine(day, time(23, 59, 59), UTC) if day else None
        return cleaned
