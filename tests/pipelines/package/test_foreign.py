"""What somebody sent, told by its content: only skops and ONNX go on, and nothing is ever unpickled."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.package.foreign import sniff
from pipelines.steps.contract import StepError
from tests.support import foreign_models as made


def test_skops_and_onnx_are_known_by_their_content():
    assert sniff(made.logistic()) == "skops"
    assert sniff(made.onnx_good()) == "onnx"


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_of_every_protocol_is_refused_and_not_opened(protocol: int, tmp_path: Path):
    trace = tmp_path / "opened"
    with pytest.raises(StepError, match="a pickle, whatever its name says"):
        sniff(made.pickled(str(trace), protocol))
    assert not trace.exists()


@pytest.mark.parametrize("compress", [0, 3, ("gzip", 3), ("bz2", 3), ("lzma", 3), ("xz", 3)])
def test_a_joblib_file_of_every_compression_is_refused(compress: object, tmp_path: Path):
    file = io.BytesIO()
    joblib.dump(made.Bomb(str(tmp_path / "opened")), file, compress=compress)
    with pytest.raises(StepError, match="opening one runs code in it"):
        sniff(file.getvalue())
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress, bz2.compress, lzma.compress])
def test_a_pickle_that_somebody_compressed_is_refused(pack: Callable[[bytes], bytes], tmp_path: Path):
    with pytest.raises(StepError, match="a compressed file"):
        sniff(pack(made.pickled(str(tmp_path / "opened"))))


def test_a_torch_file_is_refused_though_it_is_a_zip(tmp_path: Path):
    with pytest.raises(StepError, match="as PyTorch writes it"):
        sniff(made.torch_like(str(tmp_path / "opened")))


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(40), "Lambda layers"),
        (b"\x7fELF" + bytes(40), "a program"),
        (b"#!/bin/sh\n", "a program"),
        (numpy_file(), "a NumPy array"),
        (b"<PMML version='4.4'>", "neither a skops nor an ONNX file"),
        (b"\x08\xff\x01", "neither a skops nor an ONNX file"),
    ],
)
def test_everything_else_is_refused_with_what_it_is(head: bytes, why: str):
    with pytest.raises(StepError, match=why):
        sniff(head)


@given(st.binary(max_size=400))
def test_any_bytes_are_told_or_refused(head: bytes):
    refusal, kind = "", None
    try:
        kind = sniff(head)
    except StepError as error:
        refusal = error.message
    assert kind in ("skops", "onnx") or len(refusal) > 10
