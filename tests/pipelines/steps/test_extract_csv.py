"""extract.csv: what it reads, and the answer each kind of bad file gets."""

from __future__ import annotations

import csv
import datetime as dt
import resource
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.steps.contract import StepContext, StepError
from pipelines.steps.extract_csv import STEP, Params

SECRET = "Jane-Doe-4111"


def read(tmp_path: Path, content: bytes | str, **params: object) -> pa.Table:
    file = tmp_path / "in.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    context = StepContext(seed=1, scratch=tmp_path)
    return STEP.run({"file": file}, Params(path="in.csv", **params), context).outputs["table"]


def test_types_are_declared_or_fit_to_all_values(tmp_path: Path) -> None:
    table = read(
        tmp_path,
        "a,b,c,d,e,zip,gone\n1,1.5,true,2026-01-31,2026-01-31T10:00:00,01234,\n"
        "2,,FALSE,2026-02-01,2026-02-01 11:30,98765,\n",
        types={"a": "float64"},
    )
    assert [str(kind) for kind in table.schema.types] == [
        "double", "double", "bool", "date32[day]", "timestamp[us]", "string", "string",
    ]  # fmt: skip
    assert table.column("b").to_pylist() == [1.5, None]
    assert table.column("d").to_pylist() == [dt.date(2026, 1, 31), dt.date(2026, 2, 1)]
    assert table.column("zip").to_pylist() == ["01234", "98765"], "a leading zero is text, not a number"
    assert table.column("gone").null_count == 2


def test_agrees_with_the_standard_library_on_the_census_file(tmp_path: Path, shared_data: Path) -> None:
    file = shared_data / "adult.csv"
    table = STEP.run({"file": file}, Params(path="adult.csv"), StepContext(seed=1, scratch=tmp_path)).outputs["table"]
    with file.open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert table.num_rows == len(rows) == 32_561
    assert [str(value) for value in table.column("age").to_pylist()] == [row["age"] for row in rows]
    assert table.column("occupation").to_pylist() == [row["occupation"] for row in rows]


def test_quoted_line_breaks_and_delimiters(tmp_path: Path) -> None:
    table = read(tmp_path, 'a;b\r\n"x;1\ny";"say ""hi"""\r\n\r\nz;w\r\n', delimiter=";")
    assert table.to_pylist() == [{"a": "x;1\ny", "b": 'say "hi"'}, {"a": "z", "b": "w"}]


def test_byte_order_mark_is_not_part_of_the_first_name(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa,b\n1,2\n").column_names == ["a", "b"]
    assert read(tmp_path, "a\nJosé\n".encode("latin-1"), encoding="latin-1").column("a").to_pylist() == ["José"]


@pytest.mark.parametrize(
    ("content", "params", "message", "line"),
    [
        (b"", {}, "the file is empty", None),
        (b"\n\n", {}, "blank lines only", None),
        (b"a,b\n", {}, "header but no rows", None),
        (b"a,b,a\n1,2,3\n", {}, "'a' occurs more than once", None),
        (b"a,,c\n1,2,3\n", {}, "name of column 2 is blank", None),
        (b"a,b\n1,2\n1,2,3\n", {}, "line 3: 3 fields where the header has 2", 3),
        (b'a,b\n"x\ny",2\n1\n', {}, "line 4: 1 fields", 4),
        (b"a,b\n1,2\n\xff,2\n", {}, "line 3: byte 8 is not valid utf-8", 3),
        (b"a,b\n1,\x002\n", {}, "line 2: a NUL byte at byte 6", 2),
        ("a,b\n1,2\n".encode("utf-16"), {}, "UTF-16", None),
        (b'a,b\n1,"2\n3,4\n', {}, "line 2: a quote that is opened here is never closed", 2),
        (b'a,b\n1,"2"x\n', {}, "line 2: characters follow a closing quote", 2),
        (b"a\r1\r2\r", {}, "carriage return", 1),
        (b"a,b\n1,2\n1,x\n", {"types": {"b": "int64"}}, "line 3, column 'b': the value is not a whole number", 3),
        (b"a,b\n1,nan\n", {"types": {"b": "float64"}}, "line 2, column 'b': the value is not a finite", 2),
        (b"a\n2026-02-30\n", {"types": {"a": "date"}}, "line 2, column 'a': the value is not a date", 2),
        (b"a\n1\n", {"types": {"z": "int64"}}, "types names 'z', but the header has a", None),
        (b"a\n1\n2\n3\n", {"max_rows": 2}, "more than 2 rows", None),
    ],
)  # fmt: skip
def test_each_bad_file_gets_its_own_answer(
    tmp_path: Path, content: bytes, params: dict[str, object], message: str, line: int | None
) -> None:
    with pytest.raises(StepError, match=message) as caught:
        read(tmp_path, content, **params)
    assert caught.value.details.get("line") == line


def test_bad_value_deep_in_the_file_is_found_and_never_quoted(tmp_path: Path) -> None:
    rows = ["1"] * 45_000
    rows[41_236] = SECRET
    with pytest.raises(StepError) as caught:
        read(tmp_path, "n\n" + "\n".join(rows) + "\n", types={"n": "int64"})
    assert caught.value.details["line"] == 41_238
    assert SECRET not in f"{caught.value}{caught.value.details}{caught.value.__cause__}"


@pytest.mark.parametrize("opening", [b"a,b\n1,2\n", b'a,b\n1,"'])
def test_five_gigabyte_line_is_refused_after_reading_its_beginning(tmp_path: Path, opening: bytes) -> None:
    file = tmp_path / "huge.csv"
    with file.open("wb") as handle:
        handle.write(opening + b"x" * (3 * 2**20))
        handle.truncate(5 * 10**9)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(StepError, match="longer than 1048576 bytes") as caught:
        STEP.run({"file": file}, Params(path="huge.csv"), StepContext(seed=1, scratch=tmp_path))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024, "kilobytes of resident memory"
    assert caught.value.param == "max_line_bytes"


def test_five_gigabytes_of_holes_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "holes.csv"
    with file.open("wb") as handle:
        handle.truncate(5 * 10**9)
    with pytest.raises(StepError, match="line 1: the record is longer"):
        STEP.run({"file": file}, Params(path="holes.csv"), StepContext(seed=1, scratch=tmp_path))


def test_open_quote_over_many_short_lines_does_not_swallow_the_file(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="line 2: the record is longer than 1000 bytes"):
        read(tmp_path, b'a,b\n"1,2\n' + b"3,4\n" * 10_000, max_line_bytes=1000)


def test_progress_estimates_the_total_from_bytes(tmp_path: Path) -> None:
    file = tmp_path / "long.csv"
    file.write_text("a,b\n" + "12345,67890\n" * 60_000)
    seen: list[tuple[int, int | None]] = []
    context = StepContext(seed=1, scratch=tmp_path, progress=lambda done, total, note: seen.append((done, total)))
    STEP.run({"file": file}, Params(path="long.csv"), context)
    assert [done for done, _ in seen] == [20_000, 40_000, 60_000, 60_000]
    assert all(total is not None and abs(total - 60_000) < 600 for _, total in seen)


def test_field_limit_of_the_process_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    read(tmp_path, "a\n" + "x" * 300_000 + "\n")
    assert csv.field_size_limit() == before
