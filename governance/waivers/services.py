"""Asking for a waiver, deciding on it, and ending it."""

from __future__ import annotations

from datetime import timedelta

from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.selectors import evidence, people
from governance.selectors.evidence import MODEL_VERSION_RELATED, Found
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from governance.waivers import records, selectors
from governance.waivers.models import Waiver, WaiverDecision
from pipelines.models import ModelVersion
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, DeniedError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record

MAX_TEXT = 5000
_EVENTS = {
    "approve": Event.WAIVER_APPROVED,
    "reject": Event.WAIVER_REJECTED,
    "revoke": Event.WAIVER_REVOKED,
    "close": Event.WAIVER_CLOSED,
}


@transaction.atomic
def request(
    *,
    acting_user: User,
    model_version: ModelVersion,
    part: str,
    reason: str,
    control: str,
    days: int,
    owner: User | None = None,
) -> Waiver:
    """Ask that one part of the policy may be broken by a model version as it is now, for so many days.

    ``part``: as a gate names what shuts it. ``control``: what keeps the harm away meanwhile; ``owner`` answers for it
    (the person who asks, if nobody is named).

    Raises DeniedError, InvalidError (part, reason, control, days, owner), ConflictError (the policy lets nothing be
    waived, the part is not broken, one waits or is in effect, or it was renewed as often as it may be).
    """
    access.require(acting_user, Action.REQUEST_WAIVER, model_version.model.system)
    if acting_user.is_service:
        raise DeniedError("A person asks for a waiver; a service cannot.")
    texts = {"reason": _text(reason, "reason"), "control": _text(control, "control")}
    version = ModelVersion.objects.select_for_update(of=("self",)).select_related(*MODEL_VERSION_RELATED)
    found = evidence.found(version.get(pk=model_version.pk))
    now, renewal = timezone.now(), _can_be_waived(found, part, days)
    made = Waiver.objects.create(
        system=found.version.model.system,
        model_version=found.version,
        part=part,
        subject_digest=found.digest,
        owner=_owner(owner or acting_user, found),
        expires_at=now + timedelta(days=days),
        renewal=renewal,
        requested_by=acting_user,
        requested_at=now,
        **texts,
    )
    told = {"digest": records.waiver_digest(made), "model_version": str(found.version.pk), "part": part}
    _record(Event.WAIVER_REQUESTED, acting_user, made, {**told, "subject": made.subject_digest})
    return made


