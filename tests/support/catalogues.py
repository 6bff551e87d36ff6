"""OSCAL catalogues made for tests."""

from __future__ import annotations

import copy
import uuid
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from bench.catalogues import MOMENT, large
from governance.frameworks.models import Attestation, Catalogue, Control
from governance.frameworks.services.attestations import attest
from governance.frameworks.services.catalogues import load_builtin
from security.access.models import AISystem
from security.identity.models import User
from tests.support.people import PASSWORD

__all__ = ["MOMENT", "attest_body", "attested", "builtin", "control", "control_of", "large", "small", "soon"]


def small(*controls: dict[str, Any], version: str = "1", oscal_version: str = "1.2.1", **metadata: Any) -> Any:
    """A catalogue of one group with these controls, one plain one without any."""
    return {
        "catalog": {
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_URL, f"small {version}")),
            "metadata": {
                "title": "House rules",
                "last-modified": MOMENT,
                "version": version,
                "oscal-version": oscal_version,
                **metadata,
            },
            "groups": [{"id": "g1", "title": "First", "controls": list(controls) or [control("c-1")]}],
        }
    }


def control(identifier: str, title: str = "Do it", **more: Any) -> dict[str, Any]:
    return {"id": identifier, "title": title, **copy.deepcopy(more)}


def builtin(key: str = "nist-ai-rmf") -> Catalogue:
    """The current catalogue of a built-in series; all of them are loaded."""
    load_builtin()
    return Catalogue.objects.filter(key=key).latest("number")


def control_of(label: str, key: str = "nist-ai-rmf") -> Control:
    """A control of a loaded catalogue by its label."""
    rows = Control.objects.select_related("catalogue").filter(catalogue__key=key, label=label)
    return rows.latest("catalogue__number")


def soon(days: int = 30) -> datetime:
    return timezone.now() + timedelta(days=days)


def attest_body(**more: Any) -> dict[str, Any]:
    """What the API takes to sign that an outcome of the AI RMF is met in ``credit``."""
    return {
        "system": "credit",
        "catalogue": "nist-ai-rmf",
        "control": "govern-1.1",
        "statement": "met",
        "text": "Counsel keeps the list.",
        "valid_until": soon().isoformat(),
        "password": PASSWORD,
        **more,
    }


def attested(person: User, system: AISystem, label: str = "GOVERN 1.1", **more: Any) -> Attestation:
    """A signed statement on an outcome of the AI RMF, whose catalogue is loaded; ``more`` replaces its parts."""
    key = more.pop("key", "nist-ai-rmf")
    given = {"statement": "met", "text": "I have seen it.", "valid_until": soon(), "password": PASSWORD, **more}
    return attest(acting_user=person, system=system, control=control_of(label, key), **given)
