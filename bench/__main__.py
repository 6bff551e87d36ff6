"""``python -m bench [part ...]``: measure the parts named in ``PARTS`` (all by default), print, rewrite."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    documents,
    evasion,
    fairness,
    latency,
    log,
    log_core,
    orchestration,
    poisoning,
    slices,
    throughput,
    vault,
)

OUT = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
PARTS: dict[str, tuple[str, Callable[[], list[dict[str, Any]]], str]] = {
    "orchestration": (
        "What a step costs besides its work",
        orchestration.measure,
        "A chain of 100 no-op steps through a real worker. `inside` is from claim to commit (child process, vault,"
        " lineage, evidence, audit), `between` is queue and broker; medians. Target on Redis: under 50 ms a step.",
    ),
    "throughput": (
        "Rows per second of each step on adult.csv",
        throughput.measure,
        "`ratio` is the peer's time divided by ours in the same run: 1 is as fast, below 1 slower. The peers give"
        " no verdict, no interval and no refusal: a floor, not a rival. `attack.evasion` counts attacked rows.",
    ),
    "fairness": (
        "Group metrics with bootstrap intervals against fairlearn's MetricFrame",
        fairness.measure,
        "adult.csv, half of it held out: selection rate, true- and false-positive rate and precision per group with"
        " percentile intervals. `ratio` is MetricFrame's time divided by ours, which also measures calibration. The"
        " intervals are of different random draws. Target: a ratio of 20, the same figures.",
    ),
    "slices": (
        "The worst slices against the PyPI package sliceline",
        slices.measure,
        "adult.csv, 32,561 rows, 8 columns, up to 3 conditions, at least 300 rows, the 10 best; each in a process of"
        " its own, best of 3. `peak_MiB` is the most that the search allocated. Target: 10 times as fast, a quarter"
        " of the memory, the same slices.",
    ),
    "evasion": (
        "HopSkipJump on all rows at once against ART row by row",
        evasion.measure,
        "A forest of 100 trees on adult.csv, five numbers may move, 8 iterations, up to 200 queries an estimate,"
        " the same starts. `ratio` is ART's time divided by ours. Target: 10, with success and distance no worse.",
    ),
    "poisoning": (
        "Planted label flips, a planted trigger, and clean data",
        poisoning.measure,
        "Flips in rows drawn at random: `auroc` and precision among as many rows as were flipped, by the scan's"
        " suspicion, by neighbours alone and by the model's doubt alone. Trigger: two values in 3 % of the rows of"
        " adult.csv, planted with ART's backdoor attack; clean: the same search on four other parts of adult.csv and on"
        " german.csv with nothing planted.",
    ),
    "latency": (
        "Pages and API answers with 1,000 models and 100,000 audit events",
        latency.measure,
        "PostgreSQL, in-process requests, 40 each; 200 of the models wait for review. `deciding` is a validator, the"
        " others an auditor. `queries_small` is the count with 400 models and 1,000 events: it must be the same."
        " Target: p95 under 150 ms.",
    ),
    "vault": (
        "Storing and reading an artifact against SHA-256 and AES-256-GCM alone",
        vault.measure,
        "1 GiB in buffers of 1 MiB. `alone` hashes and encrypts (or decrypts) the same buffers in one thread and does"
        " nothing else; the vault also hashes the ciphertext, writes it with fsync (or reads it), wraps a key and"
        " records the artifact, with threads; `raw` writes the same bytes to a file with fsync (or reads it). Medians"
        " of 5 rounds in turn. `ratio` is against `alone`, `ratio_to_slower` against the slower of `alone` and `raw`:"
        " nothing that stores is faster than that. `cpu_ms` is processor time for a MiB. A store that goes nowhere"
        " shows the vault's own work. Target: a ratio of 0.8; memory under 200 MiB for 10 GiB.",
    ),
    "log": (
        "The audit log on PostgreSQL",
        log.measure,
        "8 writers commit a transaction with one event each, one sequencer numbers, hashes and signs beside them;"
        " `ratio` is against transactions that insert one bare row through the same Django connection, in turn, medians"
        " of 3. Targets: ratio 0.6; 3 ms added to a transaction; 50,000 entries verified per second of one core; 5 ms a"
        " proof.",
    ),
    "documents": (
        "Documents",
        documents.measure,
        "PostgreSQL, 200 models with nine results each. From asking for a document until it is stored and on record,"
        " in this process and the typesetter's; the report of a period spans 100,000 events. `peak_mib` is the most"
        " memory that its process ever had, `peak_mib_few` the same for 1,000 events. Target: a PDF in under 3 s,"
        " constant memory.",
    ),
    "log-core": (
        "The audit log's core",
        log_core.measure,
        "One core, no database: entries of about 300 bytes, `ratio` against hashing them alone. Targets: verify 50,000"
        " entries a second, a proof of inclusion in a log of a million under 5 ms.",
    ),
}


def main(wanted: Sequence[str]) -> None:
    """Measure the parts asked for (all by default); parts that were not measured keep what is written of them."""
    unknown = set(wanted) - set(PARTS)
    if unknown:
        raise SystemExit(f"no part {sorted(unknown)[0]!r}; there are {', '.join(PARTS)}")
    for name in wanted or PARTS:
        title, measure, meaning = PARTS[name]
        text = f"## {title}\n\n{meaning}\n\n{_machine()}\n\n{table(measure())}\n"
        print(text, flush=True)
        _write(title, text)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as a Markdown table; a row with ``error`` shows it in its second column."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += ["| " + " | ".join(_cell(row.get(name, "")) for name in names) + " |" for row in rows]
    return "\n".join(lines)


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def _machine() -> str:
    now = datetime.now(UTC)
    load = os.getloadavg()[0]
    return (
        f"Measured {now:%Y-%m-%d %H:%M} UTC on {os.cpu_count()} cores ({platform.machine()}, {platform.system()}), "
        f"Python {platform.python_version()}; load average at the start {load:.1f}."
    )


def _write(title: str, text: str) -> None:
    """Replace the section of that title, or add it."""
    old = OUT.read_text() if OUT.exists() else "# Benchmarks\n\n`make bench` measures and rewrites this file.\n"
    head, *sections = old.split("\n## ")
    kept = [section for section in sections if not section.startswith(title)]
    parts = [head.rstrip(), *(f"## {section.rstrip()}" for section in kept), text.rstrip()]
    OUT.write_text("\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
