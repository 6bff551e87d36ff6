"""The pure part of token exchange: whether a JSON Web Token is what its issuer signed, for us, now.

After RFC 8725 (JSON Web Token Best Current Practices); the sections are cited at each step. Checked elsewhere: that the
keys are the issuer's (``keys``), that the token is used once and which service it may act as (``services``).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.exceptions import PyJWTError

MAX_BYTES = 16 * 1024
MAX_LIFE_SECONDS = 24 * 3600
LEEWAY_SECONDS = 30
MIN_RSA_BITS = 2048
# algorithm → what its key must be (RFC 7518 §3.3, §3.4); nothing symmetric and no “none” can be added by a token
ALGORITHMS: Mapping[str, Mapping[str, str]] = {"RS256": {"kty": "RSA"}, "ES256": {"kty": "EC", "crv": "P-256"}}
_BRINGS_A_KEY = ("jwk", "jku", "x5u", "x5c")


class RefusedError(Exception):
    """The token is not accepted: ``reason`` is a fixed word, ``signed`` whether the issuer did sign it."""

    def __init__(self, reason: str, detail: str, *, signed: bool = False) -> None:
        super().__init__(detail)
        self.reason, self.detail, self.signed = reason, detail, signed


@dataclass(frozen=True)
class Claims:
    """A token's verified claims; ``fingerprint`` names it for good, whatever its signature was re-encoded to."""

    issuer: str
    subject: str
    expires: float
    fingerprint: str
    all: Mapping[str, Any]


def issuer_of(token: str) -> str:
    """The issuer that a token says it is of, unverified: only to find the keys. Raises RefusedError."""
    found = _parts(token)[1].get("iss")
    return found if isinstance(found, str) else ""


def key_id_of(token: str) -> str:
    """The ``kid`` of a token's header. Raises RefusedError when the header is not one that is accepted."""
    header = _parts(token)[0]
    _check_header(header)
    return str(header["kid"])


def verify(token: str, keys: Sequence[Mapping[str, Any]], *, issuer: str, audience: str, now: float) -> Claims:
    """The claims of a token signed by one of ``keys`` (JWKs of RFC 7517) of ``issuer``, for ``audience``.

    1. Size, three parts, JSON objects without duplicate names (§2.4, §3.7).
    2. The algorithm is of the fixed list, never the token's choice among all (§3.1); no header that brings a key or
       names an extension that must be understood (§3.10; RFC 7515 §4.1.11).
    3. Exactly one key with the header's ``kid``, of the kind that the algorithm takes: an RSA key never checks an
       HMAC (§2.1, §3.1). ``kid`` is compared with the ids in the set and used for nothing else (§3.10).
    4. The signature.
    5. ``iss`` exactly, ``aud`` contains ours (§3.8, §3.9); ``exp`` and ``iat`` are there, not past, not ahead, at most
       a day apart; ``nbf`` has come; ``sub`` names somebody.
    Raises RefusedError.
    """
    header, _ = _parts(token)
    _check_header(header)
    key = _key(header, keys)
    try:
        checks: Any = {"verify_signature": True, "verify_exp": False, "verify_nbf": False, "verify_iat": False}
        checks |= {"verify_aud": False, "verify_iss": False, "verify_sub": False, "verify_jti": False}
        jwt.decode(token, jwt.PyJWK.from_dict(dict(key), header["alg"]).key, [header["alg"]], options=checks)
    except (PyJWTError, ValueError, TypeError) as error:
        raise RefusedError("signature", f"The signature does not verify ({type(error).__name__}).") from None
    claims = _parts(token)[1]
    _check_claims(claims, issuer=issuer, audience=audience, now=now)
    signed = token.rpartition(".")[0].encode()
    return Claims(issuer, claims["sub"], float(claims["exp"]), hashlib.sha256(signed).hexdigest(), claims)


