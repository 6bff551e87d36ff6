"""How a delivery is signed: the scheme of MLflow's webhooks, which is that of Standard Webhooks 1.0. Pure.

Signed is ``<delivery id>.<seconds>.<body>`` with HMAC-SHA256 under the secret's UTF-8 bytes; the header is ``v1,`` and
the signature in base64. A receiver refuses a time more than five minutes off, and an id that it has seen.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

ID, TIMESTAMP, SIGNATURE = "X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"
TOLERANCE_SECONDS = 300


def secret(system_key: bytes, webhook: str) -> str:
    """The secret of a webhook (its id as text) of the system whose key is given; 43 characters, URL-safe base64."""
    derived = hmac.new(system_key, f"countersign-webhook@1:{webhook}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(derived).decode().rstrip("=")


def signature(key: str, delivery: str, seconds: int, body: str) -> str:
    """The value of the signature's header."""
    made = hmac.new(key.encode(), f"{delivery}.{seconds}.{body}".encode(), hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def headers(key: str, delivery: str, seconds: int, body: str) -> dict[str, str]:
    """The headers of one attempt at ``seconds`` (POSIX time)."""
    return {ID: delivery, TIMESTAMP: str(seconds), SIGNATURE: signature(key, delivery, seconds, body)}


def verifies(key: str, given: Mapping[str, str], body: str, now: int) -> bool:
    """Whether a delivery is genuine and fresh, as a receiver decides it; what is missing or malformed is not."""
    delivery, stamp, signed = given.get(ID, ""), given.get(TIMESTAMP, ""), given.get(SIGNATURE, "")
    if not (delivery and stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):
        return False
    if abs(now - int(stamp)) > TOLERANCE_SECONDS:
        return False
    wanted = signature(key, delivery, int(stamp), body).encode()
    return any(hmac.compare_digest(wanted, one.encode()) for one in signed.split(" "))
