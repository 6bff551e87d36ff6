"""What the template tags write: exact figures, signs with words, and nothing unescaped."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.paginator import Paginator
from django.template import Context, Template
from django.test import RequestFactory
from django.utils.safestring import SafeString

from controlplane import looks, sidebyside, words
from controlplane.templatetags import countersign as tags
from security.measurement import Interval, Measurement, Verdict

ROOT = Path(__file__).resolve().parents[2]
DIGEST = "sha256:" + "9f2c4a7be01d" + "0" * 52
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def written(source: str, path: str = "/", **context: Any) -> str:
    request = RequestFactory().get(path)
    return Template("{% load countersign %}" + source).render(Context({"request": request, **context}))


def plain(markup: str) -> str:
    return re.sub(r"<[^>]+>", "", markup)


def parsed(markup: str) -> ET.Element:
    """Our own markup, which must also be well-formed XML."""
    return ET.fromstring(markup)  # noqa: S314


# --- figures


def test_a_measurement_carries_interval_and_sample_size() -> None:
    accuracy = Measurement(name="accuracy", value=0.8712, n=9769, interval=Interval(low=0.8617, high=0.8798))
    assert plain(tags.measurement(accuracy)) == "0.871 [0.862, 0.880], n = 9,769"
    assert words.measurement_text(accuracy) == "0.871 [0.862, 0.880], n = 9,769"


def test_the_title_of_a_measurement_keeps_every_digit_and_the_method() -> None:
    interval = Interval(low=0.8, high=0.9, level=0.9, method="bootstrap")
    markup = tags.measurement(Measurement(name="f1", value=0.8712345678, n=3, interval=interval))
    assert "f1 = 0.8712345678; 90 % interval (bootstrap)" in markup


def test_a_measurement_as_stored_json_reads_the_same() -> None:
    accuracy = Measurement(name="accuracy", value=0.5, n=4)
    assert tags.measurement(accuracy.model_dump(mode="json")) == tags.measurement(accuracy)


def test_a_measurement_that_could_not_be_made_says_why() -> None:
    missing = Measurement(name="tpr", value=None, n=8, note="8 rows, 30 are needed")
    assert plain(tags.measurement(missing)) == "not measured: 8 rows, 30 are needed"
    assert "missing" in tags.measurement(missing)


def test_a_note_cannot_carry_markup() -> None:
    missing = Measurement(name="tpr", value=None, n=0, note="<script>alert(1)</script>")
    assert "<script>" not in tags.measurement(missing)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1.0, "fraction", "1.000"),
        (0.0, "fraction", "0.000"),
        (-0.25, "fraction", "−0.250"),
        (0.00012, "fraction", "1.2 × 10⁻⁴"),
        (-0.00012, "fraction", "−1.2 × 10⁻⁴"),
        (32561.0, "rows", "32,561 rows"),
        (12.345, "seconds", "12.35 s"),
        (123.45, "nats", "123.5 nats"),
    ],
)
def test_a_value_keeps_its_telling_digits_and_unit(value: float, unit: str, expected: str) -> None:
    assert words.measurement_parts(Measurement(name="x", value=value, unit=unit, n=1))[0] == expected


def test_bounds_have_as_many_decimals_as_the_value() -> None:
    measured = Measurement(name="x", value=101.26, unit="nats", n=5, interval=Interval(low=9.876, high=250))
    assert words.measurement_text(measured) == "101.3 nats [9.9, 250.0], n = 5"


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (4_404_019, "4.2 MiB"),
        (2**50, "1,024.0 TiB"),
    ],
)
def test_sizes_are_in_binary_units(count: int, expected: str) -> None:
    assert words.size(count) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.85, "850 ms"),
        (0.9996, "1.0 s"),
        (4.23, "4.2 s"),
        (59.96, "1 min"),
        (192, "3 min 12 s"),
        (7500, "2 h 5 min"),
        (3600, "1 h"),
        (86_400 * 3 + 3600 * 4, "3 d 4 h"),
        (-4.2, "−4.2 s"),
    ],
)
def test_durations_are_in_their_two_largest_units(seconds: float, expected: str) -> None:
    assert words.duration(seconds) == expected
    assert words.duration(timedelta(seconds=seconds)) == expected


def test_filters_write_a_dash_for_nothing() -> None:
    assert written("{{ x|figure }}{{ x|size }}{{ x|duration }}", x=None) == "–––"


# --- times


@pytest.mark.parametrize(
    ("away", "expected"),
    [
        (timedelta(seconds=4), "just now"),
        (timedelta(seconds=59), "59 s ago"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(days=29), "29 d ago"),
        (-timedelta(days=5), "in 5 d"),
        (timedelta(days=31), "21 Oct 2026"),
    ],
)
def test_times_are_relative_within_a_month_and_dates_beyond(away: timedelta, expected: str) -> None:
    assert words.relative(NOW - away, NOW) == expected


def test_the_script_and_the_server_know_the_same_steps() -> None:
    script = (ROOT / "static/countersign/times.js").read_text()
    found = re.findall(r"\[([\d *]+), (\d+), \"(\w+)\"\]", script)
    steps = [(eval_product(limit), int(unit), name) for limit, unit, name in found]
    assert steps == list(words.RELATIVE_STEPS)


def eval_product(text: str) -> int:
    product = 1
    for factor in text.split("*"):
        product *= int(factor)
    return product


def test_a_time_has_the_exact_utc_time_in_its_title() -> None:
    when = datetime(2026, 3, 1, 1, 30, 5, tzinfo=UTC).astimezone()
    assert 'title="2026-03-01 01:30:05 UTC"' in tags.ago(when)
    assert plain(tags.ago(None, "never")) == "never"


# --- digests


def test_a_digest_shows_twelve_characters_and_carries_the_whole() -> None:
    root = parsed(f"<r>{tags.digest(DIGEST)}</r>")
    element = next(root.iter("copy-text"))
    assert element.get("value") == DIGEST.removeprefix("sha256:")
    assert element.get("title") == DIGEST
    code = next(root.iter("code"))
    assert code.text == "9f2c4a7be01d"
    assert "".join(code.itertext()) == DIGEST.removeprefix("sha256:")


def test_a_linked_digest_stays_a_link_with_copying_beside_it() -> None:
    root = parsed(f"<r>{tags.digest(DIGEST, '/artifacts/9f/')}</r>")
    link = next(root.iter("a"))
    assert link.get("href") == "/artifacts/9f/"
    assert list(link.iter("copy-text")) == []
    assert next(root.iter("copy-text")).get("value") == DIGEST.removeprefix("sha256:")


def test_a_digest_from_outside_is_escaped() -> None:
    assert "<b>" not in tags.digest("<b>&\"'", "javascript:'\"<b>")


def test_no_digest_is_a_dash() -> None:
    assert plain(tags.digest(None)) == "–"


# --- verdicts and states


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_is_a_sign_and_a_word(verdict: Verdict) -> None:
    badge = tags.verdict_badge(verdict)
    assert plain(badge) == verdict.value.capitalize()
    assert f"tone-{verdict.value}" in badge
    assert "<use " in badge
    assert tags.verdict_badge(verdict.value) == badge


@pytest.mark.parametrize("verdict", [None, "", "PASSED", "ok", object()])
def test_an_unknown_verdict_never_looks_like_a_pass(verdict: object) -> None:
    badge = tags.verdict_badge(verdict)
    assert "pass" not in badge.lower().replace("sprite", "")
    assert plain(badge) == "No verdict"


def test_a_sign_alone_still_speaks_its_word() -> None:
    assert 'aria-label="Inconclusive"' in tags.verdict_sign("inconclusive")


def test_a_kept_sign_never_lets_an_equal_text_through_unescaped() -> None:
    label = '"><script>alert(1)</script>'
    assert "<script>" in tags.icon("pass", SafeString(label))
    assert "<script>" not in tags.icon("pass", label)
    assert tags.icon("pass", "Open") != tags.icon("pass", "Shut") != tags.icon("fail", "Shut")


def test_an_unknown_state_shows_its_name_in_no_verdicts_colour() -> None:
    badge = tags.state_badge("half_done<")
    assert plain(badge) == "Half done&lt;"
    assert "tone-open" in badge


def test_every_sign_that_is_named_is_in_the_sprite() -> None:
    sprite = (ROOT / "static/countersign/icons/sprite.svg").read_text()
    drawn = {symbol.get("id") for symbol in parsed(sprite)}
    tables = [look.sign for look in (*looks.STATES.values(), *looks.VERDICTS.values())]
    named = {*tables, *(place.sign for place in looks.PLACES), *tags.CALLOUT_SIGNS.values()}
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        named |= set(re.findall(r'{% icon "([\w-]+)"', text)) | set(re.findall(r'sign="([\w-]+)"', text))
    assert named <= drawn


# --- lists


def test_a_sort_link_keeps_the_filters_and_leaves_the_page() -> None:
    head = written('{% sort_header "name" "Name" %}', "/runs/?state=failed&page=3&sort=name")
    assert 'aria-sort="ascending"' in head
    assert 'href="?state=failed&amp;sort=-name"' in head


def test_a_lists_own_order_is_shown_when_the_address_names_none() -> None:
    assert 'aria-sort="descending"' in written('{% sort_header "at" "Started" default="-at" %}', "/runs/")
    assert "aria-sort" not in written('{% sort_header "at" "Started" default="-at" %}', "/runs/?sort=name")


def test_page_links_keep_filters_and_repeated_values() -> None:
    page = Paginator(list(range(1204)), 50).get_page(3)
    markup = written("{% pagination page 'runs' %}", "/runs/?kind=a&kind=b&page=3", page=page)
    assert "101 to 150 of 1,204 runs" in markup
    assert 'href="?kind=a&amp;kind=b&amp;page=4" rel="next"' in markup
    assert '<span class="here" aria-current="page">3</span>' in markup
    assert "…" in markup


def test_one_page_shows_the_number_and_no_links() -> None:
    markup = written("{% pagination page 'runs' %}", page=Paginator([1, 2], 50).get_page(1))
    assert "2 runs" in markup
    assert "<a " not in markup


def test_a_sparkline_stays_in_its_box_and_has_words() -> None:
    drawn = parsed(tags.sparkline([3, 9, 6], "durations <1 min"))
    assert drawn.get("aria-label") == "durations <1 min"
    points = [tuple(map(float, pair.split(","))) for pair in drawn[0].get("points", "").split()]
    assert points == [(0, 22), (50, 2), (100, 12)]


def test_a_sparkline_of_equal_values_is_level_and_of_one_value_is_nothing() -> None:
    assert 'points="0.0,12.0 100.0,12.0"' in tags.sparkline([5, 5], "x")
    assert tags.sparkline([5], "x") == ""


# --- side by side


def test_a_diff_marks_the_changed_words_and_folds_the_rest() -> None:
    old = "\n".join([*(f"line {n}" for n in range(1, 11)), "estimator: logistic", "end"])
    new = old.replace("logistic", "forest")
    rows = sidebyside.rows(old, new)
    assert rows[0].folded == 7
    changed = next(row for row in rows if row.changed)
    assert changed.left is not None
    assert changed.right is not None
    assert [text for text, marked in changed.left.pieces if marked] == ["logistic"]
    assert [text for text, marked in changed.right.pieces if marked] == ["forest"]
    assert changed.left.number == 11


def test_a_diff_loses_no_line() -> None:
    old, new = "a\nb\nc\nd", "a\nx y z\nc\nd\ne"
    rows = sidebyside.rows(old, new, context=100)
    assert ["".join(t for t, _ in row.left.pieces) for row in rows if row.left] == old.splitlines()
    assert ["".join(t for t, _ in row.right.pieces) for row in rows if row.right] == new.splitlines()


def test_equal_texts_say_so() -> None:
    assert "The two are equal" in written("{% diff a a %}", a="x")


def test_a_diff_escapes_what_it_shows() -> None:
    assert "<script>" not in written("{% diff a b %}", a="x: <script>", b="y: <script>")


# --- the frame


@pytest.mark.parametrize(
    ("cookie", "expected"),
    [("dark", ' data-theme="dark"'), ("light", ' data-theme="light"'), ('"><script>', ""), ("", "")],
)
def test_the_theme_comes_from_the_cookie_and_only_known_ones_count(cookie: str, expected: str) -> None:
    request = RequestFactory().get("/")
    request.COOKIES["theme"] = cookie
    assert tags.theme(Context({"request": request})) == expected


def test_block_tags_escape_their_titles_and_keep_their_block() -> None:
    markup = written("{% panel t count=1204 %}<p>kept</p>{{ t }}{% endpanel %}", t="<b>")
    assert "<h2>&lt;b&gt;" in markup
    assert "1,204" in markup
    assert "<p>kept</p>&lt;b&gt;" in markup


def test_a_dialog_opens_without_a_script() -> None:
    markup = written('{% dialog "x" "Export" %}body{% enddialog %}')
    assert ' popover id="x"' in markup
    assert 'popovertargetaction="hide"' in markup


def test_initials_stand_for_people() -> None:
    assert [tags.initials(name) for name in ("Jonas Weber", "ada", "m.lindqvist", "A B C", "")] == [
        "JW",
        "A",
        "ML",
        "AC",
        "",
    ]


# --- promises over all templates and style sheets


TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_template_needs_an_unsafe_policy(template: Path) -> None:
    text = template.read_text()
    assert re.findall(r"\sstyle=|\son\w+=|hx-on|<style|javascript:", text) == []
    assert re.findall(r"<script(?![^>]*\bsrc=)", text) == []
    assert re.findall(r"(?:src|href)=[\"']https?://", text) == []


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_template_parses(template: Path) -> None:
    Template(template.read_text())
