"""Writing, signing and publishing policies, and putting a system under one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone

from governance.models import PolicyVersion
from governance.policy import BUILTIN, TIERS, builtin
from governance.policymaking import records, selectors, texts
from governance.policymaking.models import DraftSignature, DraftState, PolicyAssignment, PolicyDraft
from governance.selectors import policies
from governance.services.policies import publish
from governance.services.signing import Proven, reauthenticate, require_a_person, require_two_people
from pipelines.spec.errors import SpecErrors
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError, InvalidError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record

MAX_REASON = 5000


@transaction.atomic
def draft(*, acting_user: User, text: str) -> PolicyDraft:
    """Begin a draft. Its base is the version of that name that is current now.

    Raises DeniedError, InvalidError (text, with every error by line and field), ConflictError (the name is that of a
    policy of another tier).
    """
    access.require(acting_user, Action.DRAFT_POLICY)
    policy = _parsed(text)
    base = policies.current(policy.key)
    _keeps_its_tier(policy.key, policy.tier, base)
    made = PolicyDraft.objects.create(
        name=policy.key, text=text, content=policy.content(), digest=policy.digest, base=base, author=acting_user
    )
    _record(Event.POLICY_DRAFTED, acting_user, made, {"policy": made.digest, "name": made.name})
    return made


@transaction.atomic
def change(*, acting_user: User, row: PolicyDraft, text: str) -> PolicyDraft:
    """Another text for a draft, on the version that is current now. Signatures under the earlier text count no more.

    Raises DeniedError, InvalidError (text, as ``draft``; or another name), ConflictError (published or withdrawn).
    """
    access.require(acting_user, Action.DRAFT_POLICY)
    locked = _lock(row)
    policy = _parsed(text)
    if policy.key != locked.name:
        raise InvalidError(f"This draft is of the policy {locked.name}; begin another for {policy.key}.", field="text")
    base = policies.current(policy.key)
    _keeps_its_tier(policy.key, policy.tier, base)
    was = locked.digest
    locked.text, locked.content, locked.digest, locked.base = text, policy.content(), policy.digest, base
    locked.changed_at = timezone.now()
    locked.save(update_fields=["text", "content", "digest", "base", "changed_at"])
    _record(Event.POLICY_DRAFT_CHANGED, acting_user, locked, {"was": was, "policy": locked.digest})
    return locked


@transaction.atomic
def withdraw(*, acting_user: User, row: PolicyDraft) -> PolicyDraft:
    """Give a draft up. Raises DeniedError, ConflictError."""
    access.require(acting_user, Action.DRAFT_POLICY)
    locked = _lock(row)
    locked.state = DraftState.WITHDRAWN
    locked.save(update_fields=["state"])
    _record(Event.POLICY_DRAFT_WITHDRAWN, acting_user, locked, {"policy": locked.digest})
    return locked


def sign(
    *,
    acting_user: User,
    row: PolicyDraft,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> DraftSignature:
    """Sign a draft as it is; the second signature publishes it.

    It takes a validator and a risk officer of all systems, two different people; the author may be one of them.
    ``password`` and the rest: see ``signing.reauthenticate``.

    Raises DeniedError (no such role, a token, signed already, a wrong password, one hand under two names), InvalidError
    (reason), ConflictError (not open; another version was published since it was written; the role's seat is taken).
    """
    text = _reason(reason)
    require_a_person(acting_user)
    access.require(acting_user, Action.SIGN_POLICY)
    selectors.seat_for(acting_user, _open(row))
    subject = urn("policy-draft", row.pk)
    proven = reauthenticate(acting_user, password, subject=subject, system="", code=code, passkey=passkey)
    with decision_on_record():
        locked = _lock(row)
        _still_current(locked)
        role = selectors.seat_for(acting_user, locked)
        others = {one.signer: one.method for one in selectors.counted(locked)}
        require_two_people(acting_user, proven.method, builders=set(), others=others)
        made = _sign(acting_user, locked, reason=text, role=role, proven=proven)
        if others:
            _publish(acting_user, locked)
    return made


def assign(
    *,
    acting_user: User,
    system: AISystem,
    policy: str,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
) -> PolicyAssignment | None:
    """Put a system under a policy for its use, or with an empty name back under that of its tier (returns None).

    Approvals and open reviews of the system bound the policy before, so they hold no more. Raises DeniedError,
    InvalidError (policy: unknown, or of a lower tier than the system; reason), ConflictError (under it already).
    """
    text = _reason(reason)
    require_a_person(acting_user)
    access.require(acting_user, Action.ASSIGN_POLICY, system)
    subject = urn("system", system.pk)
    reauthenticate(acting_user, password, subject=subject, system=system.slug, code=code, passkey=passkey)
    with decision_on_record():
        locked = AISystem.objects.select_for_update().get(pk=system.pk)
        _can_be_under(locked, policy)
        before = PolicyAssignment.objects.filter(system=locked, ended_at=None).first()
        if (before.policy if before else "") == policy:
            raise ConflictError(f"{locked.slug} is under {policy or 'the policy of its tier'} already.")
        if before is not None:
            before.ended_at = timezone.now()
            before.save(update_fields=["ended_at"])
        made = None
        if policy:
            made = PolicyAssignment.objects.create(system=locked, policy=policy, reason=text, assigned_by=acting_user)
        record(
            Event.POLICY_ASSIGNED if policy else Event.POLICY_UNASSIGNED,
            acting_user=acting_user,
            subject=subject,
            system=locked.slug,
            payload={"policy": policy, "was": before.policy if before else "", "reason": text},
        )
    return made


def _can_be_under(system: AISystem, name: str) -> None:
    if not name:
        return
    version = policies.current(name)
    policy = version.policy if version else builtin(name) if name in BUILTIN else None
    if policy is None or name in TIERS:
        raise InvalidError(f"There is no policy for a use that is named {name!r}.", field="policy")
    if TIERS.index(policy.tier) > TIERS.index(policies.tier_of(system)):
        raise InvalidError(
            f"{system.slug} is of the tier {system.tier}, and the {name} policy is made for {policy.tier}: a use never "
            "makes it easier than the tier does.",
            field="policy",
        )


def _parsed(text: str) -> Any:
    try:
        return texts.policy_of(text)
    except SpecErrors as errors:
        listed = [error.as_dict() for error in errors.errors]
        raise InvalidError(str(errors), field="text", extra={"errors": listed}) from None


def _keeps_its_tier(name: str, tier: str, base: PolicyVersion | None) -> None:
    if base is not None and base.tier != tier:
        raise ConflictError(f"The {name} policy is one of the tier {base.tier}, and stays one; take another name.")


def _open(row: PolicyDraft) -> PolicyDraft:
    if not row.is_open:
        raise ConflictError(f"This draft is {row.state} already.")
    return row


def _lock(row: PolicyDraft) -> PolicyDraft:
    """The draft as it is stored now, held. Raises ConflictError unless it is open."""
    return _open(selectors.drafts().select_for_update(of=("self",)).get(pk=row.pk))


def _still_current(row: PolicyDraft) -> None:
    """Raise ConflictError where another version was published since the draft was written."""
    now = policies.current(row.name)
    if (now.pk if now else None) != row.base_id:
        raise ConflictError(
            f"{now} was published since this draft was written, so nobody has seen what it would change. Save the "
            "draft again: it then follows that version, and is signed anew."
        )


def _sign(acting_user: User, row: PolicyDraft, *, reason: str, role: str, proven: Proven) -> DraftSignature:
    made = DraftSignature(
        draft=row,
        signer=acting_user,
        role=role,
        reason=reason,
        printed_name=acting_user.full_name,
        policy_digest=row.digest,
        base_digest=row.base.digest if row.base else "",
        signed_at=timezone.now(),
        reauthenticated_at=proven.at,
        method=proven.method,
    )
    made.digest = records.signature_digest(made)
    try:
        with transaction.atomic():
            made.save(force_insert=True)
    except IntegrityError:
        raise ConflictError("You have signed exactly this already.") from None
    told = {"signature": str(made.pk), "digest": made.digest, "role": role, "policy": made.policy_digest}
    _record(Event.POLICY_DRAFT_SIGNED, acting_user, row, told)
    return made


def _publish(acting_user: User, row: PolicyDraft) -> None:
    signed = [one.digest for one in selectors.counted(row)]
    version = publish(row.policy, acting_user=acting_user, signed={"draft": str(row.pk), "signatures": signed})
    if version is None:
        raise ConflictError(
            f"Another version of the tier {row.policy.tier} was published at this moment; look at it, and sign again."
        )
    row.state, row.published = DraftState.PUBLISHED, version
    row.save(update_fields=["state", "published"])


def _reason(text: str) -> str:
    cleaned = text.strip()
    if not cleaned:
        raise InvalidError("A signature needs a reason, in your own words.", field="reason")
    if len(cleaned) > MAX_REASON or "\x00" in cleaned:
        raise InvalidError(f"A reason is a text of at most {MAX_REASON:,} characters.", field="reason")
    return cleaned


def _record(event: Event, acting_user: User, row: PolicyDraft, payload: Mapping[str, Any]) -> None:
    record(event, acting_user=acting_user, subject=urn("policy-draft", row.pk), payload=payload)
