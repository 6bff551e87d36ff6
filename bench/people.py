"""Who runs the benchmarks."""

from __future__ import annotations

from security.access.models import AISystem
from security.access.services import bootstrap_admin, create_system, grant_role
from security.identity.models import User
from security.identity.services import create_user


def cast() -> tuple[User, AISystem]:
    """An engineer in the system ``bench``, where a validator and a risk officer decide; ``aldo`` audits all systems."""
    admin = create_user(acting_user=None, username="admin", full_name="Bench Admin", password=None)
    bootstrap_admin(user=admin)
    system = create_system(acting_user=admin, slug="bench", name="Bench", purpose="measuring")
    engineer = create_user(acting_user=None, username="erin", full_name="Erin Engineer", password=None)
    auditor = create_user(acting_user=None, username="aldo", full_name="Aldo Auditor", password=None)
    grant_role(acting_user=admin, user=engineer, role="engineer", system=system)
    grant_role(acting_user=admin, user=auditor, role="auditor")
    for name, role in (("vera", "validator"), ("rosa", "risk-officer")):
        person = create_user(acting_user=None, username=name, full_name=name.title(), password=None)
        grant_role(acting_user=admin, user=person, role=role, system=system)
    return engineer, system
