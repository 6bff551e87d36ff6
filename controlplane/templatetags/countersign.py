"""Template tags of the look: verdicts, states, figures, digests, times, lists and the parts that wrap a block.

``{% load countersign %}``. Every tag that shows a verdict or a state gives a sign and a word, never a colour alone.
Partials with more markup are under ``templates/components`` (README.md there lists them).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django import template
from django.core.paginator import Page
from django.http import HttpRequest
from django.template import Context
from django.templatetags.static import static
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import capfirst

from controlplane import sidebyside, words
from controlplane.looks import PLACES, Look, look_of_state, look_of_verdict
from security.measurement import Measurement

register = template.Library()

SHORT_DIGEST = 12
THEMES = ("light", "dark")


# --- signs, verdicts, states


@register.simple_tag
def icon(name: str, label: str = "", css: str = "") -> SafeString:
    """One sign of the sprite; with ``label`` it speaks for itself, without it is decoration beside a word."""
    return _icon(name, label, css)


# A page repeats a few signs hundreds of times. Labels come from pages, so there is a bound; and by type, so that a
# text that was marked safe is never what an equal one from a person gets.
@lru_cache(maxsize=1024, typed=True)
def _icon(name: str, label: str, css: str) -> SafeString:
    reference = f"{static('countersign/icons/sprite.svg')}#{name}"
    spoken = format_html('role="img" aria-label="{}"', label) if label else mark_safe('aria-hidden="true"')
    return format_html('<svg class="icon {}" {}><use href="{}"></use></svg>', css, spoken, reference)


@register.filter
def tone(verdict: object) -> str:
    """The colour class of a verdict: ``pass``, ``fail``, ``inconclusive`` or ``open``."""
    return look_of_verdict(verdict).tone


@register.filter
def state_word(state: object) -> str:
    """The word of a state: ``timed_out`` gives ``Timed out``."""
    return look_of_state(state).word


def _badge(look: Look, word: str) -> SafeString:
    turning = " turning" if look.sign == "turning" else ""
    return format_html(
        '<span class="badge tone-{}{}">{}{}</span>', look.tone, turning, icon(look.sign), word or look.word
    )


@register.simple_tag
def verdict_badge(verdict: object, word: str = "") -> SafeString:
    """A verdict as sign and word; ``word`` replaces the word, not the sign."""
    return _badge(look_of_verdict(verdict), word)


@register.simple_tag
def state_badge(state: object, word: str = "") -> SafeString:
    """The state of a run, step, review or approval as sign and word."""
    return _badge(look_of_state(state), word)


@register.simple_tag
def verdict_sign(verdict: object) -> SafeString:
    """Only the sign, with the word for screen readers: for matrices and dense tables that have a legend."""
    return _sign(look_of_verdict(verdict))


@cache  # of the few looks in the table
def _sign(look: Look) -> SafeString:
    return format_html(
        '<span class="badge sign tone-{}" title="{}">{}</span>', look.tone, look.word, icon(look.sign, look.word)
    )


@register.simple_tag
def gate_signs(gates: Sequence[Any]) -> SafeString:
    """One sign for each gate, in their order, with its question and what was found in the title."""
    return mark_safe("".join(_gate_sign(gate.question, gate.reason, gate.verdict) for gate in gates))  # noqa: S308


@lru_cache(maxsize=1024, typed=True)  # a list shows the same few questions and findings in every line
def _gate_sign(question: str, reason: str, verdict: object) -> SafeString:
    return format_html('<span title="{} {}.">{}</span>', question, capfirst(reason), verdict_sign(verdict))


# --- figures


@register.simple_tag
def measurement(value: Measurement | Mapping[str, Any]) -> SafeString:
    """A measurement as ``0.871 [0.862, 0.880], n = 9,769``; the full value, level and method are in the title."""
    measured = value if isinstance(value, Measurement) else Measurement.model_validate(value)
    if measured.value is None:
        return format_html('<span class="measure missing">{}</span>', words.measurement_text(measured))
    shown, interval, n = words.measurement_parts(measured)
    bounds = format_html(' <span class="measure-interval">{}</span>', interval) if interval else ""
    return format_html(
        '<span class="measure" title="{}"><span class="measure-value">{}</span>{}'
        '<span class="measure-n">, {}</span></span>',
        _measurement_title(measured),
        shown,
        bounds,
        n,
    )


def _measurement_title(measured: Measurement) -> str:
    parts = [f"{measured.name} = {measured.value!r}"]
    if measured.interval:
        method = f" ({measured.interval.method})" if measured.interval.method else ""
        parts.append(f"{measured.interval.level * 100:g} % interval{method}")
    return "; ".join([*parts, *([measured.note] if measured.note else [])])


@register.filter
def figure(value: float | str | None, decimals: int | None = None) -> str:
    """A number with separators; nothing (None, or a name that the template did not find) gives an en dash."""
    return "–" if value is None or isinstance(value, str) else words.number(value, decimals)


@register.filter
def initials(person: object) -> str:
    """Two letters that stand for a person beside a name."""
    parts = str(person).replace(".", " ").replace("_", " ").split()
    return "".join(part[0] for part in (parts[:1] + parts[-1:] if len(parts) > 1 else parts)).upper()


@register.filter
def size(value: int | str | None) -> str:
    """A number of bytes: ``4.2 MiB``."""
    return "–" if value is None or isinstance(value, str) else words.size(value)


@register.filter
def duration(value: timedelta | float | str | None) -> str:
    """Seconds or a timedelta: ``3 min 12 s``."""
    return "–" if value is None or isinstance(value, str) else words.duration(value)


@register.filter
def slice_name(group: dict[str, str] | None) -> str:
    """The group a figure was measured on."""
    return words.slice_text(group or {})


@register.filter
def canonical_json(value: object) -> str:
    """A value as indented JSON with sorted keys, to be read, not parsed."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=str)


