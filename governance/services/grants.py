"""What one person can do to an approval after it was issued: stop it, for a while or for good."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils import timezone

from governance import machines, records
from governance.machines import GrantEvent
from governance.models import Approval, GrantAct, GrantActKind
from governance.selectors.approvals import APPROVAL_RELATED, status
from governance.services.common import must_see, text
from governance.services.moves import move, require_version
from governance.services.signing import Proven, reauthenticate, require_a_person
from governance.services.statements import signed_act
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.errors import ConflictError
from security.identity.models import User
from security.identity.second_factor import PasskeyAnswer
from security.log.events import Event
from security.log.services import decision as decision_on_record
from security.log.services import record


def revoke(
    *,
    acting_user: User,
    approval: Approval,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
    expected_version: int | None = None,
) -> Approval:
    """End an approval for good; one person who may is enough, because stopping must be easy.

    ``expected_version``: the ``row_version`` that the person looked at. Returns when the audit log includes it, or
    after some seconds when it does not yet.

    Raises DeniedError, InvalidError (reason), ConflictError (revoked already, or changed meanwhile).
    """
    why = text(reason, "reason")
    proven = _proven(acting_user, approval, password, code=code, passkey=passkey)
    with decision_on_record():
        locked = lock(approval)
        if locked.revoked_at is not None:
            raise ConflictError("This approval has been revoked already.")
        require_version(locked, machines.GRANT, expected_version)
        ended = {"revoked_at": timezone.now(), "revoked_by": acting_user, "revoked_reason": why}
        move(locked, machines.GRANT, GrantEvent.REVOKE, **ended)
        act = GrantAct(approval=locked, kind=GrantActKind.REVOKE, reason=why)
        act = signed_act(act, acting_user=acting_user, proven=proven)
        payload = {"digest": records.revocation_digest(locked), "act": act.digest}
        record_about(Event.APPROVAL_REVOKED, acting_user, locked, payload)
    return locked


def suspend(
    *,
    acting_user: User,
    approval: Approval,
    reason: str,
    password: str,
    code: str = "",
    passkey: PasskeyAnswer | None = None,
    expected_version: int | None = None,
) -> Approval:
    """Stop an approval until it is reinstated by everybody whose signature its policy asks for.

    One person who may revoke is enough. Arguments and errors as of ``revoke``; ConflictError too for an approval that
    does not hold anyway.
    """
    why = text(reason, "reason")
    proven = _proven(acting_user, approval, password, code=code, passkey=passkey)
    with decision_on_record():
        locked = lock(approval)
        require_version(locked, machines.GRANT, expected_version)
        now = status(locked)
        if now != "active":
            raise ConflictError(f"This approval is {now} already; there is nothing to suspend.")
        move(locked, machines.GRANT, GrantEvent.SUSPEND)
        act = GrantAct(approval=locked, kind=GrantActKind.SUSPEND, reason=why)
        act = signed_act(act, acting_user=acting_user, proven=proven)
        record_about(Event.APPROVAL_SUSPENDED, acting_user, locked, {"act": act.digest})
    return locked


def lock(approval: Approval) -> Approval:
    """The approval as it is stored now, locked until the end of the transaction."""
    return Approval.objects.select_for_update(of=("self",)).select_related(*APPROVAL_RELATED).get(pk=approval.pk)


def record_about(event: Event, acting_user: User | None, approval: Approval, payload: Mapping[str, Any]) -> None:
    """Record an event about an approval, in the caller's transaction."""
    subject, system = urn("approval", approval.pk), approval.review.system.slug
    told = {"approval": str(approval.pk), **payload}
    record(event, acting_user=acting_user, subject=subject, system=system, payload=told)


def _proven(
    acting_user: User, approval: Approval, password: str, *, code: str, passkey: PasskeyAnswer | None
) -> Proven:
    """Who may stop an approval has proved that it is them. Raises MissingError, DeniedError."""
    system = approval.review.system
    must_see(acting_user, system)
    require_a_person(acting_user)
    access.require(acting_user, Action.REVOKE, system)
    subject = urn("approval", approval.pk)
    return reauthenticate(acting_user, password, subject=subject, system=system.slug, code=code, passkey=passkey)
