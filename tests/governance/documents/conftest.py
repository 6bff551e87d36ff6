"""Documents of an approved model version, and how their bytes are read."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pypdf
import pytest
from django.utils import timezone

from governance.documents.kinds import KINDS
from governance.documents.models import Export
from governance.models import Approval, Review
from pipelines.models import DatasetVersion, ModelVersion
from security.vault import services as vault
from tests.support.documents import make_export
from tests.support.people import People


@pytest.fixture
def subjects(approved: ModelVersion, people: People) -> dict[str, Any]:
    """What a document can be about, by its noun."""
    return {
        "system": people.system.slug,
        "model-version": approved.pk,
        "dataset-version": DatasetVersion.objects.get().pk,
        "review": Review.objects.get().pk,
        "approval": Approval.objects.get().pk,
    }


PERIOD = {"since": datetime(2020, 1, 1, tzinfo=UTC), "until": datetime(2100, 1, 1, tzinfo=UTC)}


def made(people: People, kind: str, subjects: dict[str, Any], format: str = "json") -> Export:
    """A document of a kind about the subject that there is, by the auditor, over all time."""
    known = KINDS[kind]
    moments = {name: PERIOD.get(name) or timezone.now() for name in known.takes}
    return make_export(people.auditor, kind, subjects[known.noun.word], format, **moments)


def content(export: Export) -> bytes:
    """The bytes of a document that was made."""
    assert export.artifact is not None, export.error
    return vault.read(export.artifact)


def text_of(data: bytes) -> str:
    """All words of a PDF, without the white space between them (a line may break anywhere)."""
    pages = pypdf.PdfReader(io.BytesIO(data)).pages
    return "".join("".join(page.extract_text().replace("\u200b", "").split()) for page in pages)
