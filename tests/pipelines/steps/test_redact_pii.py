"""redact.pii: what is removed, what is noticed when somebody forgot a column, and what it admits not to cover."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from examples.credit_applications import write_credit_applications
from pipelines.steps import extract_csv
from pipelines.steps.contract import StepContext, StepError, StepResult
from pipelines.steps.redact_pii import STEP, Params
from security.measurement import Verdict

PERSONAL = ("full_name", "email", "phone", "ssn", "card_number")


def redact(table: pa.Table, *, secret: bytes = b"k" * 32, **params: object) -> StepResult:
    return STEP.run({"table": table}, Params(**params), StepContext(seed=1, scratch=Path(), secret=secret))


@pytest.fixture(scope="module")
def applications(tmp_path_factory: pytest.TempPathFactory) -> pa.Table:
    """The made-up applications of the quarter before."""
    folder = tmp_path_factory.mktemp("credit")
    file = write_credit_applications(folder)["reference"]
    params = extract_csv.Params(path=file.name, types={"card_number": "string"})
    return extract_csv.STEP.run({"file": file}, params, StepContext(seed=1, scratch=folder)).outputs["table"]


@pytest.fixture(scope="module")
def redacted(applications: pa.Table) -> StepResult:
    columns = {**dict.fromkeys(PERSONAL, "drop"), "note": "scan"}
    return redact(applications, columns=columns, identity_columns=PERSONAL, quasi_identifiers=("sex", "region"))


def test_nothing_personal_is_left_in_the_notes(applications: pa.Table, redacted: StepResult) -> None:
    notes = redacted.outputs["table"].column("note").to_pylist()
    named_before = 0
    for row, note in zip(applications.to_pylist(), notes, strict=True):
        for word in [*row["full_name"].split(), row["email"], row["email"].partition("@")[0]]:
            pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
            named_before += bool(pattern.search(row["note"]))
            assert not pattern.search(note)
        digits = re.sub(r"\D", "", note)
        assert not any(re.sub(r"\D", "", row[name]) in digits for name in ("phone", "ssn", "card_number"))
    assert named_before > 2000, "the notes did name their people"
    assert redacted.verdict is Verdict.PASS


def test_report_holds_counts_and_no_text(applications: pa.Table, redacted: StepResult) -> None:
    report = redacted.outputs["report"]
    shown = json.dumps(report) + repr(redacted.measurements) + redacted.summary
    for row in applications.slice(0, 300).to_pylist():
        assert not any(row[name] in shown for name in PERSONAL)
    assert {entry["entity"] for entry in report["found"]} == {"CARD_NUMBER", "EMAIL", "FULL_NAME", "PHONE", "SSN"}
    assert report["residual"]["total"] == 0
    assert "PERSON" in report["not_covered"]
    by_name = {item.name: item for item in redacted.measurements}
    assert by_name["residual_findings"].direction == "lower_is_better"
    assert by_name["k_anonymity_min"].value > 100


@pytest.mark.parametrize("forgotten", PERSONAL)
def test_a_forgotten_column_fails_the_step(applications: pa.Table, forgotten: str) -> None:
    columns = {name: "drop" for name in (*PERSONAL, "note") if name != forgotten}
    result = redact(applications.slice(0, 50), columns=columns)
    assert result.verdict is Verdict.FAIL
    assert {finding["column"] for finding in result.outputs["report"]["residual"]["findings"]} == {forgotten}
    assert forgotten in result.summary
    assert STEP.blocking


def test_numbers_and_renamed_columns_are_looked_into_too() -> None:
    table = pa.table({"x": [4111111111111111, 7], "y": ["Ada Lovelace", "-"], "who": ["Ada Lovelace", "B C"]})
    result = redact(table, columns={"who": "drop"}, identity_columns=("who",))
    findings = {
        (entry["column"], entry["entity"]): entry["rows"] for entry in result.outputs["report"]["residual"]["findings"]
    }
    assert findings == {("x", "CREDIT_CARD"): [1], ("y", "WHO"): [1]}


def test_a_telling_name_can_be_kept_on_purpose() -> None:
    table = pa.table({"name": ["espresso"], "secret": ["x"]})
    assert redact(table, columns={"secret": "drop"}).verdict is Verdict.FAIL
    assert redact(table, columns={"secret": "drop"}, keep=("name",)).verdict is Verdict.PASS


def test_names_in_free_text_without_model_or_identity_are_inconclusive() -> None:
    table = pa.table({"note": ["Ada called"]})
    assert redact(table, columns={"note": "scan"}).verdict is Verdict.INCONCLUSIVE
    assert redact(table, columns={"note": "scan"}, scan_others=False).verdict is Verdict.INCONCLUSIVE


def test_actions() -> None:
    table = pa.table({"a": ["x@example.org", None], "b": ["q", "q"], "c": [41, 58], "d": ["mail a@example.org", None]})
    result = redact(
        table, columns={"a": "token", "b": "mask", "c": "generalise", "d": "scan"}, identity_columns=("a",)
    ).outputs["table"]
    assert re.fullmatch(r"A_[0-9a-f]{32}", result.column("a")[0].as_py())
    assert result.select(["b", "c", "d"]).to_pylist() == [
        {"b": "*****", "c": "40-49", "d": "mail <EMAIL_ADDRESS>"},
        {"b": "*****", "c": "50-59", "d": None},
    ]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"columns": {"z": "drop"}}, "no column 'z'"),
        ({"columns": {"a": "drop"}, "identity_columns": ("z",)}, "no column 'z'"),
        ({"columns": {"a": "drop"}, "quasi_identifiers": ("a",)}, "no column 'a'"),
        ({"columns": {"a": "drop", "b": "drop"}}, "every column is dropped"),
        ({"columns": {"b": "generalise"}}, "no coarser form; mask or drop it"),
        ({"columns": {"a": "drop"}, "entities": ("NOTHING",)}, "no recogniser for NOTHING"),
        ({"columns": {"a": "scan"}, "spacy_model": "en_not_installed_sm"}, "is not installed"),
    ],
)
def test_mistakes_are_explained(params: dict[str, object], message: str) -> None:
    with pytest.raises(StepError, match=message):
        redact(pa.table({"a": ["x"], "b": [True]}), **params)


def test_tokens_need_a_secret() -> None:
    with pytest.raises(StepError, match="column 'a': the token secret has 0 bytes"):
        redact(pa.table({"a": ["x"]}), secret=b"", columns={"a": "token"})


def test_an_endless_text_is_refused_by_row() -> None:
    with pytest.raises(StepError, match="column 'a', row 2: a text has 200000 characters"):
        redact(pa.table({"a": ["x", "1" * 200_000]}), columns={"a": "scan"})
