"""The worst slices of adult.csv, beside the PyPI package sliceline: eight columns, three conditions, each alone."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc
from typing import Any

import numpy as np
import pandas as pd
from sliceline.slicefinder import Slicefinder

from bench.adult import TARGET, Adult, adult
from pipelines.steps._sliceline import SliceFinder

COLUMNS = ["workclass", "education", "marital-status", "occupation", "relationship", "race", "sex", "native-country"]
ALPHA, K, DEPTH, LEAST = 0.95, 10, 3, 300
REPEATS = 3


def measure() -> list[dict[str, Any]]:
    """Seconds and memory of both, each in a process of its own; memory is the most a search allocated."""
    if adult() is None:
        return [{"case": "adult.csv", "error": "not here; set COUNTERSIGN_DATA to the folder that holds it"}]
    ours, theirs = (_alone(name) for name in ("ours", "sliceline"))
    same = np.allclose(ours["scores"], theirs["scores"][: len(ours["scores"])], atol=1e-9)
    names = ("evaluate.found_slices, the search", "sliceline from PyPI")
    shown = [{"case": name} | one for name, one in zip(names, (ours, theirs), strict=True)]
    for row in shown:
        del row["scores"]
    shown[0] |= {
        "ratio": round(theirs["seconds"] / ours["seconds"], 1),
        "memory_ratio": round(theirs["peak_MiB"] / ours["peak_MiB"], 1),
        "same_top_scores": "yes" if same else "NO",
    }
    return shown


def _alone(name: str) -> dict[str, Any]:
    code = f"from bench.slices import one; one({name!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def one(name: str) -> None:
    """Search in this process and print what it took as JSON."""
    data = adult()
    if data is None:
        raise SystemExit("no adult.csv")
    codes, errors = _problem(data)
    search = _ours if name == "ours" else _theirs
    seconds, scores = [], []
    for _ in range(REPEATS):
        started = time.perf_counter()
        scores = search(codes, errors)
        seconds.append(time.perf_counter() - started)
    tracemalloc.start()  # counts what NumPy and SciPy allocate; slows the search, so not in the rounds above
    search(codes, errors)
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    print(json.dumps({"seconds": round(min(seconds), 3), "peak_MiB": round(peak, 1), "scores": scores}))


def _problem(data: Adult) -> tuple[Any, Any]:
    """Codes of the eight columns and the errors of a rule of thumb, over all 32,561 rows."""
    frame = data.frame
    called = frame["marital-status"].eq("Married-civ-spouse") & (frame["education-num"] > 12)
    errors = (called != (frame[TARGET] == ">50K")).to_numpy(dtype=float)
    return np.column_stack([pd.factorize(frame[name], sort=True)[0] for name in COLUMNS]), errors


def _ours(codes: Any, errors: Any) -> list[float]:
    found = SliceFinder(codes, errors, k=K, depth=DEPTH, min_size=LEAST, alpha=ALPHA).search()
    return [one.score for one in found.slices]


def _theirs(codes: Any, errors: Any) -> list[float]:
    finder = Slicefinder(alpha=ALPHA, k=K, max_l=DEPTH, min_sup=LEAST, verbose=False).fit(codes, errors)
    return [float(row["slice_score"]) for row in finder.top_slices_statistics_]
