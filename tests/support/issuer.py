"""A stand-in for GitHub's and a cluster's token issuer: real keys, real tokens, real discovery and JWKS over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

AUDIENCE = "https://countersign.example.org"
_RSA = {bits: rsa.generate_private_key(65537, bits) for bits in (2048, 1024)}


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Serves ``/.well-known/openid-configuration`` and ``/jwks`` at ``url`` until ``close``."""

    def __init__(self) -> None:
        self.rsa, self.ec = _RSA[2048], ec.generate_private_key(ec.SECP256R1())
        self.keys = [self.jwk(self.rsa, "rsa-1", "RS256"), self.jwk(self.ec, "ec-1", "ES256")]
        self.asked: list[str] = []
        self.down = False
        self.discovery: dict[str, Any] = {}
        self.posted: list[dict[str, str]] = []
        self.more: dict[str, Any] = {}  # path → the JSON that is served there
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                issuer.answer(self)

            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                issuer.asked.append(self.path)
                issuer.posted.append(dict(parse_qsl(self.rfile.read(length).decode())))
                issuer.answer(self)

            def log_message(self, *args: Any) -> None:
                """Silence."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/redirected":
            handler.send_response(302)
            handler.send_header("Location", f"{self.url}/jwks")
            handler.end_headers()
            return
        found = {
            "/.well-known/openid-configuration": {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"} | self.discovery,
            "/jwks": {"keys": self.keys},
            **self.more,
            "/huge": {"keys": [], "padding": "x" * 600_000},
        }.get(handler.path)
        body = json.dumps(found).encode()
        handler.send_response(503 if self.down else 200 if found else 404)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    @staticmethod
    def jwk(key: Any, kid: str, alg: str) -> dict[str, Any]:
        algorithm = jwt.get_algorithm_by_name(alg)
        return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "alg": alg, "use": "sig"}

    def claims(self, **changes: Any) -> dict[str, Any]:
        """Those of a GitHub Actions job on main; a change to None leaves a claim out."""
        now = int(time.time())
        found = {
            "iss": self.url,
            "aud": AUDIENCE,
            "sub": "repo:octo-org/credit:ref:refs/heads/main",
            "jti": str(uuid.uuid4()),
            "iat": now,
            "nbf": now - 5,
            "exp": now + 300,
            "repository": "octo-org/credit",
            "repository_id": "74",
        } | changes
        return {name: value for name, value in found.items() if value is not None}

    def token(self, *, key: Any = None, alg: str = "RS256", header: dict[str, Any] | None = None, **claims: Any) -> str:
        """A token as the issuer signs it; ``header`` None means the right ``kid``."""
        own = (self.rsa, "rsa-1") if alg == "RS256" else (self.ec, "ec-1")
        headers = {"kid": own[1]} if header is None else header
        return jwt.encode(self.claims(**claims), key or own[0], alg, headers=headers)

    def forged(self, header: dict[str, Any], secret: bytes | None = None, **claims: Any) -> str:
        """A token with any header at all: unsigned, or with an HMAC under ``secret``."""
        parts = [header, self.claims(**claims)]
        signed = ".".join(b64(json.dumps(part).encode()) for part in parts)
        signature = b"" if secret is None else hmac.digest(secret, signed.encode(), hashlib.sha256)
        return f"{signed}.{b64(signature)}"

    def public_pem(self) -> bytes:
        return self.rsa.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def weak_key() -> Any:
    """An RSA key of 1024 bits."""
    return _RSA[1024]
