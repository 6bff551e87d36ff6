"""The examples run end to end, and say what they are meant to say."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.breast_cancer import write_breast_cancer
from examples.credit_applications import write_credit_applications
from security.measurement import Verdict
from tests.examples.driver import run_example
from tests.support.real_data import real_data


@pytest.fixture
def census() -> Path:
    """The folder with adult.csv; skips when it is not there."""
    return real_data("adult.csv").parent


def test_breast_cancer_passes_its_checks(tmp_path: Path) -> None:
    write_breast_cancer(tmp_path)
    ran = run_example("breast-cancer", tmp_path, tmp_path)
    assert {n: r.verdict for n, r in ran.results.items() if r.verdict} == {
        "check": Verdict.PASS,
        "evaluate": Verdict.PASS,
        "evasion": Verdict.PASS,
        "poisoning": Verdict.PASS,
    }
    assert ran.results["register"].register is not None


def test_breast_cancer_run_twice_is_the_same_model(tmp_path: Path) -> None:
    write_breast_cancer(tmp_path)
    first, again = (run_example("breast-cancer", tmp_path, tmp_path) for _ in range(2))
    assert first.results["register"].outputs["report"] == again.results["register"].outputs["report"]


def test_the_census_model_is_accurate_and_fails_on_the_gap_between_groups(census: Path, tmp_path: Path) -> None:
    ran = run_example("adult-income", census, tmp_path)
    verdicts = {n: r.verdict for n, r in ran.results.items() if r.verdict}
    evasion = verdicts.pop("evasion")  # close to its rule: another seed or library may fall on the other side
    assert evasion in {Verdict.PASS, Verdict.FAIL}
    passed = {"check", "evaluate", "poisoning"}
    assert verdicts == {"slices": Verdict.FAIL} | dict.fromkeys(passed, Verdict.PASS)
    (gap,) = [m for m in ran.results["slices"].measurements if m.name == "tpr_gap" and len(m.slice) == 2]
    assert gap.value is not None
    assert gap.value > 0.1
    assert gap.interval is not None
    assert gap.interval.low > 0
    assert ran.results["register"].register is not None


@pytest.mark.parametrize(("batch", "verdict"), [("1", Verdict.PASS), ("2", Verdict.FAIL)])
def test_flips_and_shift_are_found_in_the_second_credit_batch_and_not_in_the_first(
    batch: str, verdict: Verdict, tmp_path: Path
) -> None:
    write_credit_applications(tmp_path)
    ran = run_example("credit-applications", tmp_path, tmp_path, {"applications": f"credit-applications-{batch}.csv"})
    assert ran.results["poisoning"].verdict is verdict
    assert ran.results["drift"].verdict is verdict
    shifted = {m.slice["column"] for m in ran.results["drift"].measurements if m.name == "psi" and (m.value or 0) > 0.2}
    assert shifted == ({"income"} if batch == "2" else set())
    assert ran.results["register"].register is not None, "a failed check does not stop the run"
    features = ran.results["register"].outputs["report"]["features"]
    assert not {"full_name", "email", "phone", "ssn", "card_number", "note", "sex", "region"} & set(features)
