"""Provider ``transit``: the Transit secrets engine of HashiCorp Vault (or OpenBao), over HTTP.

Source: Vault API documentation, secret/transit: "Encrypt data", "Decrypt data", "Read key". The key must be of an AEAD
type (``aes256-gcm96``, ``chacha20-poly1305``) and not derived; the token needs ``update`` on ``encrypt/<key>`` and
``decrypt/<key>`` and ``read`` on ``keys/<key>``. ``rewrap`` is not used: it does not take associated data.
"""

from __future__ import annotations

import base64
import binascii
import json
import ssl
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, Request, build_opener

from security.vault.providers.contract import KeyRef, NoSuchKeyError, NotGenuineError, ProviderAwayError, WrappedKey

_SECONDS = 10.0
_MAX_ANSWER_BYTES = 1 << 20


class Transit:
    """Speaks to ``{url}/v1/{mount}``. ``token_file`` is read at every request, as Vault's agent renews it in place."""

    def __init__(
        self,
        name: str,
        *,
        url: str,
        key: str,
        token: str = "",
        token_file: str = "",
        mount: str = "transit",
        namespace: str = "",
        ca_file: str = "",
    ) -> None:
        if not url.startswith(("https://", "http://")):
            raise ProviderAwayError(f"the address of key provider {name!r} must begin with https:// (TRANSIT_URL)")
        self._name, self._key, self._token, self._token_file = name, key, token, token_file
        self._base = f"{url.rstrip('/')}/v1/{quote(mount)}"
        self._namespace = namespace
        context = ssl.create_default_context(cafile=ca_file or None)
        self._opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context), _NoRedirects())

    def __repr__(self) -> str:
        return f"Transit({self._name!r}, key={self._key!r})"

    def current(self) -> KeyRef:
        data = self._ask("GET", f"keys/{quote(self._key, safe='')}")
        return KeyRef(self._name, self._key, str(data["latest_version"]))

    def wrap(self, data_key: bytes, *, associated_data: bytes) -> WrappedKey:
        body = {"plaintext": _text(data_key), "associated_data": _text(associated_data)}
        data = self._ask("POST", f"encrypt/{quote(self._key, safe='')}", body)
        ciphertext = str(data["ciphertext"])
        return WrappedKey(KeyRef(self._name, self._key, _version(ciphertext)), ciphertext.encode())

    def unwrap(self, wrapped: WrappedKey, *, associated_data: bytes) -> bytes:
        try:
            ciphertext = wrapped.blob.decode("ascii")
            if _version(ciphertext) != wrapped.ref.version:
                raise ValueError(ciphertext)
        except (ValueError, IndexError):
            raise self._not_genuine() from None
        body = {"ciphertext": ciphertext, "associated_data": _text(associated_data)}
        data = self._ask("POST", f"decrypt/{quote(wrapped.ref.key_id, safe='')}", body)
        try:
            return base64.b64decode(str(data["plaintext"]), validate=True)
        except (KeyError, binascii.Error):
            raise ProviderAwayError(f"key provider {self._name!r} gave an answer that is not Transit's") from None

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The ``data`` of an answer."""
        request = Request(  # noqa: S310 - the scheme was checked at the start
            f"{self._base}/{path}", data=json.dumps(body).encode() if body else None, method=method
        )
        request.add_header("X-Vault-Token", self._present_token())
        request.add_header("X-Vault-Request", "true")
        if self._namespace:
            request.add_header("X-Vault-Namespace", self._namespace)
        try:
            with self._opener.open(request, timeout=_SECONDS) as answer:
                data = json.loads(answer.read(_MAX_ANSWER_BYTES))["data"]
        except HTTPError as error:
            raise self._refused(error) from None
        except (OSError, HTTPException) as error:
            raise ProviderAwayError(
                f"key provider {self._name!r} does not answer ({type(error).__name__}); check TRANSIT_URL"
            ) from None
        except (ValueError, KeyError, TypeError):
            raise ProviderAwayError(f"key provider {self._name!r} gave an answer that is not Transit's") from None
        if not isinstance(data, dict):
            raise ProviderAwayError(f"key provider {self._name!r} gave an answer that is not Transit's")
        return data

    def _refused(self, error: HTTPError) -> Exception:
        """What a status means; the texts are Vault's own (it answers 400 or 500 for a ciphertext that fails)."""
        with error:
            text = error.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace")
        if "message authentication failed" in text or "invalid ciphertext" in text:
            return self._not_genuine()
        if "encryption key not found" in text or "disallowed by policy" in text or error.code == 404:
            return NoSuchKeyError(f"key provider {self._name!r} has no such key, or no longer in that version")
        if error.code in (401, 403):
            return ProviderAwayError(f"key provider {self._name!r} refuses the token: check its policy and its time")
        if error.code == 503:
            return ProviderAwayError(f"key provider {self._name!r} is sealed or in maintenance")
        return ProviderAwayError(f"key provider {self._name!r} answers with status {error.code}")

    def _not_genuine(self) -> NotGenuineError:
        return NotGenuineError(f"a data key wrapped by {self._name!r} does not verify")

    def _present_token(self) -> str:
        if not self._token_file:
            return self._token
        try:
            return Path(self._token_file).read_text().strip()
        except OSError as error:
            message = f"the token of key provider {self._name!r} cannot be read ({type(error).__name__})"
            raise ProviderAwayError(message) from None


class _NoRedirects(HTTPRedirectHandler):
    """A token is never sent anywhere but where it was configured for."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _version(ciphertext: str) -> str:
    """``3`` of ``vault:v3:…``. Raises ValueError, IndexError for anything else."""
    prefix, version = ciphertext.split(":")[:2]
    if prefix != "vault" or version[0] != "v":
        raise ValueError("not a ciphertext of Transit")
    return str(int(version[1:]))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
