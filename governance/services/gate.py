"""Asking the deploy gate, on record."""

from __future__ import annotations

from django.db import transaction

from governance.selectors import gate
from security.canonical import urn
from security.identity.models import User
from security.log.events import Event
from security.log.services import record


def ask(*, acting_user: User, digest: str, environment: str) -> gate.Answer:
    """The gate's answer, with its event in the log: who asked, for what, and what was said.

    The event belongs to the system of the version that was found, to none where nothing was.
    """
    with transaction.atomic():
        answer = gate.decide(acting_user, digest, environment)
        first = answer.approval.model_version if answer.approval else next(iter(answer.model_versions), None)
        record(
            Event.GATE_ASKED,
            acting_user=acting_user,
            subject=urn("model-version", first.pk) if first else urn("digest", digest),
            system=first.model.system.slug if first else "",
            payload={
                "digest": digest,
                "environment": environment,
                "allowed": answer.allowed,
                "approval": str(answer.approval.pk) if answer.approval else "",
            },
        )
    return answer
