"""A row's own identity in its free text, however it is written."""

from __future__ import annotations

import pytest

from security.privacy.identity import find_identity, fold
from security.privacy.spans import Span, merge, write_over

IDENTITY = {
    "full_name": "Dr. José María O'Neil-Smith",
    "email": "jose.oneil@example.org",
    "phone": "(312) 555-0142",
    "card": "4111111111111111",
    "missing": None,
}


def redact(text: str, *, parts: bool = True) -> str:
    return write_over(text, merge(find_identity(text, IDENTITY, parts=parts)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("JOSE called", "<FULL_NAME> called"),
        ("from josé.", "from <FULL_NAME>."),
        ("Mrs. O'NEIL-SMITH wrote", "Mrs. <FULL_NAME> wrote"),
        ("a smithy and marias stay", "a smithy and marias stay"),
        ("Dr. Who stays", "Dr. Who stays"),
        ("Jose.Oneil@EXAMPLE.org", "<EMAIL>"),
        ("at 312.555.0142, 3125550142 or +1 312-555-0142", "at <PHONE>, <PHONE> or <PHONE>"),
        ("in 2025 (312) 555 0142", "in 2025 <PHONE>"),
        ("card 4111 1111-11111111.", "card <CARD>."),
        ("31255501429 is another number", "31255501429 is another number"),
    ],
)
def test_forms(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_whole_values_only() -> None:
    assert redact("Smith, dr. jose maria o'neil-smith", parts=False) == "Smith, <FULL_NAME>"


def test_folding_keeps_positions() -> None:
    for text in ("Straße ÀÉ ﬁ İ Å", "ａｂｃ", "日本", "e\u0301"):
        assert len(fold(text)) == len(text)


def test_merging_does_not_depend_on_the_order_found() -> None:
    spans = [Span(0, 5, "A", 0.5), Span(3, 9, "B", 0.9), Span(9, 12, "C", 1.0), Span(20, 22, "D", 1.0)]
    assert merge(spans) == merge(reversed(spans)) == [Span(0, 9, "B", 0.9), Span(9, 12, "C"), Span(20, 22, "D")]


def test_a_long_span_swallows_all_that_it_covers() -> None:
    spans = [Span(0, 20, "A", 0.5), Span(1, 3, "B", 0.4), Span(10, 12, "C", 0.4), Span(19, 25, "D", 0.4)]
    assert merge(spans) == [Span(0, 25, "A", 0.5)]
