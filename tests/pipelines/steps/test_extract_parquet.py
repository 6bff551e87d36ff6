"""extract.parquet: what it reads, and how damaged and hostile files are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.steps.contract import StepContext, StepError
from pipelines.steps.extract_parquet import STEP, Params


def read(path: Path, *, memory_bytes: int = 2**30, **params: object) -> pa.Table:
    context = StepContext(seed=1, scratch=path.parent, memory_bytes=memory_bytes)
    return STEP.run({"file": path}, Params(path=path.name, **params), context).outputs["table"]


def write(tmp_path: Path, table: pa.Table, **options: object) -> Path:
    path = tmp_path / "in.parquet"
    pq.write_table(table, path, **options)
    return path


def test_reads_what_pandas_wrote_without_its_notes(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": np.arange(40_000), "b": [f"text {i % 7}" for i in range(40_000)]})
    path = tmp_path / "in.parquet"
    frame.to_parquet(path)
    table = read(path)
    assert table.schema == pa.schema({"a": pa.int64(), "b": pa.string()})
    assert table.schema.metadata is None
    assert table.to_pandas().astype({"b": "str"}).equals(frame.astype({"b": "str"}))


def test_dictionary_columns_become_text(tmp_path: Path) -> None:
    table = read(write(tmp_path, pa.table({"a": pa.array(["x", None, "x"]).dictionary_encode()})))
    assert table.column("a").type == pa.string()
    assert table.column("a").to_pylist() == ["x", None, "x"]


def test_only_named_columns_in_their_order(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"a": [1], "b": [2], "nested": [[3]]}))
    assert read(path, columns=("b", "a")).column_names == ["b", "a"]
    with pytest.raises(StepError, match="no column 'c'; it has a, b, nested"):
        read(path, columns=("c",))


@pytest.mark.parametrize(
    ("value", "kind"),
    [([1], "list"), ({"x": 1}, "struct"), (b"bytes", "binary")],
)
def test_nested_and_binary_columns_are_refused(tmp_path: Path, value: object, kind: str) -> None:
    with pytest.raises(StepError, match="column 'odd' is nested or binary") as caught:
        read(write(tmp_path, pa.table({"a": [1], "odd": [value]})))
    assert caught.value.details == {"columns": ["odd"]}, kind


def test_empty_no_rows_and_too_many_rows(tmp_path: Path) -> None:
    (tmp_path / "empty.parquet").write_bytes(b"")
    with pytest.raises(StepError, match="file is empty"):
        read(tmp_path / "empty.parquet")
    with pytest.raises(StepError, match="columns but no rows"):
        read(write(tmp_path, pa.table({"a": pa.array([], pa.int64())})))
    with pytest.raises(StepError, match="3 rows, more than 2"):
        read(write(tmp_path, pa.table({"a": [1, 2, 3]})), max_rows=2)


def test_repeated_column_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StepError, match="'a' occurs more than once"):
        read(write(tmp_path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])))


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path, pa.table({"a": list(range(500)), "b": ["x" * (i % 9) for i in range(500)]})).read_bytes()
    cut = tmp_path / "cut.parquet"
    for length in range(1, len(whole), max(1, len(whole) // 60)):
        cut.write_bytes(whole[:length])
        with pytest.raises(StepError, match="not Parquet, or it is damaged"):
            read(cut)


def test_flipped_bits_in_the_pages_are_noticed(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"a": list(range(5000))}), write_page_checksum=True, compression="none")
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)
    with pytest.raises(StepError, match="damaged"):
        read(path)


def test_bomb_that_its_metadata_admits_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"a": np.zeros(4_000_000)}), compression="zstd", use_dictionary=False)
    assert path.stat().st_size < 100_000
    with pytest.raises(StepError, match="more than 1000000 bytes once decompressed"):
        read(path, max_bytes=1_000_000)


def test_bomb_of_one_long_text_repeated_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    """20,000 rows of one text of 1 MB: 1 MB by the metadata, 20 GB once decoded."""
    values = pa.DictionaryArray.from_arrays(pa.array(np.zeros(20_000, np.int32)), pa.array(["x" * 10**6]))
    path = write(tmp_path, pa.table({"a": values}), compression="zstd")
    assert pq.read_metadata(path).row_group(0).total_byte_size < 5 * 10**6
    with pytest.raises(StepError, match="once decompressed"):
        read(path)


def test_half_of_the_memory_budget_is_a_limit_too(tmp_path: Path) -> None:
    path = write(tmp_path, pa.table({"a": np.arange(1_000_000)}))
    with pytest.raises(StepError, match="more than 2000000 bytes"):
        read(path, memory_bytes=4_000_000)
