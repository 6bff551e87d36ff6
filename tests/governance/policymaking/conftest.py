"""Two people who may sign policies: a validator and a risk officer of all systems."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from governance.policy import builtin
from governance.policymaking import services, texts
from governance.policymaking.models import DraftSignature, PolicyDraft
from security.access.services import grant_role
from security.access.table import Role
from security.identity.models import User
from tests.support.people import PASSWORD, People


@dataclass
class Makers:
    """``val`` and ``ris`` hold their roles everywhere; ``both`` holds both."""

    val: User
    ris: User
    both: User


@pytest.fixture
def makers(people: People) -> Makers:
    made = {name: people.make(name, f"{name.title()} Maker") for name in ("val", "ris", "both")}
    for name, roles in (("val", [Role.VALIDATOR]), ("ris", [Role.RISK_OFFICER]), ("both", [*Role][1:3])):
        for role in roles:
            grant_role(acting_user=people.admin, user=made[name], role=role)
    return Makers(**made)


def text(name: str = "high", old: str = "", new: str = "") -> str:
    """A shipped policy as text, with one thing replaced."""
    whole = texts.text_of(builtin(name))
    assert old in whole
    return whole.replace(old, new, 1)


STRICT = ("threshold: 0.6\n", "threshold: 0.99\n")  # no model of the tests ranks that well


def sign(user: User, row: PolicyDraft, **more: str) -> DraftSignature:
    """Sign with the right password and a reason; ``more`` replaces either."""
    fresh = User.objects.get(pk=user.pk)
    given = {"reason": "The floor was too low.", "password": PASSWORD, **more}
    return services.sign(acting_user=fresh, row=row, **given)


@pytest.fixture
def draft(makers: Makers) -> PolicyDraft:
    """A draft of the high policy that asks for a better model, written by the validator."""
    return services.draft(acting_user=makers.val, text=text("high", *STRICT))
