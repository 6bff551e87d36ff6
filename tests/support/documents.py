"""A document that was asked for and made, without a worker."""

from __future__ import annotations

from typing import Any

from governance.documents import services
from governance.documents.models import Export
from security.identity.models import User


def make_export(user: User, kind: str, subject: Any, format: str = "json", **more: Any) -> Export:
    """Ask as ``user``, and make it here where a worker would."""
    given = {"purpose": "yearly audit", **more}
    export = services.request(acting_user=user, kind=kind, subject=str(subject), format=format, **given)
    services.make(export.pk)
    export.refresh_from_db()
    return export