# --- times, digests


@register.simple_tag
def ago(when: datetime | None, missing: str = "–") -> SafeString:
    """A time in words with the exact UTC time in the title; ``missing`` when there is none."""
    if when is None:
        return format_html('<span class="muted">{}</span>', missing)
    return format_html(
        '<time datetime="{}" title="{}" data-relative>{}</time>',
        when.isoformat(),
        words.exact(when),
        words.relative(when, timezone.now()),
    )


@register.simple_tag
def exact_time(when: datetime | date | None) -> SafeString:
    """The exact time in UTC (signatures, audit events) or a plain date."""
    if when is None:
        return mark_safe('<span class="muted">–</span>')
    shown = words.exact(when) if isinstance(when, datetime) else when.isoformat()
    return format_html('<time datetime="{}">{}</time>', when.isoformat(), shown)


@register.filter
def short_digest(value: str | None) -> str:
    """The first 12 hexadecimal characters, without an algorithm prefix."""
    return (value or "").rpartition(":")[2][:SHORT_DIGEST]


@register.simple_tag
def digest(value: str | None, url: str = "") -> SafeString:
    """A digest as its first 12 characters: whole on hover and when copied, a link with ``url``."""
    if not value:
        return mark_safe('<span class="muted">–</span>')
    bare = value.rpartition(":")[2]
    head, rest = bare[:SHORT_DIGEST], bare[SHORT_DIGEST:]
    body = format_html('<code>{}<span class="rest" aria-hidden="true">{}</span></code>', head, rest)
    if url:
        body = format_html('<a class="digest-link" href="{}" title="{}">{}</a>', url, value, body)
    return copyable(bare, body, linked=bool(url), title=value)


def copyable(value: str, body: SafeString, *, linked: bool, title: str, kind: str = "digest") -> SafeString:
    """``body`` with the means to copy ``value``; beside a link only the sign copies, so that the link stays a link."""
    hint = format_html('<span class="hint">{}</span>', icon("copy"))
    label = format_html('value="{}" title="{}"', value, title)
    if linked:
        return format_html(
            '<span class="nowrap">{} <copy-text class="digest" {}>{}</copy-text></span>', body, label, hint
        )
    return format_html('<copy-text class="{}" {}>{}{}</copy-text>', kind, label, body, hint)


@register.simple_tag
def copy(value: str) -> SafeString:
    """A short value in code type, whole, copied on click: a command, a token, an address."""
    return copyable(value, format_html("<code>{}</code>", value), linked=False, title="Copy", kind="digest whole")


# --- the frame of a page


@register.simple_tag(takes_context=True)
def theme(context: Context) -> SafeString:
    """The ``data-theme`` attribute for ``<html>`` from the reader's cookie; nothing means: as the system says."""
    request = context.get("request")
    chosen = request.COOKIES.get("theme") if isinstance(request, HttpRequest) else None
    return format_html(' data-theme="{}"', chosen) if chosen in THEMES else mark_safe("")


@register.inclusion_tag("components/places.html", takes_context=True)
def places(context: Context) -> dict[str, Any]:
    """The navigation. A place whose page this installation does not have is left out; ``waiting`` in the context
    (place's view name to a number) puts a count beside it."""
    request = context.get("request")
    path = request.path if isinstance(request, HttpRequest) else ""
    found = [(place, url) for place in PLACES if (url := _reverse(place.view))]
    here = max((url for _, url in found if _is_under(path, url)), key=len, default="")
    waiting = context.get("waiting") or {}
    return {"entries": [(place, url, url == here, waiting.get(place.view)) for place, url in found]}


def _reverse(view: str) -> str:
    try:
        return reverse(view)
    except NoReverseMatch:
        return ""


def _is_under(path: str, url: str) -> bool:
    return path == url if url == "/" else path.startswith(url)


