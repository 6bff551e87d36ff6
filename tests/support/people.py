"""The cast of the tests."""

from __future__ import annotations

from functools import cache

from django.contrib.auth.hashers import make_password

from security.access.models import AISystem
from security.access.services import bootstrap_admin, create_system, grant_role
from security.access.table import Role
from security.identity.models import User
from security.identity.services import create_user

PASSWORD = "correct horse battery staple"


@cache
def hashed_password() -> str:
    """``PASSWORD`` as Argon2 has it; hashed once, since it costs a tenth of a second on purpose."""
    return make_password(PASSWORD)


class People:
    """``admin`` (global); engineer, second_engineer, validator, risk_officer, auditor, owner in ``system``;
    outsider, an engineer in ``other``; nobody, without any role."""

    def __init__(self) -> None:
        self.admin = self.make("admin", "Ada Admin")
        bootstrap_admin(user=self.admin)
        self.system = self.make_system("credit")
        self.other = self.make_system("other")
        self.engineer = self.make("erin", "Erin Engineer", Role.ENGINEER)
        self.second_engineer = self.make("eli", "Eli Engineer", Role.ENGINEER)
        self.validator = self.make("vera", "Vera Validator", Role.VALIDATOR)
        self.risk_officer = self.make("rosa", "Rosa Risk", Role.RISK_OFFICER)
        self.auditor = self.make("aldo", "Aldo Auditor", Role.AUDITOR)
        self.owner = self.make("olga", "Olga Owner", Role.OWNER)
        self.outsider = self.make("otto", "Otto Outsider", Role.ENGINEER, system=self.other)
        self.nobody = self.make("nina", "Nina Nobody")

    def make(self, username: str, full_name: str, role: Role | None = None, system: AISystem | None = None) -> User:
        """A person with the password ``PASSWORD`` and at most one role."""
        user = create_user(acting_user=None, username=username, full_name=full_name, password=None)
        user.password = hashed_password()
        user.save(update_fields=["password"])
        if role is not None:
            grant_role(acting_user=self.admin, user=user, role=role, system=system or self.system)
        return user

    def make_system(self, slug: str) -> AISystem:
        return create_system(acting_user=self.admin, slug=slug, name=slug.title(), purpose="testing")
