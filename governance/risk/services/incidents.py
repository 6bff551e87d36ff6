"""Incidents: opening one, adding to its timeline, closing it."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from governance.risk import records, selectors
from governance.risk.builders import builders
from governance.risk.models import Incident, IncidentEntry, Severity
from governance.risk.services.texts import line, text
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record

_AHEAD = timedelta(minutes=5)  # by which a reporter's clock may be fast


def open_incident(
    *,
    acting_user: User,
    system: AISystem,
    title: str,
    severity: str,
    what: str,
    model_version: ModelVersion | None = None,
    happened_at: datetime | None = None,
) -> Incident:
    """Report that something went wrong, from ``happened_at`` on (now, if not given).

    ``model_version``: the version concerned; without one, every version of the system is. A grave one (serious or
    critical) keeps approvals from being issued while it is open. Raises DeniedError, InvalidError (field).
    """
    access.require(acting_user, Action.REPORT, system)
    if model_version is not None and model_version.model.system_id != system.pk:
        raise InvalidError(f"{system.slug} has no such model version.", field="model_version")
    given, name = text(what, "what"), line(title, "title")
    began, grade = _moment(happened_at), _severity(severity)
    with transaction.atomic():
        locked = AISystem.objects.select_for_update().get(pk=system.pk)
        incident = Incident.objects.create(
            system=locked,
            number=Incident.objects.filter(system=locked).count() + 1,
            title=name,
            severity=grade,
            model_version=model_version,
            opened_by=acting_user,
        )
        _write(Event.INCIDENT_OPENED, acting_user, incident, "opened", given, began)
    return incident


def note(
    *,
    acting_user: User,
    incident: Incident,
    what: str,
    severity: str = "",
    happened_at: datetime | None = None,
) -> IncidentEntry:
    """Add to the timeline of an open incident; ``severity`` makes it graver, never less grave.

    Raises DeniedError, InvalidError (field), ConflictError (closed).
    """
    access.require(acting_user, Action.REPORT, incident.system)
    given, at = text(what, "what"), _moment(happened_at)
    grade = _severity(severity) if severity else ""
    with transaction.atomic():
        locked = _lock(incident)
        if locked.closed_at is not None:
            raise ConflictError("This incident is closed; what happens now is another one.")
        if grade and Severity.values.index(grade) < Severity.values.index(locked.severity):
            raise InvalidError(
                "An incident becomes graver or stays as it is; close it when it is over.", field="severity"
            )
        kind = "graver" if grade and grade != locked.severity else "note"
        if kind == "graver":
            locked.severity = grade
            locked.save(update_fields=["severity"])
        return _write(Event.INCIDENT_NOTED, acting_user, locked, kind, given, at)


def close(
    *,
    acting_user: User,
    incident: Incident,
    what: str,
    password: str = "",
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> IncidentEntry:
    """End an incident; ``what``: what was done, and why it is over.

    A grave one is closed by the signature of a risk officer who had no hand in the system (``password``, ``code``,
    ``passkey``: see ``signing.reauthenticate``), because that lets approvals be issued again; any other by whoever may
    assess the system. Raises DeniedError, InvalidError (what), ConflictError (closed already).
    """
    given, proven = text(what, "what"), None
    if _may_close(acting_user, incident):
        subject = urn("incident", incident.pk)
        slug = incident.system.slug
        proven = reauthenticate(acting_user, password, subject=subject, system=slug, code=code, passkey=passkey)
    with decision_on_record():
        locked = _lock(incident)
        if _may_close(acting_user, locked):
            if proven is None:
                raise ConflictError("This incident has become grave meanwhile: closing it takes a signature.")
            hands = set(User.objects.filter(pk__in=builders(locked.system)))
            require_two_people(acting_user, proven.method, builders=hands, others={})
        locked.closed_at = timezone.now()
        locked.save(update_fields=["closed_at"])
        return _write(Event.INCIDENT_CLOSED, acting_user, locked, "closed", given, locked.closed_at, proven)


def _may_close(acting_user: User, incident: Incident) -> bool:
    """Raise unless this person may close the incident now; returns whether it takes a signature."""
    if incident.closed_at is not None:
        raise ConflictError("This incident is closed already.")
    if not incident.grave:
        access.require(acting_user, Action.ASSESS, incident.system)
        return False
    access.require(acting_user, Action.SIGN_RISK, incident.system)
    require_a_person(acting_user)
    if why_not := selectors.why_not_close(acting_user, builders(incident.system)):
        raise DeniedError(why_not)
    return True


def _lock(incident: Incident) -> Incident:
    return Incident.objects.select_for_update(of=("self",)).select_related("system").get(pk=incident.pk)


def _write(
    event: Event,
    acting_user: User,
    incident: Incident,
    kind: str,
    what: str,
    happened_at: datetime,
    proven: Proven | None = None,
) -> IncidentEntry:
    entry = IncidentEntry(
        incident=incident,
        number=incident.entries.count() + 1,
        kind=kind,
        text=what,
        severity=incident.severity,
        happened_at=happened_at,
        written_by=acting_user,
        written_at=timezone.now(),
        printed_name=acting_user.full_name,
        reauthenticated_at=proven.at if proven else None,
        method=proven.method if proven else "",
    )
    entry.digest = records.entry_digest(entry)
    entry.save(force_insert=True)
    record(
        event,
        acting_user=acting_user,
        subject=urn("incident", incident.pk),
        system=incident.system.slug,
        payload={
            "number": entry.number,
            "digest": entry.digest,
            "severity": entry.severity,
            "model_version": str(incident.model_version_id) if incident.model_version_id else None,
        },
    )
    return entry


def _severity(given: str) -> str:
    if given not in Severity.values:
        raise InvalidError(f"An incident is one of {', '.join(Severity.values)}.", field="severity")
    return given


def _moment(given: datetime | None) -> datetime:
    now = timezone.now()
    if given is not None and given > now + _AHEAD:
        raise InvalidError("What happened lies in the past.", field="happened_at")
    return given or now
