"""From data to pixels: scales, and ticks at numbers that a person would choose."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

SMALLEST = 1e-290  # a range below it counts as none: the powers of ten of its ticks would leave the range of a float


@dataclass(frozen=True)
class Scale:
    """A linear scale from data (``low`` to ``high``) to pixels (``start`` to ``end``, which may run backwards)."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value; one outside the data's range is moved to its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, count: int = 5) -> list[float]:
        """Round numbers inside the range, about ``count`` of them."""
        step = tick_step(self.low, self.high, count)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [place * step for place in range(first, last + 1)]

    def tick_label(self, value: float, count: int = 5) -> str:
        """A tick's number with just the decimals that the step between ticks needs."""
        step = tick_step(self.low, self.high, count)
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        if decimals and not math.isclose(step * 10**decimals, round(step * 10**decimals)):
            decimals += 1
        if abs(value) >= 1e7 or decimals > 6:
            digits = math.floor(math.log10(abs(value) or step)) - math.floor(math.log10(step)) + 2
            return f"{value:.{min(max(digits, 1), 12)}g}"
        return f"{round(value, decimals) + 0.0:,.{decimals}f}"


def tick_step(low: float, high: float, count: int) -> float:
    """1, 2, 2.5 or 5 times a power of ten, so that about ``count`` steps cover the range."""
    rough = (high - low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    return next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= rough * 0.999)


def extent(
    values: Iterable[float], *, fraction: bool = False, zero: bool = False, room: float = 0.06
) -> tuple[float, float]:
    """The range to show: the data with a little room, never empty.

    ``fraction``: stay within 0 and 1 if the data does; ``zero``: begin at 0 if the data is positive.
    """
    numbers = [value for value in values if math.isfinite(value)]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    inside = low >= 0 and high <= 1
    spread = high - low
    pad = spread * room if spread > SMALLEST else max(abs(high) * 0.1, 0.05)
    start, end = low - pad, high + pad
    if fraction and inside:
        start, end = max(0.0, start), min(1.0, end)
    if zero and low >= 0:
        start = 0.0
    return start, end


def readable(value: float) -> str:
    """A value beside its mark: three decimals for small numbers, separators for large ones."""
    if value and (abs(value) < 0.0005 or abs(value) >= 1e9):
        return f"{value:.2e}"
    decimals = 3 if abs(value) < 10 else 1 if abs(value) < 1000 else 0
    return f"{value:,.{decimals}f}"
