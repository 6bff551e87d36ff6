"""Whether a waiver has effect now: it is active, and what it was given for is still the same."""

from __future__ import annotations

from dataclasses import dataclass

from governance.models import Review
from governance.selectors import evidence
from governance.selectors.evidence import MODEL_VERSION_RELATED
from governance.waivers.models import Waiver
from pipelines.models import ModelVersion


@dataclass(frozen=True)
class Standing:
    """Where a waiver stands: its state, and whether what it was given for is still the same."""

    state: str
    same: bool

    @property
    def has_effect(self) -> bool:
        """Whether it lets a gate be broken now."""
        return self.state == "active" and self.same


def standing(row: Waiver) -> Standing:
    """Where a waiver stands now."""
    version = ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).get(pk=row.model_version_id)
    return Standing(row.state(), evidence.found(version).digest == row.subject_digest)


def reviews_resting_on(row: Waiver) -> list[Review]:
    """The reviews whose approval was issued because of a waiver."""
    return list(Review.objects.filter(approval__waiver_uses__waiver=row).select_related("model_version__model"))
