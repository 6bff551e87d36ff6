"""Sign-in through an OpenID Connect or SAML provider, for people whom an administrator has linked to their subject.

Nothing a provider says makes a person or gives a role. The link is the pair of provider and ``sub`` (OpenID Connect
Core §5.7: the only claims that name a person for good), or of provider and subject-id or NameID (SAML); e-mail
addresses and names are not looked at.
"""

from __future__ import annotations

from typing import Any

from allauth.core.exceptions import ImmediateHttpResponse
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialAccount
from django.conf import settings
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError, MissingError
from security.identity import second_factor
from security.identity.models import User
from security.log.events import Event
from security.log.services import record

SUBJECT = "sso.unknown-subject"


def provider() -> dict[str, str] | None:
    """``{"id", "name", "start"}`` of the configured provider, or None; a sign-in begins with a POST to ``start``."""
    if settings.OIDC_ISSUER:
        start = reverse("openid_connect_login", args=[settings.OIDC_ID])
        return {"id": settings.OIDC_ID, "name": settings.OIDC_NAME, "start": start}
    if settings.SAML_IDP_ENTITY_ID:
        start = reverse("saml_login", args=[settings.SAML_ID])
        return {"id": settings.SAML_ID, "name": settings.SAML_NAME, "start": start}
    return None


class SocialAdapter(DefaultSocialAccountAdapter):  # type: ignore[misc]  # it publishes no types
    """Lets in whoever is linked, and nobody else."""

    def is_open_for_signup(self, request: HttpRequest, sociallogin: Any) -> bool:
        return False

    def pre_social_login(self, request: HttpRequest, sociallogin: Any) -> None:
        if sociallogin.is_existing:
            return
        request.session[SUBJECT] = str(sociallogin.account.uid)[:191]
        with transaction.atomic():
            payload = {"provider": str(sociallogin.account.provider), "why": "not linked"}
            record(Event.USER_SIGN_IN_FAILED, acting_user=None, subject=urn("user", "unknown"), payload=payload)
        raise ImmediateHttpResponse(redirect("sign-in-refused"))

    def can_authenticate_by_email(self, login: Any, email: str) -> bool:
        return False


@require_safe
def refused(request: HttpRequest) -> HttpResponse:
    """Signing in did not work: why, and what to tell an administrator."""
    context = {"subject": request.session.get(SUBJECT, ""), "provider": provider()}
    return render(request, "identity/refused.html", context, status=403)


@transaction.atomic
def link(*, acting_user: User, user: User, subject: str) -> SocialAccount:
    """Let ``subject`` at the provider sign in as ``user``. The caller has checked MANAGE_PEOPLE.

    Whoever links also could have linked an account of their own, so it counts as setting the person's credentials.
    Raises InvalidError, ConflictError, DeniedError.
    """
    second_factor.require_enrolled(acting_user)
    through = provider()
    if through is None:
        raise ConflictError("No provider of sign-ins is configured here.")
    if acting_user.pk == user.pk:
        raise DeniedError("Nobody links their own account; ask another administrator.")
    if user.is_service or not user.is_active:
        raise ConflictError(f"{user.full_name} does not sign in.")
    subject = subject.strip()
    if not subject or len(subject) > 191:
        raise InvalidError("Give the subject that the provider knows the person by.", field="subject")
    try:
        with transaction.atomic():
            made = SocialAccount.objects.create(user=user, provider=through["id"], uid=subject)
    except IntegrityError:
        raise ConflictError("This subject is linked to somebody already.") from None
    user.set_given_by(acting_user)
    record(Event.ACCOUNT_LINKED, acting_user=acting_user, subject=urn("user", user.pk), payload={"link": made.pk})
    return made


@transaction.atomic
def unlink(*, acting_user: User, user: User, link_id: int) -> None:
    """End a link. The caller has checked MANAGE_PEOPLE. Raises MissingError."""
    second_factor.require_enrolled(acting_user)
    row = SocialAccount.objects.filter(user=user, pk=link_id).first()
    if row is None:
        raise MissingError("There is no such link.")
    row.delete()
    record(Event.ACCOUNT_UNLINKED, acting_user=acting_user, subject=urn("user", user.pk), payload={"link": link_id})


def links_of(user: User) -> list[SocialAccount]:
    """The person's links, oldest first."""
    return list(SocialAccount.objects.filter(user=user).order_by("date_joined", "pk"))
