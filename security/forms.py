"""What every page with a form needs."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest

from security.errors import DeniedError, ServiceError
from security.identity.models import User


def user_of(request: HttpRequest) -> User:
    """The signed-in person. Raises DeniedError for anybody else (views are behind ``login_required`` anyway)."""
    if not isinstance(request.user, User):
        raise DeniedError("Sign in first.")
    return request.user


def refuse(form: forms.Form, error: ServiceError) -> None:
    """Show a service's refusal at its field, or above the form when it names none."""
    form.add_error(error.field if error.field in form.fields else None, error.message)
