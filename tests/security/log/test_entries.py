"""What an entry is, and that no column beside it can say something else."""

from __future__ import annotations

import json

import pytest

from security.canonical import canonical_json
from security.log.entries import EntryError, Row, build, commit, committed, disagreement, parse, seal
from security.log.identifiers import carried_over, new_id

COLUMNS = {
    "id": new_id().hex,
    "time": "2026-01-01T00:00:00.000001Z",
    "event": "run:created",
    "actor": "urn:countersign:user:u",
    "subject": "urn:countersign:run:7",
    "system": "credit",
}


def make(commitment: str = "", **changed: str) -> Row:
    columns = {**COLUMNS, **changed}
    return Row(**columns, entry=build(**columns, payload={"n": 7, "é": ["\n", 1.5]}, commitment=commitment).decode())


@pytest.mark.parametrize("commitment", ["", "ab" * 32])
def test_a_row_agrees_with_its_entry(commitment: str) -> None:
    row = make(commitment)
    assert disagreement(row, 3) is None
    assert committed(row.entry) == commitment
    assert canonical_json(json.loads(row.entry)) == row.entry.encode()


@pytest.mark.parametrize("commitment", ["", "ab" * 32])
@pytest.mark.parametrize("column", list(COLUMNS))
def test_an_edited_column_is_named(column: str, commitment: str) -> None:
    row = make(commitment)
    wrong = disagreement(row._replace(**{column: getattr(row, column) + "x"}), 3)
    assert wrong == f"the columns {column} differ from the hashed entry"


def test_names_that_json_escapes_are_compared_too() -> None:
    row = make(subject='urn:"quoted"', system="\x01")
    assert disagreement(row, 0) is None
    assert disagreement(row._replace(subject='urn:"quotex"'), 0) is not None


@pytest.mark.parametrize("commitment", ["", "ab" * 32])
def test_every_changed_byte_of_an_entry_disagrees_or_is_another_payload(commitment: str) -> None:
    row = make(commitment)
    payload = range(row.entry.index('"payload":') + 10, row.entry.index(',"subject":'))
    sealed = range(row.entry.find('"commitment":') + 14, row.entry.find('"commitment":') + 78) if commitment else ()
    for place in range(len(row.entry)):
        flipped = row.entry[:place] + chr(ord(row.entry[place]) ^ 1) + row.entry[place + 1 :]
        if place not in payload and place not in sealed:
            assert disagreement(row._replace(entry=flipped), 0) is not None, place


def test_entries_of_the_chain_before_the_tree_are_judged_by_their_number() -> None:
    members = {**COLUMNS, "index": 12, "payload": {}}
    del members["id"]
    row = Row(**{**COLUMNS, "id": carried_over(12).hex}, entry=canonical_json(members).decode())
    assert disagreement(row, 12) is None
    assert disagreement(row, 11) == "the entry says that it is number 12"
    assert disagreement(row._replace(id=carried_over(13).hex), 12) == "the columns id differ from the hashed entry"


def test_an_entry_over_64_kib_is_refused_and_says_what_to_do() -> None:
    with pytest.raises(EntryError, match="65,535: store an artifact"):
        build(**COLUMNS, payload={"text": "x" * 70_000})
    largest = 65_535 - len(build(**COLUMNS, payload={"text": ""}))
    assert len(build(**COLUMNS, payload={"text": "x" * largest})) == 65_535
    with pytest.raises(EntryError):
        build(**COLUMNS, payload={"text": "x" * (largest + 1)})


@pytest.mark.parametrize("value", [float("nan"), 2**60, {1: 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(EntryError, match="run:created"):
        build(**COLUMNS, payload={"value": value})
    with pytest.raises(EntryError, match="personal values"):
        seal({"value": value})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"actor":1}', "\x00", "[" * 5000])
def test_what_is_no_entry_is_none(text: str) -> None:
    assert parse(text.encode()) is None


def test_a_commitment_says_nothing_without_its_salt() -> None:
    salt, values, commitment = seal({"name": "Ada"})
    assert commit(salt, values) == commitment
    assert seal({"name": "Ada"})[2] != commitment
    assert len(salt) == 32


def test_ids_rise_though_the_clock_is_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = [new_id() for _ in range(5000)]
    monkeypatch.setattr("security.log.identifiers.time.time_ns", lambda: 10**18)
    second = [new_id() for _ in range(5000)]
    assert [*first, *second] == sorted({*first, *second})
    assert {each.version for each in first} == {7}
    assert {each.variant for each in second} == {"specified in RFC 4122"}
    assert carried_over(0) < carried_over(1) < carried_over(2**40) < first[0]