def decide(
    *,
    acting_user: User,
    waiver: Waiver,
    decision: str,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> WaiverDecision:
    """Approve or reject a waiver: the signature of a risk officer who neither asked for it, nor answers for it, nor
    had a hand in the model.

    Raises DeniedError, InvalidError (decision, reason), ConflictError (decided or run out already; what it was asked
    for has changed).
    """
    if decision not in ("approve", "reject"):
        raise InvalidError("A decision is “approve” or “reject”.", field="decision")
    text = _text(reason, "reason")
    require_a_person(acting_user)
    _may_decide(acting_user, waiver)
    proven = _proven(acting_user, waiver, password, code, passkey)
    with decision_on_record():
        locked = _lock(waiver)
        _may_decide(acting_user, locked)
        if decision == "approve":
            found = evidence.found(_version(locked))
            if found.digest != locked.subject_digest:
                raise ConflictError("Model, data, evidence or policy changed since this was asked for; ask again.")
            builders = {*people.excluded_people(found.version), locked.requested_by}
            require_two_people(acting_user, proven.method, builders=builders, others={})
        return _sign(acting_user, locked, stage="decision", decision=decision, reason=text, proven=proven)


def end(
    *,
    acting_user: User,
    waiver: Waiver,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> WaiverDecision:
    """End a waiver now: whoever asked for it or owns it closes it, another person who may revokes it.

    One is enough, since stopping is easy. Approvals that rest on it hold no more. Raises DeniedError, InvalidError
    (reason), ConflictError (it has ended already).
    """
    text = _text(reason, "reason")
    require_a_person(acting_user)
    own = acting_user.pk in (waiver.requested_by_id, waiver.owner_id)
    access.require(acting_user, Action.REQUEST_WAIVER if own else Action.END_WAIVER, waiver.system)
    _goes_on(waiver)
    proven = _proven(acting_user, waiver, password, code, passkey)
    with decision_on_record():
        locked = _lock(waiver)
        _goes_on(locked)
        kind = "close" if own else "revoke"
        return _sign(acting_user, locked, stage="end", decision=kind, reason=text, proven=proven)


def why_not_decide(user: User, waiver: Waiver) -> str:
    """Why a person cannot decide on a waiver; empty when they can."""
    try:
        require_a_person(user)
        _may_decide(user, waiver)
    except (DeniedError, ConflictError) as error:
        return error.message
    return ""


def why_not_end(user: User, waiver: Waiver) -> str:
    """Why a person cannot end a waiver; empty when they can."""
    own = user.pk in (waiver.requested_by_id, waiver.owner_id)
    try:
        require_a_person(user)
        _goes_on(waiver)
        access.require(user, Action.REQUEST_WAIVER if own else Action.END_WAIVER, waiver.system)
    except (DeniedError, ConflictError) as error:
        return error.message
    return ""


def _can_be_waived(found: Found, part: str, days: int) -> int:
    """How many waivers of this part there were before. Raises InvalidError, ConflictError."""
    most = found.policy.waivers
    if most is None:
        raise ConflictError(f"The {found.policy.key} policy lets nothing be waived.")
    if part not in found.policy.parts():
        raise InvalidError(
            f"There is nothing to waive by that name; there is {', '.join(found.policy.parts())}.", field="part"
        )
    (gates,) = evidence.gates_of([(found.policy, found)])
    if not any(part in gate.broken for gate in gates):
        raise ConflictError(f"{part} is not broken, so there is nothing to waive.")
    if not 1 <= days <= most.max_days:
        raise InvalidError(
            f"Under the {found.policy.key} policy a waiver lasts 1 to {most.max_days} days.", field="days"
        )
    earlier = selectors.had(found.version.pk, part)
    if earlier > most.renewals:
        raise ConflictError(
            f"{part} was waived {earlier} times for this version, and the policy lets a waiver be renewed "
            f"{most.renewals} times: mend what is broken."
        )
    waiting = Waiver.objects.filter(model_version=found.version, part=part, subject_digest=found.digest)
    if any(row.state() == "requested" for row in waiting.prefetch_related("decisions")):
        raise ConflictError(f"A waiver of {part} waits for a decision already.")
    return earlier


def _owner(owner: User, found: Found) -> User:
    if owner.is_service or not owner.is_active or not access.allowed(owner, Action.VIEW, found.version.model.system):
        raise InvalidError("The owner is a person with a role in the system.", field="owner")
    return owner


def _may_decide(user: User, waiver: Waiver) -> None:
    state = waiver.state()
    if state != "requested":
        raise ConflictError(f"This waiver is {state} already; there is nothing left to decide.")
    access.require(user, Action.DECIDE_WAIVER, waiver.system)
    if user.pk in (waiver.requested_by_id, waiver.owner_id):
        raise DeniedError("You asked for this waiver or answer for it, so another risk officer decides.")
    builders = {person.pk: parts for person, parts in people.excluded_people(_version(waiver)).items()}
    if user.pk in builders:
        raise DeniedError(f"You had a hand in this model ({'; '.join(builders[user.pk][:3])}), so you cannot decide.")


def _goes_on(waiver: Waiver) -> None:
    state = waiver.state()
    if state not in ("requested", "active"):
        raise ConflictError(f"This waiver is {state} already.")


def _version(waiver: Waiver) -> ModelVersion:
    return ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).get(pk=waiver.model_version_id)


def _lock(waiver: Waiver) -> Waiver:
    return selectors.waivers().select_for_update(of=("self",)).get(pk=waiver.pk)


def _proven(user: User, waiver: Waiver, password: str, code: str, passkey: PasskeyAnswer | None) -> Proven:
    subject = urn("waiver", waiver.pk)
    return reauthenticate(user, password, subject=subject, system=waiver.system.slug, code=code, passkey=passkey)


def _sign(
    acting_user: User, waiver: Waiver, *, stage: str, decision: str, reason: str, proven: Proven
) -> WaiverDecision:
    made = WaiverDecision(
        waiver=waiver,
        stage=stage,
        decision=decision,
        person=acting_user,
        printed_name=acting_user.full_name,
        reason=reason,
        subject_digest=waiver.subject_digest,
        signed_at=timezone.now(),
        reauthenticated_at=proven.at,
        method=proven.method,
    )
    made.digest = records.decision_digest(made)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise ConflictError("Somebody else has decided this at the same moment.") from None
    told = {"decision": str(made.pk), "digest": made.digest, "waiver": records.waiver_digest(waiver)}
    _record(_EVENTS[decision], acting_user, waiver, told)
    return made


def _text(text: str, field: str) -> str:
    cleaned = text.strip()
    if not cleaned:
        raise InvalidError("This cannot be empty: say it in your own words.", field=field)
    if len(cleaned) > MAX_TEXT or "\x00" in cleaned:
        raise InvalidError(f"A text of at most {MAX_TEXT:,} characters, please.", field=field)
    return cleaned


def _record(event: Event, acting_user: User, waiver: Waiver, payload: dict[str, str]) -> None:
    subject = urn("waiver", waiver.pk)
    record(event, acting_user=acting_user, subject=subject, system=waiver.system.slug, payload=payload)
