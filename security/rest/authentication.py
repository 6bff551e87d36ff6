"""Bearer tokens and sessions."""

from __future__ import annotations

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.authentication import SessionAuthentication as DrfSession
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from security.identity.models import ApiToken, User
from security.identity.services import authenticate_token


class TokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer cs_…``; the token limits what its user may do (``access``)."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        token = authenticate_token(text.strip())
        if token is None:
            raise AuthenticationFailed("The token is unknown, expired or revoked. Make one under Settings, Tokens.")
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


class SessionAuthentication(DrfSession):
    """The signed-in session of the pages, with CSRF protection."""

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="countersign"'


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    target_class = "security.rest.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "description": "An API token: `cs_<key>_<secret>`."}


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # untyped base
    target_class = "security.rest.authentication.SessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "apiKey", "in": "cookie", "name": "sessionid"}
