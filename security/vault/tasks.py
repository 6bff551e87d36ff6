"""Celery's entrance: periodic looks at the store."""

from __future__ import annotations

from celery import shared_task
from django.conf import settings

from security.vault import orphans, scrubbing


@shared_task(name="vault.scrub")
def scrub() -> dict[str, int]:
    """Verify for a while at the set rate, the longest unverified first."""
    done = scrubbing.scrub(rate=settings.VAULT_SCRUB_BYTES_PER_SECOND, seconds=settings.VAULT_SCRUB_SECONDS)
    return {"artifacts": done.artifacts, "bytes": done.bytes, "opened": done.opened, "closed": done.closed}


@shared_task(name="vault.collect")
def collect() -> dict[str, int]:
    """Delete old objects that no row names."""
    done = orphans.collect()
    return {"objects": done.objects, "deleted": done.deleted}
