"""k-anonymity and l-diversity as a group-by on codes (Sweeney 2002; Machanavajjhala et al. 2007)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from security.measurement import Measurement

Codes = npt.NDArray[np.int64]


def group_codes(table: pa.Table, columns: Sequence[str]) -> Codes:
    """One code per row; rows with equal values in all ``columns`` share it. Null equals null.

    Codes run from 0 without gaps. Columns must be of flat types; KeyError for a column that is not there.
    """
    codes = np.zeros(table.num_rows, dtype=np.int64)
    for name in columns:
        encoded = table.column(name).combine_chunks().dictionary_encode(null_encoding="encode")
        indices = encoded.combine_chunks().indices if isinstance(encoded, pa.ChunkedArray) else encoded.indices
        values = indices.to_numpy(zero_copy_only=False).astype(np.int64)
        width = int(values.max(initial=0)) + 1
        codes = np.unique(codes * width + values, return_inverse=True)[1].astype(np.int64)
    return codes


def k_anonymity(table: pa.Table, quasi_identifiers: Sequence[str]) -> int:
    """Size of the smallest group of rows that share all quasi-identifiers; 0 for a table with no rows."""
    if table.num_rows == 0:
        return 0
    return int(np.bincount(group_codes(table, quasi_identifiers)).min())


def l_diversity(table: pa.Table, quasi_identifiers: Sequence[str], sensitive: str) -> int:
    """Fewest distinct values of ``sensitive`` in any group of the quasi-identifiers; 0 for a table with no rows."""
    if table.num_rows == 0:
        return 0
    groups = group_codes(table, quasi_identifiers)
    pairs = np.unique(np.stack([groups, group_codes(table, [sensitive])]), axis=1)
    return int(np.bincount(pairs[0]).min())


def anonymity_measurements(table: pa.Table, quasi_identifiers: Sequence[str]) -> tuple[Measurement, ...]:
    """``k_anonymity_min`` (rows) and ``unique_rows`` (fraction of rows alone in their group)."""
    rows = table.num_rows
    if rows == 0:
        note = "the table has no rows"
        return (Measurement(name="k_anonymity_min", value=None, unit="rows", n=0, note=note),)
    sizes = np.bincount(group_codes(table, quasi_identifiers))
    return (
        Measurement(
            name="k_anonymity_min", value=int(sizes.min()), unit="rows", direction="higher_is_better", n=rows,
            note=f"over {', '.join(quasi_identifiers)}",
        ),
        Measurement(
            name="unique_rows", value=float(np.sum(sizes == 1)) / rows, direction="lower_is_better", n=rows,
            note=f"rows alone in their group of {', '.join(quasi_identifiers)}",
        ),
    )  # fmt: skip
