"""Describing a system."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import transaction

from governance.risk import records
from governance.risk.models import SystemProfile
from governance.risk.services.texts import line, text
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import InvalidError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record

MAX_CATEGORIES = 40


def describe(
    *,
    acting_user: User,
    system: AISystem,
    users: str,
    affected_people: str,
    deployment_context: str,
    data_categories: Sequence[str],
) -> SystemProfile:
    """Write down who uses a system, whom it affects, where it runs and which kinds of data it sees.

    Each description is a new one beside the earlier ones, with the system's purpose as it is now. What was assessed
    about an earlier one no longer lowers the tier. Raises DeniedError, InvalidError (field).
    """
    access.require(acting_user, Action.ASSESS, system)
    categories = list(dict.fromkeys(line(one, "data_categories") for one in data_categories))
    if not 1 <= len(categories) <= MAX_CATEGORIES:
        raise InvalidError(f"Name 1 to {MAX_CATEGORIES} kinds of data, or write “none”.", field="data_categories")
    given = {
        "users": text(users, "users"),
        "affected_people": text(affected_people, "affected_people"),
        "deployment_context": text(deployment_context, "deployment_context"),
    }
    with transaction.atomic():
        locked = AISystem.objects.select_for_update().get(pk=system.pk)
        profile = SystemProfile.objects.create(
            system=locked,
            number=SystemProfile.objects.filter(system=locked).count() + 1,
            purpose=locked.purpose,
            data_categories=categories,
            written_by=acting_user,
            **given,
        )
        record(
            Event.PROFILE_WRITTEN,
            acting_user=acting_user,
            subject=urn("system", locked.pk),
            system=locked.slug,
            payload={"profile": str(profile.pk), "number": profile.number, "digest": records.profile_digest(profile)},
        )
    return profile
