"""A model version in review, and one that was approved."""

from __future__ import annotations

import pytest

from governance.models import Review
from governance.services.reviews import submit, vote
from pipelines.models import ModelVersion
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


@pytest.fixture
def review(people: People) -> Review:
    version = make_model_version(people.system, people.engineer)
    return submit(acting_user=people.engineer, model_version=version, note="please")


@pytest.fixture
def approved(people: People) -> ModelVersion:
    """A model version with an approval that two people signed."""
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version, note="ready")
    for user in (people.validator, people.risk_officer):
        vote(acting_user=user, review=review, decision="approve", reason="Sound evidence.", password=PASSWORD)
    return version
