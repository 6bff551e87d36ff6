"""The Wisconsin breast cancer data that scikit-learn ships, as the CSV that breast-cancer.yaml reads.

Real measurements: W. Wolberg, W. Street, O. Mangasarian, Breast Cancer Wisconsin (Diagnostic), UCI Machine Learning
Repository 1995, CC BY 4.0. No person can be told from them.
"""

from __future__ import annotations

import csv
from pathlib import Path

from sklearn.datasets import load_breast_cancer


def write_breast_cancer(folder: Path) -> Path:
    """Write ``breast-cancer.csv`` (569 rows: 30 measurements and ``diagnosis``) into ``folder``; gives its path."""
    data = load_breast_cancer()
    path = folder / "breast-cancer.csv"
    header = [str(name).replace(" ", "_") for name in data.feature_names]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*header, "diagnosis"])
        for row, label in zip(data.data.tolist(), data.target.tolist(), strict=True):
            writer.writerow([*map(repr, row), data.target_names[label]])
    return path