@register.simple_tag
def crumb(word: str, url: str = "") -> SafeString:
    """One step of the way to this page."""
    return format_html('<li><a href="{}">{}</a></li>', url, word) if url else format_html("<li>{}</li>", word)


# --- lists


def query(request: HttpRequest, **changes: str | int | None) -> str:
    """The address's query with ``changes``; ``None`` removes a name. Always starts with ``?``."""
    values = request.GET.copy()
    for name, value in changes.items():
        values.pop(name, None)
        if value is not None:
            values[name] = str(value)
    return "?" + values.urlencode()


@register.simple_tag(takes_context=True)
def sort_header(context: Context, field: str, word: str, css: str = "", default: str = "") -> SafeString:
    """A column's head that sorts by ``field`` (``?sort=field`` and ``-field``), saying how it is sorted now.

    ``default`` is the list's own order when the address names none; ``css`` is ``num`` for a column of numbers.
    """
    request = context["request"]
    now = request.GET.get("sort", default)
    state = {field: "ascending", f"-{field}": "descending"}.get(now, "")
    turned = f"-{field}" if state == "ascending" else field
    return format_html(
        '<th scope="col" class="{}"{}><a href="{}">{}{}</a></th>',
        css,
        format_html(' aria-sort="{}"', state) if state else "",
        query(request, sort=turned, page=None),
        word,
        icon("up" if state == "ascending" else "down") if state else "",
    )


@register.inclusion_tag("components/pagination.html", takes_context=True)
def pagination(context: Context, page: Page[Any], noun: str = "", name: str = "page") -> dict[str, Any]:
    """How many there are, and links to the other pages that keep the filters and the order.

    ``name``: where the address says which page, for a second list on one page.
    """
    request = context["request"]

    def link(number: int) -> str:
        return query(request, **{name: number})

    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    return {
        "page": page,
        "total": words.counted(page.paginator.count, noun),
        "links": [(one, link(one) if isinstance(one, int) else "") for one in numbers],
        "previous": link(page.previous_page_number()) if page.has_previous() else "",
        "next": link(page.next_page_number()) if page.has_next() else "",
    }


@register.inclusion_tag("components/diff.html")
def diff(left: str, right: str, left_title: str = "Before", right_title: str = "After") -> dict[str, Any]:
    """Two texts side by side, the changed words marked, equal stretches folded."""
    return {"rows": sidebyside.rows(left, right), "left_title": left_title, "right_title": right_title}


@register.simple_tag
def sparkline(values: Sequence[float], label: str) -> SafeString:
    """A line of the last values without axes; ``label`` says in words what it shows. Fewer than two draw nothing."""
    if len(values) < 2:
        return mark_safe("")
    low, high = min(values), max(values)
    points = [(100 * at / (len(values) - 1), 22 - 20 * _share(value, low, high)) for at, value in enumerate(values)]
    joined = format_html_join(" ", "{},{}", ((f"{x:.1f}", f"{y:.1f}") for x, y in points))
    return format_html(
        '<svg class="sparkline" viewBox="0 0 100 24" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polyline points="{}"></polyline></svg>',
        label,
        joined,
    )


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


# --- parts that wrap a block


@register.simple_block_tag
def panel(content: str, title: str, count: int | str | None = None, flush: bool = False, id: str = "") -> SafeString:
    """A titled sheet around the block; ``flush`` lets a table or list reach its edges. ``count``: how many there are,
    a text (``50+``) where that is not known."""
    number = words.number(count) if isinstance(count, int) else count
    return format_html(
        '<section class="panel"{}><header class="panel-head"><h2>{}{}</h2></header>'
        '<div class="panel-body{}">{}</div></section>',
        format_html(' id="{}"', id) if id else "",
        title,
        format_html(' <span class="count">{}</span>', number) if number else "",
        " flush" if flush else "",
        content,
    )


CALLOUT_SIGNS = {"pass": "pass", "fail": "fail", "inconclusive": "warning", "accent": "info", "": "info"}


@register.simple_block_tag
def callout(content: str, tone: str = "", sign: str = "") -> SafeString:
    """A remark that must be seen; ``tone`` is a verdict's colour, ``accent`` or none."""
    shown = icon(sign or CALLOUT_SIGNS[tone])
    return format_html('<div class="callout tone-{}">{}<div>{}</div></div>', tone or "neutral", shown, content)


@register.simple_block_tag
def dialog(content: str, id: str, title: str) -> SafeString:
    """A dialog that a ``<button popovertarget="id">`` opens without a script; Escape and the cross close it."""
    return format_html(
        '<div class="dialog" popover id="{0}" role="dialog" aria-labelledby="{0}-title"><header class="dialog-head">'
        '<h2 id="{0}-title">{1}</h2><button type="button" class="button quiet" popovertarget="{0}" '
        'popovertargetaction="hide">{2}</button></header><div class="dialog-body">{3}</div></div>',
        id,
        title,
        icon("cross", "Close"),
        content,
    )
