"""What a vote binds: the exact model, data, evidence and policy, as one canonical JSON document and its digest.

The document holds texts, whole numbers, lists and objects only, so that anybody can recompute its RFC 8785 form.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from security.canonical import digest_of

FORMAT = "countersign-review-subject@1"


def build(
    *,
    system: str,
    model: Mapping[str, Any],
    data: Iterable[tuple[str, str]],
    evidence: Iterable[tuple[str, str, str]],
    policy: Mapping[str, Any],
) -> dict[str, Any]:
    """The subject document.

    ``model``: name, number, digest of the artifact, all as they are; ``data``: (digest, ``table`` or ``source``) of
    what it was made from; ``evidence``: (kind, digest of what it speaks of, its own digest); ``policy``: tier, digest.
    Order and repetition of data and evidence do not matter.
    """
    return {
        "format": FORMAT,
        "system": system,
        "model": {"name": model["name"], "number": model["number"], "digest": model["digest"]},
        "data": [{"digest": digest, "kind": kind} for digest, kind in sorted(set(data))],
        "evidence": [
            {"kind": kind, "subject": subject, "digest": digest} for kind, subject, digest in sorted(set(evidence))
        ],
        "policy": {"tier": policy["tier"], "digest": policy["digest"]},
    }


def digest(subject: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical form. Lists ask for the same subjects again and again, so the last ones are kept."""
    return _digest(json.dumps(subject, sort_keys=True))


@lru_cache(maxsize=1024)
def _digest(text: str) -> str:
    return digest_of(json.loads(text))


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The parts (``model``, ``data``, ``evidence``, ``policy`` …) in which two subjects differ."""
    return [part for part in before if before[part] != now.get(part)]
