"""The form of a trust."""

from __future__ import annotations

from typing import Any

from django import forms

from security.identity.services import TOKEN_SCOPES
from security.workload import keys


class TrustForm(forms.Form):
    """Whose tokens act as which service."""

    service = forms.CharField(label="Service", max_length=63, help_text="a service's name, as People shows it")
    issuer = forms.ChoiceField()
    subject = forms.CharField(
        max_length=300,
        help_text="repo:owner/name:ref:refs/heads/main, system:serviceaccount:namespace:name; * is all but a colon",
    )
    scopes = forms.MultipleChoiceField(
        label="What its tokens may do",
        choices=[(scope, scope) for scope in TOKEN_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["run"],
    )
    minutes = forms.IntegerField(label="A token lives (minutes)", min_value=1, max_value=60, initial=15)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(one.name, f"{one.name} ({one.url})") for one in keys.issuers().values()]
        self.fields["issuer"].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
