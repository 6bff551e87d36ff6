"""The sentence that a version is decided by."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from governance import sentences
from governance.policy import builtin
from governance.selectors.evidence import Gate
from security.measurement import Verdict

UNTIL = datetime(2027, 5, 3, 23, 30, tzinfo=UTC)


def gate(kind: str, verdict: Verdict, *, present: bool = True, must: str = "pass") -> Gate:
    return Gate(kind, must, f"{kind}?", "why", verdict, "1 fail", (object(),) if present else ())  # type: ignore[arg-type]  # only its presence is asked for


GOOD = [gate("holdout_metrics", Verdict.PASS), gate("data_profile", Verdict.PASS)]
BAD = [*GOOD, gate("slice_metrics", Verdict.FAIL), gate("adversarial_eval", Verdict.INCONCLUSIVE, present=False)]


def test_before_submission():
    said = sentences.undecided(GOOD, 2, submitted=False)
    assert said.headline == "2 of 2 gates pass; not submitted for review; approval will need 2 signatures"
    assert said.verdict == ""  # gates that pass approve nothing


def test_in_review_with_what_fails_and_what_is_missing():
    said = sentences.undecided(BAD, 1, submitted=True)
    assert said.headline == "2 of 4 gates pass; it cannot be approved as it stands; approval needs 1 signature more"
    assert said.verdict == "fail"
    assert said.parts == ("fails: slice metrics", "missing: adversarial eval")


@pytest.mark.parametrize(
    ("status", "verdict", "words"),
    [
        ("active", "pass", "Approved until 3 May 2027; 2 of 2 gates pass"),
        ("void", "fail", "The approval no longer holds: the data and the evidence changed after it was signed"),
        ("revoked", "fail", "The approval was revoked"),
        ("expired", "fail", "The approval ran out on 3 May 2027"),
    ],
)
def test_after_an_approval(status, verdict, words):
    said = sentences.held(status, UNTIL, GOOD, ["data", "evidence"])
    assert (said.verdict, said.headline) == (verdict, words)


def test_after_a_review_without_one():
    assert sentences.closed("rejected", BAD, []).headline == "Rejected; 2 of 4 gates pass"
    assert "the policy changed" in sentences.closed("superseded", GOOD, ["policy"]).headline
    assert sentences.closed("something-new", GOOD, []).headline.startswith("Something new")


def test_what_a_policy_needs_and_what_only_must_exist():
    assert sentences.needed(builtin("high")) == "1 validator and 1 risk officer"
    assert sentences.reason(gate("training_config", Verdict.PASS, must="exist")) == "on record"
    assert sentences.reason(GOOD[0]) == "1 fail"
