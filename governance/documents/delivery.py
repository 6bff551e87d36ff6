"""Handing a document to a person: an attachment, verified, and on record."""

from __future__ import annotations

from collections.abc import Iterator

from django.utils.http import quote_etag

from governance.documents import selectors
from governance.documents.models import Export
from security.errors import ConflictError
from security.identity.models import User
from security.vault import delivery
from security.vault import services as vault
from security.vault.models import Artifact


def artifact_of(export: Export) -> Artifact:
    """What an export became. Raises ConflictError while it is not made, ShreddedError."""
    if export.artifact is None:
        told = export.error or "It is being made; ask again in a second."
        raise ConflictError(told, extra={"state": export.state})
    vault.require_readable(export.artifact)
    return export.artifact


def pieces(*, acting_user: User, export: Export) -> Iterator[bytes]:
    """The verified bytes, with their event in the log. The caller has checked EXPORT. Raises as ``vault.delivery``."""
    return delivery.deliver(acting_user=acting_user, artifact=artifact_of(export)).pieces


def headers(export: Export) -> dict[str, str]:
    """An attachment that no browser opens by itself, whatever is in it."""
    artifact = artifact_of(export)
    return {
        "Content-Type": selectors.media_type(export),
        "Content-Length": str(artifact.size),
        "Content-Disposition": f'attachment; filename="{selectors.filename(export)}"',
        "X-Content-Type-Options": "nosniff",
        "ETag": quote_etag(artifact.digest),
    }