def fits(pattern: str, subject: str) -> bool:
    """Whether a subject fits: ``*`` stands for anything without a colon, everything else for itself."""
    parts = (re.escape(part) for part in pattern.split("*"))
    return re.fullmatch("[^:]*".join(parts), subject) is not None


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified."""
    pieces = token.split(".")
    if len(token) > MAX_BYTES or len(pieces) != 3 or not all(pieces):
        raise RefusedError("malformed", "This is not a signed JSON Web Token of at most 16 KiB.")
    return _object(pieces[0]), _object(pieces[1])


def _object(piece: str) -> dict[str, Any]:
    try:
        if not re.fullmatch(r"[A-Za-z0-9_-]+", piece):
            raise ValueError(piece)
        raw = base64.urlsafe_b64decode(piece + "=" * (-len(piece) % 4))
        found = json.loads(raw.decode(), object_pairs_hook=_no_duplicates)
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise RefusedError("malformed", "A part of the token is not a JSON object.")
    return found


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate names")
    return found


def _check_header(header: Mapping[str, Any]) -> None:
    if header.get("alg") not in ALGORITHMS:
        raise RefusedError("algorithm", f"Signed with none of {', '.join(ALGORITHMS)}.")
    if "crit" in header or any(name in header for name in _BRINGS_A_KEY):
        raise RefusedError("header", "The header names an extension, or brings a key of its own.")
    if header.get("typ", "JWT") != "JWT" or "b64" in header:
        raise RefusedError("header", "The header says that this is no JSON Web Token.")
    if not isinstance(header.get("kid"), str) or not 0 < len(header["kid"]) <= 200:
        raise RefusedError("key", "The header names no key (kid).")


def _key(header: Mapping[str, Any], keys: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    found = [key for key in keys if key.get("kid") == header["kid"]]
    if len(found) != 1:
        raise RefusedError("key", "The issuer has no such key.")
    key, wanted = found[0], ALGORITHMS[header["alg"]]
    right_kind = all(key.get(name) == value for name, value in wanted.items())
    if not right_kind or key.get("use", "sig") != "sig" or key.get("alg", header["alg"]) != header["alg"]:
        raise RefusedError("key", "The key is not for this algorithm.")
    if key.get("kty") == "RSA" and _bits(key.get("n")) < MIN_RSA_BITS:
        raise RefusedError("key", f"The issuer's RSA key has under {MIN_RSA_BITS} bits.")
    return key


def _bits(number: Any) -> int:
    try:
        return int.from_bytes(base64.urlsafe_b64decode(str(number) + "==")).bit_length()
    except (ValueError, binascii.Error):
        return 0


def _check_claims(claims: Mapping[str, Any], *, issuer: str, audience: str, now: float) -> None:
    def refuse(reason: str, detail: str) -> None:
        raise RefusedError(reason, detail, signed=True)

    if claims.get("iss") != issuer:
        refuse("issuer", "Of another issuer.")
    given = claims.get("aud")
    if audience not in (given if isinstance(given, list) else [given]):
        refuse("audience", "For another audience.")
    exp, iat, nbf = claims.get("exp"), claims.get("iat"), claims.get("nbf", 0)
    if not all(isinstance(moment, int | float) and not isinstance(moment, bool) for moment in (exp, iat, nbf)):
        refuse("time", "Without the times exp and iat.")
    if not now - LEEWAY_SECONDS < exp:  # type: ignore[operator]  # refuse() has ended the others
        refuse("expired", "Expired.")
    if iat > now + LEEWAY_SECONDS or nbf > now + LEEWAY_SECONDS:  # type: ignore[operator]
        refuse("early", "Not valid yet.")
    if not 0 < exp - iat <= MAX_LIFE_SECONDS:  # type: ignore[operator]
        refuse("time", "Valid for more than a day.")
    if not isinstance(claims.get("sub"), str) or not 0 < len(claims["sub"]) <= 300:
        refuse("subject", "Without a subject.")
