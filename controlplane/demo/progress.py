"""Runs while they run: a live table in a terminal, a line per finished step elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from django.utils import timezone
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from controlplane.demo.running import Planned
from pipelines.models import Run, StepRun, StepState
from pipelines.models.run import OPEN_RUNS
from pipelines.selectors.activity import progress_of

REFRESH_SECONDS = 0.5
LOOKS = {
    "waiting": ("·", "dim"),
    "queued": ("·", "dim"),
    "running": ("▸", "cyan"),
    "succeeded": ("✓", "green"),
    "reused": ("↺", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("–", "yellow"),
    "skipped": ("–", "yellow"),
}
VERDICTS = {"pass": ("PASS", "green"), "fail": ("FAIL", "red"), "inconclusive": ("INCONCLUSIVE", "yellow")}
LONGEST_STATE = max(len(f"{sign} {state}") for state, (sign, _) in LOOKS.items())
_QUIET = (StepState.WAITING, StepState.QUEUED)


def follow(console: Console, planned: Sequence[Planned], check: Callable[[], None]) -> None:
    """Show the runs until all have ended. ``check`` is called twice a second and may raise."""
    watch = _live if console.is_terminal else _lines
    watch(console, [one.run for one in planned], [one.title for one in planned], check)


def _live(console: Console, runs: Sequence[Run], titles: Sequence[str], check: Callable[[], None]) -> None:
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            check()
            still_open = _refresh(runs)
            live.update(_table(runs, titles, room=console.height - 4), refresh=True)
            if not still_open:
                return
            time.sleep(REFRESH_SECONDS)


def _lines(console: Console, runs: Sequence[Run], titles: Sequence[str], check: Callable[[], None]) -> None:
    told: set[object] = set()
    while True:
        check()
        still_open = _refresh(runs)
        for run, title in zip(runs, titles, strict=True):
            for step in run.steps.all():
                if step.finished_at is not None and step.pk not in told:
                    told.add(step.pk)
                    console.print(_line(title, step), soft_wrap=True, highlight=False)
        if not still_open:
            return
        time.sleep(REFRESH_SECONDS)


def _refresh(runs: Sequence[Run]) -> bool:
    """Read runs and steps again; whether any is still open."""
    fresh = {run.pk: run for run in Run.objects.filter(pk__in=[run.pk for run in runs]).prefetch_related("steps")}
    for run in runs:
        run.state = fresh[run.pk].state
        run._prefetched_objects_cache = fresh[run.pk]._prefetched_objects_cache  # type: ignore[attr-defined]  # Django's
    return any(run.state in OPEN_RUNS for run in runs)


def _table(runs: Sequence[Run], titles: Sequence[str], *, room: int) -> Table:
    """One row per run and per step; in a low terminal what waits and what is done gives way to what runs."""
    table = Table(box=None, pad_edge=False, expand=True)
    for heading, ratio in (("step", 4), ("state", 2), ("verdict", 2), ("rows", 3), ("rate", 2), ("left", 2)):
        table.add_column(heading, ratio=ratio, no_wrap=True, justify="left", overflow="ellipsis")
    shown = _shown(runs, room)
    for run, title in zip(runs, titles, strict=True):
        steps = list(run.steps.all())
        done = sum(step.finished_at is not None for step in steps)
        table.add_row(Text(title, "bold"), _state(run.state), "", f"{done} of {len(steps)} steps", "", "")
        for step in steps:
            if step.pk in shown:
                table.add_row(*_row(step))
    return table


def _shown(runs: Sequence[Run], room: int) -> set[object]:
    steps = [step for run in runs for step in run.steps.all()]
    rank = {StepState.RUNNING: 0, StepState.FAILED: 1, StepState.QUEUED: 2, StepState.SUCCEEDED: 3, StepState.REUSED: 3}
    by_interest = sorted(steps, key=lambda step: rank.get(StepState(step.state), 4))
    return {step.pk for step in by_interest[: max(room - len(runs), 4)]}


def _row(step: StepRun) -> tuple[Text | str, ...]:
    progress = progress_of(step)
    if step.state != StepState.RUNNING:
        took = seconds(step)
        rest: tuple[str, ...] = ("", "", f"took {took:.1f} s" if took and step.state not in _QUIET else "")
    elif progress is None:
        rest = ("", "", f"{seconds(step):.0f} s so far")
    else:
        rows = f"{progress.done:,}" + (f" of {progress.total:,}" if progress.total else "") + f" {progress.note}"
        left = f"{progress.left:.0f} s left" if progress.left is not None else f"{seconds(step):.0f} s so far"
        rest = (rows, _rate(progress.rate), left)
    return (f"  {step.name}", _state(step.state), verdict(step.verdict), *rest)


def _rate(rate: float | None) -> str:
    """Per second; slow ones keep a decimal."""
    return "" if not rate else f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"


def _line(title: str, step: StepRun) -> Text:
    took = f"{seconds(step):6.1f} s"
    state = _state(step.state)
    state.pad_right(LONGEST_STATE - len(state))
    return Text.assemble(f"{title:<29} {step.name:<17} ", state, f" {took}  ", verdict(step.verdict))


def _state(state: str) -> Text:
    sign, style = LOOKS[state]
    return Text(f"{sign} {state}", style)


def verdict(value: str) -> Text:
    """A verdict as a word with its colour; empty for none."""
    word, style = VERDICTS.get(value, ("", ""))
    return Text(word, style)


def seconds(step: StepRun | Run) -> float:
    """How long it has been running or ran, in seconds."""
    if step.started_at is None:
        return 0.0
    return ((step.finished_at or timezone.now()) - step.started_at).total_seconds()
