"""Lineage with the decisions in it."""

from __future__ import annotations

from governance.lineage import graph
from governance.models import Approval
from governance.services.reviews import revoke, submit, vote
from security.canonical import urn
from tests.support.models import make_model_version
from tests.support.people import PASSWORD, People


def test_a_models_lineage_leads_on_to_its_review_votes_and_approval(people: People):
    version = make_model_version(people.system, people.engineer)
    review = submit(acting_user=people.engineer, model_version=version)
    for user in (people.validator, people.risk_officer):
        vote(acting_user=user, review=review, decision="approve", reason="Sound.", password=PASSWORD)
    found = graph(version.artifact)
    by_kind = {kind: [node for node in found.nodes if node.kind == kind] for kind in ("review", "vote", "approval")}
    assert [node.state for node in by_kind["review"]] == ["approved"]
    assert sorted(node.label for node in by_kind["vote"]) == ["Rosa Risk, risk officer", "Vera Validator, validator"]
    assert [node.state for node in by_kind["approval"]] == ["active"]
    bound = [edge for edge in found.edges if edge.target == urn("review", review.pk) and edge.role == "is bound by"]
    assert len(bound) == 9
    ids = {node.id for node in found.nodes}
    assert {end for edge in found.edges for end in (edge.source, edge.target)} <= ids
    revoke(acting_user=people.validator, approval=Approval.objects.get(), reason="Drift.", password=PASSWORD)
    assert [node.state for node in graph(version.artifact).nodes if node.kind == "approval"] == ["revoked"]
