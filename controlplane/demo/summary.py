"""What the demo found, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from controlplane.demo.cast import CAST
from controlplane.demo.progress import LOOKS, seconds, verdict
from controlplane.demo.running import Planned, family
from governance.models import Review, ReviewState
from governance.selectors.standing import REVIEW_RELATED, Standing, standings
from pipelines.models import StepRun
from security.log import sequencer, verification

# The measurements that speak for a step, most telling first; a step of another family shows its summary.
KEY_MEASUREMENTS: Mapping[str, tuple[str, ...]] = {
    "evaluate.classification": ("accuracy", "roc_auc", "recall"),
    "evaluate.slices": ("tpr_gap", "selection_rate_gap"),
    "attack.evasion": ("attack_success_rate",),
    "check.poisoning": ("label_noise_estimate", "suspicious_label_rate"),
    "monitor.drift": ("drifted_columns", "max_psi"),
}
MAX_SHOWN = 2


def people_table(passwords: Mapping[str, str]) -> Table:
    """Who can sign in; passwords that are new are shown here and kept nowhere."""
    table = _table("People (passwords are shown this once)")
    for heading in ("sign in as", "password", "name", "role", "part"):
        table.add_column(heading, no_wrap=heading == "password", overflow="fold")
    for person in CAST:
        if person.username in passwords:
            table.add_row(person.username, passwords[person.username], person.full_name, person.role.label, person.part)
    return table


def steps_table(planned: Sequence[Planned]) -> Table:
    """Every step with its state, time, verdict and the measurements that speak for it."""
    table = _table("Steps")
    for heading in ("step", "state", "seconds", "verdict", "what was measured"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left", overflow="fold")
    for one in planned:
        table.add_section()
        table.add_row(Text(one.title, "bold"), f"run {one.run.number}", f"{seconds(one.run):.1f}", "", "")
        for step in one.run.steps.all():
            sign, style = LOOKS[step.state]
            state = Text(f"{sign} {step.state}", style)
            table.add_row(f"  {step.name}", state, f"{seconds(step):.1f}", _verdict(step, one), measured(step))
    return table


def _verdict(step: StepRun, one: Planned) -> Text:
    word = verdict(step.verdict)
    if step.verdict == "fail" and family(step) in one.batch.findings:
        word.append(" (planted, and found)" if "batch" in one.batch.label else " (known, and found)", "dim")
    return word


def measured(step: StepRun) -> str:
    """Up to two telling measurements with interval, else the step's own summary."""
    names = KEY_MEASUREMENTS.get(family(step), ())
    values = [value for name in names if (value := _first(step.measurements, name))]
    return "; ".join(values[:MAX_SHOWN]) or step.summary


def _first(measurements: Sequence[Mapping[str, Any]], name: str) -> str:
    """The first measurement of that name that has a value, those over all rows before those of a group."""
    found = [one for one in measurements if one["name"] == name and one["value"] is not None]
    if not found:
        return ""
    one = min(found, key=lambda one: len(one["slice"]))
    where = ", ".join(f"by {key}" if value == "*" else f"at {key} {value}" for key, value in one["slice"].items())
    interval = one["interval"]
    text = f"{name.replace('_', ' ')} {one['value']:.3g}"
    if interval:
        text += f" ({interval['low']:.3g} to {interval['high']:.3g})"
    return f"{text} {where}" if where else text


def waiting_table() -> Table | None:
    """Open reviews, who can decide on them, and what is in the way; None when nothing waits."""
    found = list(Review.objects.filter(state=ReviewState.IN_REVIEW).select_related(*REVIEW_RELATED))
    if not found:
        return None
    now = standings(found)
    table = _table("Waiting for approval")
    for heading in ("model", "tier", "waits for", "in the way of an approval"):
        table.add_column(heading, overflow="fold")
    for review in found:
        standing = now[review.pk]
        obstacles = ", ".join(f"{gate.kind} {gate.verdict}" if gate.present else f"no {gate.kind}"
                              for gate in standing.gates if not gate.ok)  # fmt: skip
        table.add_row(str(review.model_version), standing.policy.tier, _whom(standing), obstacles or "nothing")
    return table


def _whom(standing: Standing) -> str:
    seats = []
    for seat in standing.seats:
        if seat.open:
            names = ", ".join(user.full_name for user in standing.eligible.get(seat.role, ())) or "nobody yet"
            seats.append(f"{seat.role.replace('-', ' ')}: {names}")
    return "\n".join(seats)


def verify_log(console: Console) -> bool:
    """Walk the audit log and say what was found."""
    sequencer.number_all()
    result = verification.verify()
    if (damage := result.damage) is not None:
        line = f"Audit log: DAMAGED at entry {damage.index} ({damage.kind}: {damage.detail})"
        console.print(line, style="bold red", highlight=False)
        return False
    console.print(f"Audit log: {result.entries:,} events, verified from first to last; root {result.root.hex()[:16]}…")
    return True


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
