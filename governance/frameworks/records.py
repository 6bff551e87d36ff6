"""The canonical form of attestations and withdrawals: what their digests in the audit log are digests of."""

from __future__ import annotations

from typing import Any

from governance.frameworks.models import Attestation, Withdrawal
from security.canonical import digest_of
from security.log.services import timestamp


def attestation_content(attestation: Attestation) -> dict[str, Any]:
    """An attestation as JSON: every part that a person signed."""
    control = attestation.control
    return {
        "id": str(attestation.pk),
        "system": attestation.system.slug,
        "catalogue": {"key": control.catalogue.key, "digest": control.catalogue.digest},
        "control": {"id": control.identifier, "digest": attestation.control_digest},
        "statement": str(attestation.statement),
        "text": attestation.text,
        "person": str(attestation.person_id),
        "printed_name": attestation.printed_name,
        "role": attestation.role,
        "signed_at": timestamp(attestation.signed_at),
        "valid_until": timestamp(attestation.valid_until),
        "reauthenticated_at": timestamp(attestation.reauthenticated_at),
        "method": attestation.method,
    }


def attestation_digest(attestation: Attestation) -> str:
    """SHA-256 of the canonical form; stands in the event ``attestation:signed``."""
    return digest_of(attestation_content(attestation))


def withdrawal_content(withdrawal: Withdrawal) -> dict[str, Any]:
    """Who ended an attestation, when and why, as JSON."""
    return {
        "id": str(withdrawal.pk),
        "attestation": str(withdrawal.attestation_id),
        "attestation_digest": withdrawal.attestation.digest,
        "reason": withdrawal.reason,
        "person": str(withdrawal.person_id),
        "printed_name": withdrawal.printed_name,
        "signed_at": timestamp(withdrawal.signed_at),
        "reauthenticated_at": timestamp(withdrawal.reauthenticated_at),
        "method": withdrawal.method,
    }


def withdrawal_digest(withdrawal: Withdrawal) -> str:
    """SHA-256 of the canonical form; stands in the event ``attestation:withdrawn``."""
    return digest_of(withdrawal_content(withdrawal))
