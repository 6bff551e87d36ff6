"""Two people publishing or deciding at the same instant: threads with connections of their own, on either database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.models import PolicyVersion
from governance.policymaking import services
from governance.policymaking.models import DraftSignature, PolicyDraft
from governance.waivers import services as waivers
from governance.waivers.models import Waiver, WaiverDecision
from security.access.services import grant_role
from security.access.table import Role
from security.errors import ConflictError
from security.identity.models import User
from security.log import verification
from tests.governance.policymaking.conftest import sign, text
from tests.governance.test_races import at_once
from tests.support.databases import usable_by_threads
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


@pytest.fixture(autouse=True)
def _threads(transactional_db: None, people: People, tmp_path: Path) -> Iterator[None]:
    with usable_by_threads(tmp_path):
        yield


def officer(people: People, name: str, role: Role) -> User:
    user = people.make(name, f"{name.title()} Signer")
    grant_role(acting_user=people.admin, user=user, role=role)
    return user


def signing(user: User, row: PolicyDraft) -> Callable[[], Any]:
    return lambda: sign(user, PolicyDraft.objects.get(pk=row.pk))


def test_of_two_versions_published_at_once_one_wins_and_the_other_is_told(people):
    validator = officer(people, "val", Role.VALIDATOR)
    officers = [officer(people, name, Role.RISK_OFFICER) for name in ("ris", "rob")]
    drafts = [
        services.draft(acting_user=validator, text=text("high", "threshold: 0.6\n", f"threshold: {floor}\n"))
        for floor in (0.7, 0.8)
    ]
    for row in drafts:
        sign(validator, row)
    results = at_once(*(signing(user, row) for user, row in zip(officers, drafts, strict=True)))
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "DraftSignature"], results
    (told,) = [result for result in results if isinstance(result, ConflictError)]
    assert "published" in told.message
    assert PolicyVersion.objects.count() == 1
    assert sorted(PolicyDraft.objects.values_list("state", flat=True)) == ["open", "published"]
    assert DraftSignature.objects.count() == 3  # what the loser signed was undone with the rest
    assert verification.verify().ok


def test_of_two_officers_who_decide_on_a_waiver_at_once_one_is_told(people):
    second = people.make("rico", "Rico Risk", Role.RISK_OFFICER)
    failing = make_model_version(people.system, people.engineer, verdict="fail")
    given = {"part": "slice_metrics", "reason": "Soon.", "control": "A clerk.", "days": 9}
    row = waivers.request(acting_user=people.engineer, model_version=failing, **given)

    def deciding(user: User, decision: str) -> Callable[[], Any]:
        def work() -> WaiverDecision:
            person, same = User.objects.get(pk=user.pk), Waiver.objects.select_related("system").get(pk=row.pk)
            told = {"decision": decision, "reason": "At once.", "password": PASSWORD}
            return waivers.decide(acting_user=person, waiver=same, **told)

        return work

    results = at_once(deciding(people.risk_officer, "approve"), deciding(second, "reject"))
    assert sorted(type(result).__name__ for result in results) == ["ConflictError", "WaiverDecision"], results
    assert WaiverDecision.objects.count() == 1
