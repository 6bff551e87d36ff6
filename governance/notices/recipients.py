"""Who is told of which event: one table, read for a batch of events in a fixed number of queries.

Nobody is told of what they did themselves, and nobody of a system that they may not view.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from governance.models import Approval, Review
from pipelines.models import Run
from security.access import selectors as access
from security.access.table import Action, Role, allows
from security.canonical import urn
from security.log.events import Event
from security.log.models import AuditEvent

_DECIDERS = frozenset({Role.VALIDATOR, Role.RISK_OFFICER})
_OWNERS = frozenset({Role.OWNER})
_KEEPERS = frozenset({Role.OWNER, Role.ADMIN})


@dataclass(frozen=True)
class Telling:
    """``roles`` of the system are told, and with ``author`` whoever submitted or started what the event is about."""

    roles: frozenset[Role] = frozenset()
    author: bool = False


TELLINGS: Mapping[str, Telling] = {
    Event.REVIEW_SUBMITTED: Telling(roles=_DECIDERS),
    Event.REVIEW_REJECTED: Telling(roles=_OWNERS, author=True),
    Event.REVIEW_SUPERSEDED: Telling(roles=_DECIDERS, author=True),
    Event.REVIEW_WITHDRAWN: Telling(roles=_DECIDERS, author=True),
    Event.VOTE_CAST: Telling(author=True),
    Event.APPROVAL_ISSUED: Telling(roles=_OWNERS, author=True),
    Event.APPROVAL_REVOKED: Telling(roles=_OWNERS | _DECIDERS, author=True),
    Event.RUN_FAILED: Telling(author=True),
    Event.POLICY_PUBLISHED: Telling(roles=_DECIDERS | _OWNERS),
    Event.ARTIFACT_DAMAGE_FOUND: Telling(roles=_KEEPERS),
    Event.SIGNATURE_BLOCKED: Telling(roles=_KEEPERS),
}

_USER = "urn:countersign:user:"
# kind in the subject's URN → id → who submitted or started it
_AUTHORS: Mapping[str, Callable[[Sequence[UUID]], Iterable[tuple[UUID, UUID]]]] = {
    "review": lambda ids: Review.objects.filter(pk__in=ids).values_list("pk", "submitted_by"),
    "approval": lambda ids: Approval.objects.filter(pk__in=ids).values_list("pk", "review__submitted_by"),
    "run": lambda ids: Run.objects.filter(pk__in=ids).values_list("pk", "created_by"),
}


def recipients(events: Iterable[AuditEvent]) -> dict[UUID, set[UUID]]:
    """Event id → ids of the people who are told of it; events that nobody is told of are left out."""
    wanted = [event for event in events if event.event in TELLINGS]
    if not wanted:
        return {}
    holders, viewers = _holders()
    authors = _authors(wanted)
    told = {}
    for event in wanted:
        rule = TELLINGS[event.event]
        people = set().union(*(holders[scope, role] for role in rule.roles for scope in {event.system, ""}))
        if rule.author and event.subject in authors:
            people.add(authors[event.subject])
        people &= viewers[event.system] | viewers[""]
        people.discard(_actor(event))
        if people:
            told[event.id] = people
    return told


def _holders() -> tuple[dict[tuple[str, str], set[UUID]], dict[str, set[UUID]]]:
    """``(system slug, role)`` → people, and system slug → who may view it; the slug is empty for all systems."""
    holders: dict[tuple[str, str], set[UUID]] = defaultdict(set)
    viewers: dict[str, set[UUID]] = defaultdict(set)
    rows = access.live_grants().filter(user__is_service=False).order_by()
    for person, role, slug in rows.values_list("user", "role", "system__slug"):
        holders[slug or "", role].add(person)
        if allows(role, Action.VIEW):
            viewers[slug or ""].add(person)
    return holders, viewers


def _authors(events: Iterable[AuditEvent]) -> dict[str, UUID]:
    """Subject (URN) → its author, one query for each kind of subject."""
    ids: dict[str, list[UUID]] = defaultdict(list)
    for event in events:
        if TELLINGS[event.event].author:
            kind, _, key = event.subject.removeprefix("urn:countersign:").partition(":")
            ids[kind].append(UUID(key))
    found = {}
    for kind, wanted in ids.items():
        for row, person in _AUTHORS[kind](wanted):
            found[urn(kind, row)] = person
    return found


def _actor(event: AuditEvent) -> UUID | None:
    return UUID(event.actor.removeprefix(_USER)) if event.actor.startswith(_USER) else None
