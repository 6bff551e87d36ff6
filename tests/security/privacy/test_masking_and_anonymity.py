"""Tokens, masks, coarser values, and k-anonymity against a count by pandas."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from security.privacy.anonymity import anonymity_measurements, group_codes, k_anonymity, l_diversity
from security.privacy.masking import MASK, Tokeniser, WeakSecretError, generalised, masked

SECRET = b"0123456789abcdef"


def chunked(values: list[object]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values)])


def test_token_is_the_hmac_by_the_standard_library() -> None:
    key = hmac.new(SECRET, b"countersign/personal-data-token/v1", hashlib.sha256).digest()
    expected = hmac.new(key, b"EMAIL\0a@b.c", hashlib.sha256).hexdigest()[:32]
    assert Tokeniser(SECRET).token("EMAIL", " a@b.c ") == f"EMAIL_{expected}"


def test_tokens_differ_by_secret_and_entity_and_join_otherwise() -> None:
    tokens = Tokeniser(SECRET)
    assert tokens.column("A", chunked(["x", None, "x"])).to_pylist() == [
        tokens.token("A", "x"),
        None,
        tokens.token("A", "x"),
    ]
    assert len({tokens.token("A", "x"), tokens.token("B", "x"), Tokeniser(SECRET + b"!").token("A", "x")}) == 3
    assert tokens.token("A", "e\u0301") == tokens.token("A", "é")


@pytest.mark.parametrize("secret", [b"", b"short"])
def test_weak_secret_is_refused(secret: bytes) -> None:
    with pytest.raises(WeakSecretError, match="at least 16"):
        Tokeniser(secret)


def test_masks_show_no_length() -> None:
    assert masked(chunked(["a", "long value", None])).to_pylist() == [MASK, MASK, None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([34, 30, 39, None, 0, -3], ["30-39", "30-39", "30-39", None, "0-9", "-10--1"]),
        ([34.9], ["30-39"]),
        ([dt.date(1986, 12, 27), None], [1986, None]),
        (["60614-1234", " 12", None], ["606", "12", None]),
    ],
)
def test_coarser_values(values: list[object], expected: list[object]) -> None:
    assert generalised(chunked(values)).to_pylist() == expected


def test_no_coarser_form_of_a_truth_value() -> None:
    with pytest.raises(TypeError, match="no coarser form"):
        generalised(chunked([True]))


def test_anonymity_agrees_with_pandas_on_the_census_file(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "adult.csv")
    keys = ["sex", "race", "marital-status"]
    table = pa.Table.from_pandas(frame, preserve_index=False)
    groups = frame.groupby(keys)
    assert k_anonymity(table, keys) == groups.size().min()
    assert l_diversity(table, keys, "occupation") == groups["occupation"].nunique().min()
    alone = next(item for item in anonymity_measurements(table, ["age", *keys]) if item.name == "unique_rows")
    assert alone.value == pytest.approx((frame.groupby(["age", *keys]).size() == 1).sum() / len(frame))


def test_nulls_are_a_group_of_their_own() -> None:
    codes = group_codes(pa.table({"a": [None, "x", None], "b": [1, 1, 1]}), ["a", "b"])
    assert codes[0] == codes[2] != codes[1]
    assert np.array_equal(np.unique(codes), [0, 1])


def test_no_rows() -> None:
    empty = pa.table({"a": pa.array([], pa.string())})
    assert k_anonymity(empty, ["a"]) == l_diversity(empty, ["a"], "a") == 0
    assert anonymity_measurements(empty, ["a"])[0].value is None
