"""The promises of contrast written at the head of the token file hold in both themes (WCAG 2.2, 1.4.3 and 1.4.11)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TOKENS = Path(__file__).resolve().parents[2] / "static" / "countersign" / "tokens.css"
PAIR = re.compile(r"^\s*pair: --([\w-]+) on --([\w-]+) ([\d.]+)$", re.MULTILINE)
COLOUR = re.compile(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);")
THEMES = ("light", "dark")

PAIRS = [(ink, ground, float(least)) for ink, ground, least in PAIR.findall(TOKENS.read_text())]
COLOURS = {name: dict(zip(THEMES, both, strict=True)) for name, *both in COLOUR.findall(TOKENS.read_text())}


def luminance(colour: str) -> float:
    """Relative luminance of ``#rrggbb`` as WCAG defines it."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


def test_the_measure_of_contrast_agrees_with_published_values() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.478, abs=0.001)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("ink", "ground", "least"), PAIRS, ids=str)
def test_a_documented_pair_keeps_its_contrast(ink: str, ground: str, least: float, theme: str) -> None:
    reached = contrast(COLOURS[ink][theme], COLOURS[ground][theme])
    assert reached >= least, f"{ink} on {ground} in the {theme} theme: {reached:.2f}, promised {least}"


def test_every_colour_is_in_some_promise() -> None:
    promised = {name for ink, ground, _ in PAIRS for name in (ink, ground)}
    decoration = {"deck-line"}  # a hairline between parts of the deck that are set apart by space as well
    assert set(COLOURS) - promised == decoration


def test_text_pairs_promise_at_least_what_aa_asks() -> None:
    marks = {"edge", "line"}
    assert [pair for pair in PAIRS if pair[2] < 4.5 and not marks & set(pair[:2])] == []


def test_no_style_sheet_names_a_colour_of_its_own() -> None:
    """A colour outside the tokens would escape the themes and these tests; the shade behind a dialog may."""
    for sheet in TOKENS.parent.rglob("*.css"):
        if sheet == TOKENS:
            continue
        text = sheet.read_text().replace("rgb(10 14 20 / 0.5)", "")
        assert re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|\boklch\(", text) == [], sheet.name


def test_every_token_that_is_used_exists() -> None:
    text = {sheet: sheet.read_text() for sheet in TOKENS.parent.rglob("*.css")}
    defined = {name for sheet in text.values() for name in re.findall(r"(--[\w-]+):", sheet)}
    for sheet, content in text.items():
        assert set(re.findall(r"var\((--[\w-]+)", content)) <= defined, sheet.name
