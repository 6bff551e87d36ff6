"""What django-allauth asks of this installation: who may come in, what is put on record, how its secrets are kept."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import qrcode
from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.login import get_authentication_records
from allauth.mfa.adapter import DefaultMFAAdapter
from cryptography.fernet import Fernet, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from qrcode.image.svg import SvgPathFillImage

from security.canonical import urn
from security.identity import throttle
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]  # it publishes no types
    """Nobody signs up; every sign-in is on record with what it was proven by."""

    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def get_client_ip(self, request: HttpRequest) -> str:
        address = throttle.address_of(request)
        return "::" if address == "unknown" else address  # a socket file has no address

    def add_message(self, *args: Any, **kwargs: Any) -> None:
        """The pages say for themselves what happened."""

    def send_mail(self, *args: Any, **kwargs: Any) -> None:
        """This installation sends no mail."""

    def pre_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse | None:
        """A service never signs in, by whatever way it came."""
        if user.is_service:
            user.is_active = False  # of this object, in memory: it is answered as one that is not active
        found: HttpResponse | None = super().pre_login(request, user, **kwargs)
        return found

    def post_login(self, request: HttpRequest, user: User, **kwargs: Any) -> HttpResponse:
        with transaction.atomic():
            methods = [one.get("type") or one["method"] for one in get_authentication_records(request, user)]
            payload = {"methods": methods}
            record(Event.USER_SIGNED_IN, acting_user=user, subject=urn("user", user.pk), payload=payload)
            answer: HttpResponse = super().post_login(request, user, **kwargs)
        return answer


class MFAAdapter(DefaultMFAAdapter):  # type: ignore[misc]  # it publishes no types
    """Secrets of second factors are encrypted under a key derived from SECRET_KEY (older keys still decrypt)."""

    def encrypt(self, text: str) -> str:
        return _fernet().encrypt(text.encode()).decode()

    def decrypt(self, encrypted_text: str) -> str:
        return _fernet().decrypt(encrypted_text.encode()).decode()

    def get_totp_label(self, user: User) -> str:
        return str(user.username)

    def build_totp_svg(self, url: str) -> str:
        """On a white ground of its own, so that a phone can read it in the dark theme as well."""
        with BytesIO() as buffer:
            qrcode.make(url, image_factory=SvgPathFillImage).save(buffer)
            return buffer.getvalue().decode()

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {**super().get_public_key_credential_rp_entity(), "name": "Countersign"}

    def get_public_key_credential_user_entity(self, user: User) -> dict[str, Any]:
        return {"id": user.pk.bytes, "display_name": user.full_name, "name": user.username}


def _fernet() -> MultiFernet:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_derived(key)) for key in keys])


def _derived(secret: str) -> bytes:
    """HKDF-SHA256 (RFC 5869), since SECRET_KEY also signs cookies: one key per purpose."""
    derivation = HKDF(SHA256(), 32, salt=None, info=b"countersign second factor v1")
    return base64.urlsafe_b64encode(derivation.derive(secret.encode()))
