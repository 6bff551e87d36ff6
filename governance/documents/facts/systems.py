"""Facts about systems: the technical documentation of Annex IV, and the profile against the NIST AI RMF."""

from __future__ import annotations

import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

from django.db.models import QuerySet

from governance import frameworks
from governance.documents.facts import cards, models, parts
from governance.models import Vote
from governance.selectors import evidence, model_pages
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.models import Evidence, ModelVersion
from security.access.models import AISystem
from security.canonical import digest_of

_ANNEX_IV = Path(__file__).parents[1] / "catalogues" / "annex_iv.json"
RUN = ("step_run__run__version__pipeline", "step_run__run__created_by", "created_by", "model__system__owner")
LONG = ("step_run__log", "step_run__run__version__source", "step_run__run__version__canonical")


def versions() -> QuerySet[ModelVersion]:
    """Model versions with all that ``cards`` needs, newest first."""
    rows = ModelVersion.objects.select_related(*MODEL_VERSION_RELATED, *RUN)
    return rows.defer(*LONG).order_by("-created_at")


def technical_documentation(system: AISystem) -> dict[str, Any]:
    """What the record says to each item of Annex IV: the versions that stand for the system, their data, results and
    signatures, and everybody who holds a role in it."""
    catalogue = annex_iv()
    standing = standing_versions(system)
    rows = Vote.objects.filter(review__model_version__in=standing).select_related("review").order_by("signed_at", "pk")
    return {
        "catalogue": {"digest": digest_of(catalogue), **catalogue},
        "inventory": models.inventory(system)["models"],
        "cards": cards.cards(standing),
        "signatures": [parts.vote(vote) for vote in rows],
        "people": [
            {**parts.person(user), "roles": sorted({str(grant.role) for grant in grants})}
            for user, grants in model_pages.people_of(system)
        ],
    }


def risk_profile(system: AISystem) -> dict[str, Any]:
    """The outcomes of the NIST AI RMF 1.0, and which results of the versions that stand for it speak for each."""
    standing = standing_versions(system)
    found = evidence.found_for(standing, whole=True)
    unique = {row.digest: row for now in found.values() for row in now.evidence}
    ordered: list[Evidence] = sorted(unique.values(), key=lambda row: (row.kind, row.created_at, row.pk))
    covered = frameworks.coverage(ordered)
    return {
        "framework": {"name": "NIST AI RMF 1.0", "source": "NIST AI 100-1, tables 1 to 4; titles in our own words"},
        "versions": [parts.version(version) for version in standing],
        "counts": dict(Counter(str(row.state) for row in covered)),
        "outcomes": [
            {
                "id": row.subcategory.id,
                "function": row.subcategory.function,
                "title": row.subcategory.title,
                "state": str(row.state),
                "why": row.subcategory.why,
                "kinds": list(row.subcategory.evidence),
                "attestation": row.subcategory.attestation,
                "evidence": [
                    {"kind": one.kind, "verdict": one.verdict, "digest": one.digest, "at": parts.time(one.created_at)}
                    for one in row.evidence
                ],
            }
            for row in covered
        ],
    }


def standing_versions(system: AISystem) -> list[ModelVersion]:
    """The version of each model that stands for it: the one in use, or where none is the newest; by model."""
    lines = model_pages.model_lines(model_pages.models().filter(system=system).order_by("name"))
    chosen = [line.in_use or line.latest for line in lines]
    keys = [one.version.pk for one in chosen if one is not None]
    return sorted(versions().filter(pk__in=keys), key=lambda version: version.model.name)


@cache
def annex_iv() -> dict[str, Any]:
    """The items of Annex IV as data, and what of the record answers each."""
    found: dict[str, Any] = json.loads(_ANNEX_IV.read_text(encoding="utf-8"))
    return found
