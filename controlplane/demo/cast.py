"""The demo's five people, the AI systems, and who may do what in them. Everything goes through the services."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db import transaction

from controlplane.demo.examples import Example
from governance.risk.services import assessments, profiles, tiers
from security.access.models import AISystem
from security.access.selectors import live_grants
from security.access.services import bootstrap_admin, create_system, grant_role
from security.access.table import Role
from security.identity.models import User
from security.identity.services import change_password, create_user

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that looks like something else


class NotEmptyError(Exception):
    """The installation belongs to somebody; the demo leaves it alone."""


@dataclass(frozen=True)
class Person:
    """One of the cast, their role and what they do in the demo."""

    username: str
    full_name: str
    role: Role
    part: str


CAST = (
    Person("ada", "Ada Okafor", Role.ADMIN, "gives out roles"),
    Person("erin", "Erin Lindqvist", Role.ENGINEER, "registers, runs, submits"),
    Person("vera", "Vera Castellanos", Role.VALIDATOR, "checks the evidence and decides"),
    Person("rosa", "Rosa Tanaka", Role.RISK_OFFICER, "accepts the risk or does not"),
    Person("aldo", "Aldo Ferreira", Role.AUDITOR, "looks back and exports"),
)


def new_password() -> str:
    """Twenty letters and digits in groups of five, 99 bits."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(5)) for _ in range(4))


@transaction.atomic
def ensure_people(*, new_passwords: bool = False) -> tuple[dict[str, User], dict[str, str]]:
    """The cast by username, made where missing, and the passwords that are new (they are nowhere else in clear).

    Raises NotEmptyError when the installation has an administrator who is not ours.
    """
    admins = live_grants().filter(role=Role.ADMIN)
    if admins.exclude(user__username=CAST[0].username).exists():
        raise NotEmptyError(
            "This installation has people of its own. Give the demo one for itself: COUNTERSIGN_VAR=var-demo make demo"
        )
    people, passwords = {}, {}
    for person in CAST:
        user = User.objects.filter(username=person.username).first()
        if user is None or new_passwords:
            password = passwords[person.username] = new_password()
            user = (
                _create(person, password)
                if user is None
                else change_password(acting_user=user, user=user, password=password)
            )
        people[person.username] = user
    if not admins.exists():
        bootstrap_admin(user=people[CAST[0].username])
    return people, passwords


def _create(person: Person, password: str) -> User:
    email = f"{person.username}@example.org"
    return create_user(
        acting_user=None, username=person.username, full_name=person.full_name, email=email, password=password
    )


@transaction.atomic
def ensure_systems(people: Mapping[str, User], examples: Sequence[Example]) -> dict[str, AISystem]:
    """The examples' AI systems by slug, with the cast's roles in each."""
    admin = people[CAST[0].username]
    systems = {}
    for example in examples:
        system = AISystem.objects.filter(slug=example.slug).first() or create_system(
            acting_user=admin,
            slug=example.slug,
            name=example.name,
            purpose=example.purpose,
            owner=people["rosa"],
        )
        for person in CAST[1:]:
            held = live_grants().filter(user=people[person.username], role=person.role, system=system)
            if not held.exists():
                grant_role(acting_user=admin, user=people[person.username], role=person.role, system=system)
        systems[example.slug] = system
    return systems


def assess(
    people: Mapping[str, User],
    systems: Mapping[str, AISystem],
    examples: Sequence[Example],
    passwords: Mapping[str, str],
) -> None:
    """Describe the systems, answer their questionnaires, and sign the tiers that the answers come to, once each.

    A system whose tier would go down stays where it is when the signer's password is not among the new ones.
    """
    for example in examples:
        system = systems[example.slug]
        if system.assessments.exists():
            continue
        described = dict(example.risk)
        answers = described.pop("answers")
        profiles.describe(acting_user=people["vera"], system=system, **described)
        assessment = assessments.answer(acting_user=people["vera"], system=system, answers=answers)
        if assessment.tier != system.tier and "rosa" in passwords:
            reason = "The answers say what this example is: nothing is decided with it."
            password = passwords["rosa"]
            tiers.lower_tier(acting_user=people["rosa"], assessment=assessment, reason=reason, password=password)
