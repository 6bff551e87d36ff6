"""The made-up applications: the same bytes each time, nobody's numbers, and something to learn and to find."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.credit_applications import BATCHES, COLUMNS, main, write_credit_applications
from security.privacy.recognisers import luhn

NUMBERS = ["age", "employment_years", "income", "debt", "requested_amount", "late_payments"]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_credit_applications(tmp_path_factory.mktemp("credit"))


def frame(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype={"card_number": str})


def digests(paths: dict[str, Path]) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths.values()}


def test_same_seed_gives_the_same_bytes(paths: dict[str, Path], tmp_path: Path) -> None:
    assert digests(write_credit_applications(tmp_path / "again")) == digests(paths)
    other = digests(write_credit_applications(tmp_path / "other", seed=1))
    assert all(other[name] != digest for name, digest in digests(paths).items())


@pytest.mark.parametrize("batch", BATCHES, ids=lambda batch: batch.name)
def test_nobodys_numbers(paths: dict[str, Path], batch: object) -> None:
    table = frame(paths[batch.name])
    assert len(table) == batch.rows
    assert tuple(table.columns) == COLUMNS
    assert set(table["made_up"]) == {"made up"}
    assert table["email"].str.fullmatch(r"[a-z.0-9]+@example\.(org|com|net)").all()
    assert table["phone"].str.fullmatch(r"\(\d{3}\) 555-01\d\d").all()
    assert table["ssn"].str.fullmatch(r"9\d\d-[1-4]\d-\d{4}").all()
    assert table["card_number"].map(luhn).all()
    assert table["card_number"].str.match("411111|555555|400000|510510").all()
    assert table[["application_id", "ssn", "card_number"]].nunique().eq(len(table)).all()


def test_notes_speak_of_their_own_person(paths: dict[str, Path]) -> None:
    table = frame(paths["1"])
    named = sum(
        bool(re.search(rf"\b({'|'.join(name.split())})\b", note))
        for name, note in zip(table["full_name"], table["note"], strict=True)
    )
    assert 0.8 < named / len(table) < 0.95


def test_labels_can_be_learnt_except_where_they_were_flipped(paths: dict[str, Path]) -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    scores = {
        name: cross_val_score(
            model, frame(paths[name])[NUMBERS], frame(paths[name])["defaulted"], scoring="roc_auc"
        ).mean()
        for name in ("reference", "1", "2")
    }
    assert 0.78 < scores["reference"] < 0.86
    assert 0.78 < scores["1"] < 0.86
    assert scores["2"] < scores["1"] - 0.05


def test_truth_lists_the_flips_and_the_shift_is_there(paths: dict[str, Path]) -> None:
    truth = {batch["name"]: batch for batch in json.loads(paths["truth"].read_text())["batches"]}
    assert [len(truth[name]["flipped"]) for name in ("reference", "1", "2")] == [0, 0, 400]
    assert set(truth["2"]["flipped"]) <= set(frame(paths["2"])["application_id"])
    ratio = frame(paths["2"])["income"].median() / frame(paths["reference"])["income"].median()
    assert 1.25 < ratio < 1.45
    same = frame(paths["1"])["income"].median() / frame(paths["reference"])["income"].median()
    assert 0.95 < same < 1.05


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
    assert main([str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out").iterdir())) == 4
