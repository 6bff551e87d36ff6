"""Spans of personal data in a text: found by whom ever, merged, and written over with the entity's name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Span:
    """Characters ``start`` up to ``end`` (not included) of a text are an ``entity``, with a score in 0..1."""

    start: int
    end: int
    entity: str
    score: float = 1.0


def merge(spans: Iterable[Span]) -> list[Span]:
    """Spans in text order that do not overlap: overlapping ones become one that covers all of them.

    Its entity is that of the highest score, then of the longest, then of the first name, so that the order in which
    spans were found does not matter.
    """
    merged: list[list[Span]] = []
    end = -1
    for span in sorted(spans):
        if merged and span.start < end:
            merged[-1].append(span)
        else:
            merged.append([span])
        end = max(end, span.end) if merged[-1][0] is not span else span.end
    return [_union(group) for group in merged]


def _union(group: Sequence[Span]) -> Span:
    best = min(group, key=lambda span: (-span.score, span.start - span.end, span.entity))
    return Span(group[0].start, max(span.end for span in group), best.entity, best.score)


def write_over(text: str, spans: Sequence[Span]) -> str:
    """``text`` with each of the ``spans`` (merged, in order) replaced by ``<ENTITY>``."""
    parts, position = [], 0
    for span in spans:
        parts += [text[position : span.start], f"<{span.entity}>"]
        position = span.end
    return "".join([*parts, text[position:]])
