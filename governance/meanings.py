"""What a signature means: a closed list, by what is done and as what (21 CFR 11.50(a)(3)). Pure.

The text stands in the signature as it was when somebody signed, on every rendering of it, and in the signed statement.
"""

from __future__ import annotations

from collections.abc import Mapping

from security.errors import InvalidError

MEANINGS: Mapping[tuple[str, str], str] = {
    ("approve", "validator"): "I checked the evidence independently of those who built this version, and it supports "
    "the use that is asked for.",
    ("approve", "risk-officer"): "I accept the risk of using this version as it is described here.",
    ("reject", "validator"): "I checked the evidence, and this version must not be used.",
    ("reject", "risk-officer"): "I do not accept the risk of using this version.",
    ("request-changes", "validator"): "I cannot decide on this version as it is submitted; what I name must change.",
    ("request-changes", "risk-officer"): "I cannot decide on this risk as it is submitted; what I name must change.",
    ("reinstate", "validator"): "I checked what led to the suspension, and the evidence supports that this version is "
    "used again.",
    ("reinstate", "risk-officer"): "I accept the risk of using this version again after its suspension.",
    ("revoke", ""): "I end this approval for good.",
    ("suspend", ""): "I stop this approval until it is reinstated by all who have to sign for that.",
    ("confirm-condition", ""): "I looked at what was done, and it meets this condition.",
}


def meaning(what: str, role: str = "") -> str:
    """The text for one act in one role. Raises InvalidError for what has no meaning: it cannot be signed."""
    try:
        return MEANINGS[what, role]
    except KeyError:
        raise InvalidError(f"“{what}” as {role or 'nobody in particular'} has no meaning that can be signed.") from None
