"""Signed-in clients, and a model version in review."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from governance.models import Approval, Review
from governance.services.reviews import submit
from pipelines.models import ModelVersion
from security.identity.models import User
from tests.support.models import make_model_version
from tests.support.people import People
from tests.support.reviews import sign

Login = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _empty_cache() -> None:
    """The count beside “Reviews” is kept for a moment; tests share the process."""
    cache.clear()


@pytest.fixture
def login() -> Login:
    """A client in which the person is signed in."""

    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in


@pytest.fixture
def version(people: People) -> ModelVersion:
    return make_model_version(people.system, people.engineer)


@pytest.fixture
def review(people: People, version: ModelVersion) -> Review:
    return submit(acting_user=people.engineer, model_version=version, note="Look at the slices first.")


@pytest.fixture
def approval(people: People, review: Review) -> Approval:
    sign(people.validator, review)
    sign(people.risk_officer, review)
    return Approval.objects.get()
