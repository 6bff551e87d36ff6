"""The risk register: opening a risk, writing down what is thought of it now, accepting what is left."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone

from governance.risk import records, selectors
from governance.risk.builders import builders
from governance.risk.models import Risk, RiskAcceptance, RiskRevision, Source, Treatment
from governance.risk.services.texts import line, text
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
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

MAX_ACCEPTED = timedelta(days=366)
_SCORES = ("likelihood", "impact", "residual_likelihood", "residual_impact")


def open_risk(*, acting_user: User, system: AISystem, source: str, source_id: str = "", **content: Any) -> RiskRevision:
    """Put a risk into a system's register; ``content`` as in ``revise``.

    ``source``: questionnaire, check, incident, drift or person; ``source_id``: the assessment, evidence or incident of
    this system that it was seen in. Raises DeniedError, InvalidError (field).
    """
    access.require(acting_user, Action.ASSESS, system)
    found = _source(system, source, source_id)
    cleaned = _content(system, **content)
    with transaction.atomic():
        locked = AISystem.objects.select_for_update().get(pk=system.pk)
        number = Risk.objects.filter(system=locked).count() + 1
        risk = Risk.objects.create(system=locked, number=number, source=source, source_urn=found, opened_by=acting_user)
        return _write(Event.RISK_OPENED, acting_user, risk, 1, cleaned)


def revise(*, acting_user: User, risk: Risk, seen: int, **content: Any) -> RiskRevision:
    """Write down what is thought of a risk now; everything earlier stays beside it, and its acceptance ends.

    ``seen``: the number of the revision that this one follows. ``content``: title, description, likelihood and impact
    before controls (1 to 5), controls, the same after controls (residual_likelihood, residual_impact), treatment
    (avoid, reduce, share, accept), owner (a username), due (a date or None), closed, note.

    Raises DeniedError, InvalidError (field), ConflictError (somebody wrote another one meanwhile).
    """
    access.require(acting_user, Action.ASSESS, risk.system)
    cleaned = _content(risk.system, **content)
    with transaction.atomic():
        locked = _lock(risk)
        newest = locked.revisions.count()
        if seen != newest:
            raise ConflictError(f"This risk is at revision {newest}, not {seen}: read what was written, then decide.")
        return _write(Event.RISK_REVISED, acting_user, locked, newest + 1, cleaned)


def accept(
    *,
    acting_user: User,
    risk: Risk,
    seen: int,
    until: date,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> RiskAcceptance:
    """Sign that what is left of a risk, as revision ``seen`` has it, is borne until the end of a day (UTC).

    Raises DeniedError (no second-line role, a token, a builder, whoever wrote the revision or owns the risk, wrong
    password or second factor), ConflictError (closed, revised, accepted already), InvalidError (until, reason).
    """
    why = text(reason, "reason")
    today = timezone.now().date()
    if not today < until <= today + MAX_ACCEPTED:
        raise InvalidError(f"A risk is accepted for 1 to {MAX_ACCEPTED.days} days from now.", field="until")
    require_a_person(acting_user)
    _may_accept(acting_user, risk, seen)
    subject = urn("risk", risk.pk)
    proven = reauthenticate(acting_user, password, subject=subject, system=risk.system.slug, code=code, passkey=passkey)
    with decision_on_record():
        locked = _lock(risk)
        revision, hands = _may_accept(acting_user, locked, seen)
        require_two_people(acting_user, proven.method, builders=hands, others={revision.written_by: ""})
        return _accept(acting_user, revision, until, why, proven)


def _accept(acting_user: User, revision: RiskRevision, until: date, reason: str, proven: Proven) -> RiskAcceptance:
    acceptance = RiskAcceptance(
        revision=revision,
        until=until,
        reason=reason,
        accepted_by=acting_user,
        accepted_at=timezone.now(),
        printed_name=acting_user.full_name,
        reauthenticated_at=proven.at,
        method=proven.method,
    )
    acceptance.digest = records.acceptance_digest(acceptance)
    acceptance.save(force_insert=True)
    record(
        Event.RISK_ACCEPTED,
        acting_user=acting_user,
        subject=urn("risk", revision.risk_id),
        system=revision.risk.system.slug,
        payload={"revision": revision.digest, "digest": acceptance.digest, "until": until.isoformat()},
    )
    return acceptance


def _may_accept(acting_user: User, risk: Risk, seen: int) -> tuple[RiskRevision, set[User]]:
    """Raise unless this person may accept the risk as it is; returns its revision and who has a hand in the system."""
    access.require(acting_user, Action.SIGN_RISK, risk.system)
    entry = selectors.entries().get(risk=risk)
    hands = builders(risk.system)
    if why_not := selectors.why_not_accept(acting_user, entry, hands):
        raise DeniedError(why_not)
    if entry.closed or entry.number != seen:
        state = "closed" if entry.closed else f"at revision {entry.number}, not {seen}"
        raise ConflictError(f"This risk is {state}: read it again, then decide.")
    if (held := selectors.acceptance(entry)) is not None:
        raise ConflictError(f"{held.printed_name} has accepted this until {held.until:%Y-%m-%d} already.")
    return entry, set(User.objects.filter(pk__in=hands))


def _lock(risk: Risk) -> Risk:
    return Risk.objects.select_for_update(of=("self",)).select_related("system").get(pk=risk.pk)


def _write(event: Event, acting_user: User, risk: Risk, number: int, content: Mapping[str, Any]) -> RiskRevision:
    revision = RiskRevision(risk=risk, number=number, written_by=acting_user, written_at=timezone.now(), **content)
    revision.digest = records.revision_digest(revision)
    revision.save(force_insert=True)
    scores = {name: content[name] for name in _SCORES}
    record(
        event,
        acting_user=acting_user,
        subject=urn("risk", risk.pk),
        system=risk.system.slug,
        payload={"number": number, "digest": revision.digest, "closed": revision.closed, **scores},
    )
    return revision


def _content(
    system: AISystem,
    *,
    title: str,
    likelihood: int,
    impact: int,
    treatment: str,
    owner: str,
    description: str = "",
    controls: str = "",
    residual_likelihood: int | None = None,
    residual_impact: int | None = None,
    due: date | None = None,
    closed: bool = False,
    note: str = "",
) -> dict[str, Any]:
    """The parts of a revision, checked. What is not said about the residual risk is as without controls."""
    if treatment not in Treatment.values:
        raise InvalidError(f"A risk is treated as one of {', '.join(Treatment.values)}.", field="treatment")
    scores = {
        "likelihood": likelihood,
        "impact": impact,
        "residual_likelihood": likelihood if residual_likelihood is None else residual_likelihood,
        "residual_impact": impact if residual_impact is None else residual_impact,
    }
    for name, value in scores.items():
        if not 1 <= value <= 5:
            raise InvalidError("Likelihood and impact go from 1 to 5.", field=name)
    for name in ("likelihood", "impact"):
        if scores[f"residual_{name}"] > scores[name]:
            raise InvalidError(f"Controls do not add to the {name}.", field=f"residual_{name}")
    done = text(controls, "controls", required=False)
    if not done and (scores["residual_likelihood"], scores["residual_impact"]) != (likelihood, impact):
        raise InvalidError("Say which controls leave less of the risk: without any it stays.", field="controls")
    return {
        **scores,
        "title": line(title, "title"),
        "description": text(description, "description", required=False),
        "controls": done,
        "treatment": treatment,
        "owner": _owner(system, owner),
        "due": due,
        "closed": closed,
        "note": text(note, "note", required=closed),
    }


def _owner(system: AISystem, username: str) -> User:
    found = None if "\x00" in username else User.objects.filter(username=username, is_service=False).first()
    if found is None or not access.allowed(found, Action.VIEW, system):
        raise InvalidError(f"A risk is owned by a person with a role in {system.slug}.", field="owner")
    return found


def _source(system: AISystem, source: str, source_id: str) -> str:
    """The URN of what a risk was seen in; empty where none is named."""
    if source not in Source.values:
        raise InvalidError(f"A risk comes from one of {', '.join(Source.values)}.", field="source")
    if not source_id:
        return ""
    noun = selectors.seen_in(system, source, source_id)
    if not noun:
        raise InvalidError(f"{system.slug} has nothing of this kind with this id.", field="source_id")
    return urn(noun, source_id)
