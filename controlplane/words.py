"""How figures, times and sizes are written on every page: pure functions from values to text.

Numbers carry their unit, interval and sample size (``0.871 [0.862, 0.880], n = 9,769``); a minus is a minus sign;
sizes are powers of 1024; times are words with the exact UTC time kept beside them by the caller.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from security.measurement import Interval, Measurement

UNIT_SUFFIXES = {"fraction": "", "ratio": "", "": "", "seconds": " s", "bytes": " B", "percent": " %"}
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
DECIMALS = ((1000, 0), (100, 1), (10, 2))
SMALLEST_PLAIN = 0.0005
JUST_NOW_SECONDS = 5
RELATIVE_STEPS = ((60, 1, "s"), (3600, 60, "min"), (86_400, 3600, "h"), (30 * 86_400, 86_400, "d"))
DURATION_PAIRS = ((86_400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))


def number(value: float, decimals: int | None = None) -> str:
    """``value`` with thousands separators: whole numbers bare, others as their size asks."""
    if decimals is None:
        decimals = 0 if float(value).is_integer() else decimals_for(value)
    if value and abs(value) < SMALLEST_PLAIN and decimals:
        return _scientific(value)
    text = f"{value:,.{decimals}f}"
    return "−" + text[1:] if text.startswith("-") else text


def decimals_for(value: float) -> int:
    """How many decimals keep three to four telling digits: 3 below 10, then 2, 1, 0."""
    return next((decimals for limit, decimals in DECIMALS if abs(value) >= limit), 3)


def _scientific(value: float) -> str:
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa.replace('-', '−')} × 10{str(int(exponent)).translate(SUPERSCRIPTS)}"


def counted(count: int, things: str) -> str:
    """``1,204 runs``, ``1 run``, ``1 person``."""
    one = {"people": "person"}.get(things, things.removesuffix("s"))
    return f"{number(count)} {one if count == 1 else things}".rstrip()


def size(count: int) -> str:
    """Bytes in binary units with three telling digits: ``512 B``, ``4.2 KiB``, ``1.3 GiB``."""
    if abs(count) < 1024:
        return f"{count} B"
    amount = float(count)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        amount /= 1024
        if abs(amount) < 1023.95 or unit == "TiB":
            break
    return f"{amount:,.1f} {unit}"


def duration(value: timedelta | float) -> str:
    """Seconds in the two largest units: ``850 ms``, ``4.2 s``, ``3 min 12 s``, ``2 h 5 min``, ``3 d 4 h``."""
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if seconds < 0:
        return "−" + duration(-seconds)
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    large, name, small, small_name = next(pair for pair in DURATION_PAIRS if whole >= pair[0])
    rest = whole % large // small
    return f"{whole // large} {name} {rest} {small_name}" if rest else f"{whole // large} {name}"


def relative(when: datetime, now: datetime) -> str:
    """``when`` as seen from ``now`` (both aware): ``3 min ago``, ``in 5 d``; beyond 30 days the date.

    ``static/countersign/times.js`` writes the same words as time passes.
    """
    seconds = (now - when).total_seconds()
    ahead, away = seconds < 0, abs(seconds)
    if away < JUST_NOW_SECONDS:
        return "just now"
    for limit, unit, name in RELATIVE_STEPS:
        if away < limit:
            words = f"{int(away // unit)} {name}"
            return f"in {words}" if ahead else f"{words} ago"
    utc = when.astimezone(UTC)
    return f"{utc.day} {utc:%b %Y}"


def exact(when: datetime) -> str:
    """The exact time in UTC: ``2026-11-21 06:49:12 UTC``."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def measurement_parts(measurement: Measurement) -> tuple[str, str, str]:
    """Value with unit, interval and sample size as they stand on a page; the interval is empty when there is none."""
    if measurement.value is None:
        return "not measured", "", ""
    written = _writer(measurement)
    return (
        written(measurement.value) + UNIT_SUFFIXES.get(measurement.unit, f" {measurement.unit}"),
        _interval(measurement.interval, written) if measurement.interval else "",
        f"n = {measurement.n:,}",
    )


def _writer(measurement: Measurement) -> Callable[[float], str]:
    """One number of decimals for the value and its bounds: a count stays whole, a fraction keeps its zeros."""
    value, interval = measurement.value or 0.0, measurement.interval
    numbers = [value, *((interval.low, interval.high) if interval else ())]
    whole = measurement.unit not in UNIT_SUFFIXES and all(float(one).is_integer() for one in numbers)
    decimals = 0 if whole else decimals_for(value)
    return lambda one: number(one, decimals)


def _interval(interval: Interval, written: Callable[[float], str]) -> str:
    return f"[{written(interval.low)}, {written(interval.high)}]"


def measurement_text(measurement: Measurement) -> str:
    """One line for text alternatives and titles: ``0.871 [0.862, 0.880], n = 9,769``."""
    value, interval, n = measurement_parts(measurement)
    if measurement.value is None:
        return f"{value}: {measurement.note}" if measurement.note else value
    return f"{value} {interval}, {n}" if interval else f"{value}, {n}"


def slice_text(group: dict[str, str]) -> str:
    """A group as it is named beside a figure: ``sex = Female, race = Black``; all rows when it is empty.

    ``{"sex": "*"}`` is a figure over all groups of a column: ``by sex``.
    """
    if group and set(group.values()) == {"*"}:
        return f"by {' × '.join(group)}"
    return ", ".join(f"{column} = {value}" for column, value in group.items()) or "all rows"
