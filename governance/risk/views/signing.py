"""What the pages with a signature share."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from governance.forms import SigningForm
from security.identity import second_factor
from security.identity.factor_views import SIGNING, answered
from security.identity.models import User


def signer(user: User) -> dict[str, Any]:
    """What a form for a signature asks this person for."""
    factors = frozenset(str(row.type) for row in second_factor.factors(user))
    return {"factors": factors, "has_password": user.has_usable_password()}


def signed(request: HttpRequest, form: SigningForm) -> dict[str, Any]:
    """What a service takes: the form's fields, and a passkey's answer with the state that was kept for it."""
    given = {"password": "", **form.cleaned_data, "passkey": answered(request, form, SIGNING)}
    given.pop("credential", None)
    return given
