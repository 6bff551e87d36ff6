"""A stand-in for Vault's Transit engine over HTTP, for one AEAD key type: real encryption, versions and refusals.

After Vault's API documentation (secret/transit) and the texts of its errors. What it leaves out: every other endpoint,
policies beyond one token, derived and convergent keys.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class TransitServer:
    """Keys by name, each a list of versions from 1. ``sealed`` and ``token`` can be changed while it runs."""

    def __init__(self) -> None:
        self.keys: dict[str, dict[int, bytes]] = {}
        self.min_decryption_version: dict[str, int] = {}
        self.token, self.sealed, self.requests = "s.right", False, 0
        self.url = ""

    def rotate(self, name: str) -> int:
        versions = self.keys.setdefault(name, {})
        versions[len(versions) + 1] = os.urandom(32)
        return len(versions)

    def answer(self, method: str, path: str, token: str | None, body: dict[str, Any]) -> dict[str, Any]:
        self.requests += 1
        if self.sealed:
            raise RefusedError(503, "Vault is sealed")
        if token != self.token:
            raise RefusedError(403, "permission denied")
        parts = path.split("/")
        if parts[:3] != ["", "v1", "transit"] or len(parts) != 5:
            raise RefusedError(404, "no handler for route")
        if method == "GET" and parts[3] == "keys":
            return self._read(parts[4])
        if method in ("POST", "PUT") and parts[3] in ("encrypt", "decrypt"):
            return getattr(self, f"_{parts[3]}")(parts[4], body)
        raise RefusedError(405, "unsupported operation")

    def _read(self, name: str) -> dict[str, Any]:
        if name not in self.keys:
            raise RefusedError(404, "")
        return {"name": name, "type": "aes256-gcm96", "latest_version": len(self.keys[name]), "derived": False}

    def _encrypt(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if name not in self.keys:
            raise RefusedError(400, "encryption key not found")
        version, nonce = len(self.keys[name]), os.urandom(12)
        plain, aad = (
            base64.b64decode(body.get(field, ""), validate=True) for field in ("plaintext", "associated_data")
        )
        sealed = nonce + AESGCM(self.keys[name][version]).encrypt(nonce, plain, aad)
        return {"ciphertext": f"vault:v{version}:{base64.b64encode(sealed).decode()}", "key_version": version}

    def _decrypt(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if name not in self.keys:
            raise RefusedError(400, "encryption key not found")
        try:
            prefix, number, text = body["ciphertext"].split(":")
            version, sealed = int(number.removeprefix("v")), base64.b64decode(text, validate=True)
        except ValueError:
            raise RefusedError(400, "invalid ciphertext: could not decode base64") from None
        if prefix != "vault" or version not in self.keys[name]:
            raise RefusedError(400, "invalid ciphertext: no prefix")
        if version < self.min_decryption_version.get(name, 1):
            raise RefusedError(400, "ciphertext or signature version is disallowed by policy (too old)")
        aad = base64.b64decode(body.get("associated_data", ""), validate=True)
        try:
            plain = AESGCM(self.keys[name][version]).decrypt(sealed[:12], sealed[12:], aad)
        except (InvalidTag, ValueError):
            raise RefusedError(500, "1 error occurred:\n\t* cipher: message authentication failed\n\n") from None
        return {"plaintext": base64.b64encode(plain).decode()}


@contextmanager
def running() -> Iterator[TransitServer]:
    """A server on a free port of this machine, with the key ``countersign`` in version 1."""
    transit = TransitServer()
    transit.rotate("countersign")

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            try:
                data = transit.answer(self.command, self.path, self.headers.get("X-Vault-Token"), body)
                status, content = 200, {"request_id": "0", "lease_id": "", "renewable": False, "data": data}
            except RefusedError as error:
                status, content = error.status, {"errors": [error.text] if error.text else []}
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = handle_any  # noqa: N815 - the names that http.server calls

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    transit.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield transit
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
