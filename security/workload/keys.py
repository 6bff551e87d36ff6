"""The keys of the issuers that this installation was told to trust, fetched from them and kept for a while.

Only addresses from the settings are asked, and those that a configured issuer's own discovery document names; a token
never says where its key is. An unknown key id makes us ask again at most once a minute: made-up ids cost nothing.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from django.conf import settings

from security.errors import UnavailableError

KEPT_SECONDS = 3600
STALE_SECONDS = 24 * 3600  # how long keys go on being used while their issuer does not answer
AGAIN_SECONDS = 60
TIMEOUT_SECONDS = 5
MAX_BYTES = 512 * 1024
LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Issuer:
    """One issuer as the settings have it. ``kind``: github, kubernetes or oidc."""

    name: str
    kind: str
    url: str
    audience: str
    jwks_uri: str = ""
    ca_file: str = ""
    bearer_file: str = ""


@dataclass
class _Kept:
    keys: list[dict[str, Any]] = field(default_factory=list)
    fetched: float = float("-inf")
    tried: float = float("-inf")


_kept: dict[Issuer, _Kept] = {}
_lock = threading.Lock()


def issuers() -> dict[str, Issuer]:
    """Name → issuer, as configured."""
    found = {}
    for name, one in settings.WORKLOAD_ISSUERS.items():
        known = {key: str(one[key]) for key in ("kind", "jwks_uri", "ca_file", "bearer_file") if key in one}
        audience = str(one.get("audience", settings.WORKLOAD_AUDIENCE))
        found[name] = Issuer(name=name, url=str(one["issuer"]), audience=audience, **{"kind": "oidc", **known})
    return found


def keys_of(issuer: Issuer, kid: str) -> Sequence[Mapping[str, Any]]:
    """The issuer's JWKs, fetched anew when they are an hour old or lack ``kid``. Raises UnavailableError."""
    with _lock:
        kept = _kept.setdefault(issuer, _Kept())
        now = time.monotonic()
        wanted = now - kept.fetched > KEPT_SECONDS or all(key.get("kid") != kid for key in kept.keys)
        if wanted and now - kept.tried > AGAIN_SECONDS:
            kept.tried = now
            try:
                kept.keys, kept.fetched = _fetch_keys(issuer), now
            except (requests.RequestException, ValueError, OSError):
                if now - kept.fetched > STALE_SECONDS:
                    raise UnavailableError(
                        f"The keys of the issuer {issuer.name} cannot be fetched; try again."
                    ) from None
        if now - kept.fetched > STALE_SECONDS:
            raise UnavailableError(f"The keys of the issuer {issuer.name} cannot be fetched; try again.")
        return kept.keys


def forget() -> None:
    """Fetch everything anew next time."""
    with _lock:
        _kept.clear()


def _fetch_keys(issuer: Issuer) -> list[dict[str, Any]]:
    """RFC 7517 §5, found through OpenID Connect Discovery §4 unless the settings name the address."""
    address = issuer.jwks_uri
    if not address:
        found = _get(issuer, issuer.url.rstrip("/") + "/.well-known/openid-configuration")
        if found.get("issuer") != issuer.url:  # Discovery §4.3
            raise ValueError("the discovery document is of another issuer")
        address = str(found.get("jwks_uri", ""))
    keys = _get(issuer, address).get("keys")
    if not isinstance(keys, list):
        raise ValueError("no key set")
    return [key for key in keys if isinstance(key, dict)]


def _get(issuer: Issuer, address: str) -> dict[str, Any]:
    """A small JSON object from an https address (http on this machine only, outside production); no redirects."""
    parts = urlsplit(address)
    local = parts.scheme == "http" and parts.hostname in LOOPBACK and not settings.PRODUCTION
    if parts.scheme != "https" and not local:
        raise ValueError("keys come over https only")
    headers = {"Accept": "application/json"}
    if issuer.bearer_file and parts.netloc == urlsplit(issuer.url).netloc:
        headers["Authorization"] = f"Bearer {Path(issuer.bearer_file).read_text().strip()}"
    with requests.get(
        address,
        headers=headers,
        timeout=TIMEOUT_SECONDS,
        verify=issuer.ca_file or True,
        allow_redirects=False,
        stream=True,
    ) as answer:
        if answer.status_code != 200:
            raise ValueError(f"status {answer.status_code}")
        content = answer.raw.read(MAX_BYTES + 1, decode_content=True)
    if len(content) > MAX_BYTES:
        raise ValueError("too large")
    found = json.loads(content)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found
