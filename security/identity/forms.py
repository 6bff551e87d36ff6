"""Forms of people, passwords and tokens."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.forms import AuthenticationForm

from security.identity.services import TOKEN_SCOPES

_SCOPE_HELP = {
    "read": "read: see everything you may see, read artifacts and the log",
    "run": "run: register pipelines, start and cancel runs",
    "submit": "submit: send models to review and withdraw them",
    "export": "export: make the auditor's bundle",
    "risk": "risk: answer questionnaires, keep the risk register, report incidents",
}


class SignInForm(AuthenticationForm):
    """Name and password; a wrong pair gets one answer that does not say which was wrong."""

    error_messages = {
        "invalid_login": "This name and password do not fit. Both are case-sensitive except the name.",
        "inactive": "This name and password do not fit.",
    }

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came
        self.fields["username"].label = "Name"
        self.fields["username"].widget.attrs["autocomplete"] = "username"
        self.fields["password"].widget.attrs["autocomplete"] = "current-password"


class SecondFactorForm(forms.Form):
    """The second step of signing in: a code, or a passkey's answer that the page's script fills in."""

    code = forms.CharField(
        label="Code",
        required=False,
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric", "autofocus": True}),
        help_text="six digits of your authenticator app, or a recovery code",
    )
    credential = forms.JSONField(required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, passkeys: bool, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["code"].required = not passkeys
        if passkeys:
            self.fields["code"].label = "Code, if you do not use a passkey"


class FactorForm(forms.Form):
    """One's password again, before anything about second factors changes. ``prefix`` tells the page's forms apart."""

    password = forms.CharField(
        label="Your password, again",
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )


class TotpForm(FactorForm):
    """A new authenticator app."""

    code = forms.CharField(
        label="Code that the app shows",
        max_length=10,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )
    field_order = ("code", "password")


class PasskeyForm(FactorForm):
    """A new passkey; the page's script fills in the credential."""

    name = forms.CharField(label="Name of the passkey", max_length=60, required=False, initial="Passkey")
    credential = forms.JSONField(
        required=False,
        widget=forms.HiddenInput,
        error_messages={"invalid": "The browser's answer cannot be read; try again."},
    )
    field_order = ("name", "password", "credential")


class PersonForm(forms.Form):
    """A new person or service."""

    username = forms.CharField(label="Name for signing in", max_length=63, help_text="lower-case letters and digits")
    full_name = forms.CharField(label="Printed name", max_length=120, help_text="as it stands on every signature")
    email = forms.EmailField(label="E-mail", required=False)
    password = forms.CharField(
        label="First password",
        required=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="at least 12 characters; tell it in person, it must be changed at the first sign-in",
    )
    is_service = forms.BooleanField(label="A service (tokens only, never signs in)", required=False)


class PasswordForm(forms.Form):
    """One's own new password."""

    current = forms.CharField(
        label="Password now", widget=forms.PasswordInput(attrs={"autocomplete": "current-password"})
    )
    password = forms.CharField(
        label="New password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="at least 12 characters",
    )


class FirstPasswordForm(PasswordForm):
    """Instead of a password that somebody else has chosen."""


class ResetPasswordForm(forms.Form):
    """A new password for somebody who has lost theirs."""

    password = forms.CharField(
        label="New password",
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
        help_text="at least 12 characters; tell it in person, it must be changed at the next sign-in",
    )


class LinkForm(forms.Form):
    """Who a person is at the OpenID Connect provider."""

    subject = forms.CharField(
        label="Subject (sub)", max_length=191, help_text="shown to the person when they try to sign in unlinked"
    )


class TokenForm(forms.Form):
    """A new API token."""

    name = forms.CharField(label="What it is for", max_length=80)
    scopes = forms.MultipleChoiceField(
        label="What it may do",
        choices=[(scope, _SCOPE_HELP[scope]) for scope in TOKEN_SCOPES],
        widget=forms.CheckboxSelectMultiple,
        initial=["read"],
    )
    days = forms.IntegerField(label="Ends after (days)", min_value=1, max_value=366, initial=90)
