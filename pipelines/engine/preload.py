"""What the server process imports once, so that each forked step does not have to."""

import io
import os

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.engine import child
from pipelines.engine.bare import hide
from pipelines.steps import registry


def _use_once() -> None:
    """Make Arrow load what it loads at its first table and its first file."""
    file = io.BytesIO()
    pq.write_table(pa.table({"number": [1]}), file, compression="zstd")
    pq.read_table(io.BytesIO(file.getvalue()), use_threads=False)


registry()
_use_once()
hide(os.environ)

__all__ = ["child"]
