"""The pure rules: gates, seats, policies, subjects, and the framework's catalogue."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance import frameworks, rules, subjects
from governance.policy import BUILTIN, TIERS, ApprovalStep, Policy, Requirement, beyond_limits, builtin, limits
from pipelines.steps import registry
from security.measurement import Verdict

PASS, FAIL, OPEN = "pass", "fail", "inconclusive"


def requirement(must: str, subjects: str = "every") -> Requirement:
    return Requirement(kind="holdout_metrics", must=must, subjects=subjects, question="?", why="!")


@pytest.mark.parametrize(
    ("must", "subjects", "verdicts", "expected"),
    [
        ("pass", "every", [], OPEN),
        ("pass", "every", [PASS], PASS),
        ("pass", "every", [PASS, FAIL], FAIL),
        ("pass", "every", [PASS, OPEN], OPEN),
        ("pass", "every", [""], OPEN),
        ("pass", "every", ["PASSED"], OPEN),
        ("pass", "any", [FAIL, PASS], PASS),
        ("pass", "any", [FAIL, OPEN], FAIL),
        ("pass", "any", [], OPEN),
        ("exist", "every", [], OPEN),
        ("exist", "every", [FAIL], PASS),
        ("pass-if-present", "every", [], PASS),
        ("pass-if-present", "every", [OPEN], OPEN),
        ("pass-if-present", "every", [PASS, FAIL], FAIL),
    ],
)
def test_what_a_gate_says(must, subjects, verdicts, expected):
    assert rules.gate_verdict(requirement(must, subjects), verdicts) == Verdict(expected)


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 2)), max_size=3, unique_by=lambda seat: seat[0]),
    st.dictionaries(st.sampled_from("abc"), st.sets(st.integers(0, 4), max_size=4)),
)
def test_enough_people_agrees_with_trying_every_seating(seats, eligible):
    steps = [SimpleNamespace(role=role, people=people) for role, people in seats]
    chairs = [role for role, people in seats for _ in range(people)]
    seatings = permutations(range(5), len(chairs)) if len(chairs) <= 5 else ()
    possible = any(all(p in eligible.get(c, ()) for p, c in zip(order, chairs, strict=True)) for order in seatings)
    assert rules.enough_people(steps, eligible) == possible


@pytest.mark.parametrize("tier", BUILTIN)
def test_the_built_in_policies_ask_for_known_evidence_that_steps_can_make(tier):
    policy = builtin(tier)
    made = {kind for step in registry().values() for kind in step.evidence}
    kinds = {rule.kind for rule in policy.evidence}
    assert kinds <= set(frameworks.evidence_kinds())
    assert {rule.kind for rule in policy.evidence if rule.must != "pass-if-present"} <= made
    assert Policy.model_validate(policy.content()).digest == policy.digest
    assert policy.key == tier
    assert beyond_limits(policy) == []


def test_a_higher_tier_is_never_easier():
    """Whatever passes the high policy passes the others, needs no fewer people, and holds no longer."""
    high, medium, low = (builtin(tier) for tier in TIERS)
    rank = {"pass-if-present": 0, "exist": 0, "pass": 1}
    for stricter, looser in ((high, medium), (medium, low)):
        assert stricter.validity_days < looser.validity_days
        assert {step.role for step in looser.approvals} <= {step.role for step in stricter.approvals}
        needed = {rule.kind: rank[rule.must] for rule in stricter.evidence}
        assert all(needed[rule.kind] >= rank[rule.must] for rule in looser.evidence)
    assert [policy.validity_days for policy in (high, medium, low)] == [180, 365, 730]
    assert [limits()[tier].validity_days for tier in TIERS] == [180, 365, 730]
    assert [step.role for step in high.approvals] == ["validator", "risk-officer"]


@pytest.mark.parametrize(
    "change",
    [
        {"evidence": []},
        {"approvals": []},
        {"approvals": [{"role": "validator", "people": 0, "why": ""}]},
        {"approvals": [{"role": "validator", "people": 1, "why": ""}] * 2},
        {"approvals": [{"role": "admin", "people": 1, "why": ""}]},
        {"validity_days": 0},
        {"shortcut": True},
        {"name": ""},
        {"name": "low"},
        {"format": 1},
        {"format": 3},
        {"deadline_days": 0},
        {"waivers": {"max_days": 0, "renewals": 0}},
        {"conditions": [{"text": "", "days": 1}]},
    ],
)
def test_a_policy_that_would_let_everything_through_is_refused(change):
    with pytest.raises(ValidationError):
        Policy.model_validate({**builtin("high").content(), **change})


def subject(**changes: object) -> dict[str, object]:
    given = {
        "system": "credit",
        "model": {"name": "m", "number": 1, "digest": "a" * 64},
        "data": [("b" * 64, "table"), ("c" * 64, "source")],
        "evidence": [("k", "a" * 64, "d" * 64)],
        "policy": {"tier": "high", "digest": "e" * 64},
    }
    return subjects.build(**{**given, **changes})


def test_the_subjects_digest_is_this_one_for_good():
    """A changed form would void every approval ever given; a new form needs a new format name."""
    assert subjects.digest(subject()) == "af2a4c02e9349560b193201545f74cc1d5b288ab57492afa811349d1d30ee30a"


def test_order_and_repetition_do_not_change_a_subject():
    again = [("c" * 64, "source"), ("b" * 64, "table"), ("b" * 64, "table")]
    assert subjects.digest(subject(data=again)) == subjects.digest(subject())


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("system", "other"),
        ("model", {"name": "m", "number": 2, "digest": "a" * 64}),
        ("model", {"name": "m", "number": 1, "digest": "f" * 64}),
        ("data", [("b" * 64, "table")]),
        ("evidence", []),
        ("evidence", [("k", "a" * 64, "f" * 64)]),
        ("policy", {"tier": "high", "digest": "f" * 64}),
    ],
)
def test_any_change_gives_another_digest_and_is_named(part, value):
    before, after = subject(), subject(**{part: value})
    assert subjects.digest(before) != subjects.digest(after)
    assert subjects.changes(before, after) == [part]


# ----------------------------------------------------------------------------------------------------- frameworks


def result(kind: str, verdict: str = PASS) -> SimpleNamespace:
    return SimpleNamespace(kind=kind, verdict=verdict)


def test_the_catalogue_holds_the_72_subcategories_of_the_four_functions():
    found = frameworks.subcategories()
    assert len({row.id for row in found}) == len(found) == 72
    counts = {
        function: sum(row.function == function for row in found) for function in ("GOVERN", "MAP", "MEASURE", "MANAGE")
    }
    assert counts == {"GOVERN": 19, "MAP": 18, "MEASURE": 22, "MANAGE": 13}
    assert all(kind in frameworks.evidence_kinds() for row in found for kind in row.evidence)


def test_without_evidence_nothing_is_supported():
    states = [row.state for row in frameworks.coverage([])]
    assert len(states) == 72
    assert set(states) == {"missing", "needs-attestation"}
    assert states.count("needs-attestation") == 2


def test_every_state_follows_from_support_attestation_and_verdicts():
    rows = {row.id: row for row in frameworks.subcategories()}
    strong = next(row for row in rows.values() if (row.support, row.attestation) == ("strong", False))
    human = next(row for row in rows.values() if (row.support, row.attestation) == ("partial", True))
    assert frameworks.state_of(strong, [PASS, PASS]) == "supported"
    assert frameworks.state_of(strong, [PASS, FAIL]) == "partial"
    assert frameworks.state_of(strong, [OPEN]) == "partial"
    assert frameworks.state_of(strong, []) == "missing"
    assert frameworks.state_of(human, [PASS]) == "needs-attestation"
    assert frameworks.state_of(human, [FAIL]) == "partial"


def test_coverage_lists_the_evidence_that_speaks_for_an_outcome():
    attack = result("adversarial_eval")
    covered = [row for row in frameworks.coverage([attack]) if row.evidence]
    assert [row.subcategory.id for row in covered] == ["MEASURE 2.7"]
    assert covered[0].evidence == (attack,)


def test_a_step_of_two_people_needs_two():
    step = ApprovalStep(role="validator", people=2, why="")
    assert not rules.enough_people([step], {"validator": ["a"]})
    assert rules.enough_people([step], {"validator": ["a", "b"]})
