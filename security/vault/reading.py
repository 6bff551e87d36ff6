"""Reading rows of artifacts; their bytes come from ``delivery`` and ``services``."""

from __future__ import annotations

from django.db.models import QuerySet

from security.vault.models import Artifact, VaultFinding


def artifacts() -> QuerySet[Artifact]:
    """Artifacts with their system, newest first, without the wrapped keys."""
    return Artifact.objects.select_related("system").defer("wrapped_key").order_by("-created_at")


def findings() -> QuerySet[VaultFinding]:
    """Findings with their artifact and its system, newest first."""
    rows = VaultFinding.objects.select_related("artifact__system").defer("artifact__wrapped_key")
    return rows.order_by("-opened_at")
