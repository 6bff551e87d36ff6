"""Filters and ordering of lists. A name that is not known is refused, with the names that are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import django_filters
from django import forms
from django.core.validators import RegexValidator
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField
from drf_spectacular.utils import extend_schema_field
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from security.canonical import DIGEST
from security.errors import InvalidError

LARGEST = 92 * 10**17 - 1  # a round number below the largest integer of a database


class Ordering(BaseFilterBackend):
    """``?ordering=-created_at,name`` by the names in the view's ``ordering_fields``, made total by the key."""

    def filter_queryset(self, request: Request, queryset: QuerySet[Any], view: Any) -> QuerySet[Any]:
        names = [name for name in request.query_params.get("ordering", "").split(",") if name]
        wrong = [name for name in names if name.removeprefix("-") not in view.ordering_fields]
        if len({name.removeprefix("-") for name in names}) < len(names):
            raise InvalidError("A list is ordered by each name once.", field="ordering")
        if wrong:
            raise InvalidError(
                f"A list is not ordered by {wrong[0][:60]!r}; there is {', '.join(view.ordering_fields)}.",
                field="ordering",
            )
        chosen: list[Any] = names or list(queryset.query.order_by or queryset.model._meta.ordering)
        return queryset.order_by(*chosen, *([] if {"pk", "-pk"} & set(chosen) else ["pk"]))

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """The ``ordering`` parameter; absent where a list has one order only."""
        if not view.ordering_fields:
            return []
        choices = [sign + name for name in view.ordering_fields for sign in ("", "-")]
        schema = {"type": "array", "items": {"type": "string", "enum": choices}, "minItems": 1}
        text = "Which order; a minus turns it round."
        return [
            {
                "name": "ordering",
                "in": "query",
                "required": False,
                "description": text,
                "schema": schema,
                "style": "form",
                "explode": False,
            }
        ]


def known_names(view: Any) -> set[str]:
    """The query parameters that an operation reads."""
    names = set(view.query)
    if view.filterset_class is not None:
        names |= set(view.filterset_class.base_filters)
    if view.pagination_class is not None:
        names |= {"page", "page_size"}
    if view.ordering_fields:
        names.add("ordering")
    if len(view.renderer_classes) > 1:
        names.add("format")
    return names


def refuse_unknown(request: Request, known: Iterable[str]) -> None:
    """Raise InvalidError for the first query parameter that is not ``known``, or that says nothing.

    An empty filter is refused because it usually is a script's unset variable, and would list everything.
    """
    names = sorted(known)
    for name, value in request.query_params.items():
        if name not in names:
            near = difflib.get_close_matches(name[:60], names, n=1, cutoff=0.6)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            there = f"there is {', '.join(names)}" if names else "there is none"
            raise InvalidError(
                f"There is no filter {name[:60]!r} here; {there}.{hint}", field=name[:60], extra={"known": names}
            )
        if not value:
            raise InvalidError(f"“{name}” is empty: give it a value, or leave it out.", field=name)


class _WordField(forms.CharField):
    """Text in one exact form; ``convert`` makes the value of it."""

    def __init__(self, *, form: str, hint: str, convert: Callable[[str], Any], **kwargs: Any) -> None:
        super().__init__(strip=False, validators=[RegexValidator(rf"^(?:{form})\Z", hint)], **kwargs)
        self._convert = convert

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        return self._convert(text) if text else None


class _TimeField(IsoDateTimeField):
    """RFC 3339 in UTC; a moment that UTC cannot name is refused here and not in the database."""

    def to_python(self, value: Any) -> datetime | None:
        try:
            found = super().to_python(value)
            return found.astimezone(UTC) if isinstance(found, datetime) else None
        except (OverflowError, ValueError):
            raise forms.ValidationError("Write a time such as 2026-11-21T06:50:48Z.") from None


class TimeFilter(django_filters.IsoDateTimeFilter):
    """A moment: ``2026-11-21T06:50:48Z``."""

    field_class = _TimeField


@extend_schema_field({"type": "integer", "minimum": 0, "maximum": LARGEST})
class NumberFilter(django_filters.Filter):
    """A whole number that a database can hold."""

    field_class = _WordField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        hint = f"Write a whole number from 0 to {LARGEST}."
        super().__init__(*args, form="[0-9]{1,18}|[1-8][0-9]{18}|9[01][0-9]{17}", hint=hint, convert=int, **kwargs)


@extend_schema_field({"type": "string", "format": "uuid"})
class IdFilter(django_filters.Filter):
    """A UUID in its usual form."""

    field_class = _WordField

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        form = "[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
        super().__init__(*args, form=form, hint="Write a UUID with its dashes.", convert=UUID, **kwargs)


@extend_schema_field({"type": "string", "pattern": f"^{DIGEST.pattern}$"})
class DigestFilter(django_filters.CharFilter):
    """A whole SHA-256 in hexadecimal."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        validators = [
            RegexValidator(rf"^{DIGEST.pattern}\Z", "Write the whole digest: 64 lower-case hexadecimal digits.")
        ]
        super().__init__(*args, validators=validators, **kwargs)


class TextFilter(django_filters.CharFilter):
    """Text of at most 200 characters, compared exactly unless the filter says otherwise."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, max_length=200, **kwargs)


class SystemFilter(TextFilter):
    """The slug of the AI system; ``path`` leads from a row to it."""

    def __init__(self, path: str = "system") -> None:
        super().__init__(field_name=f"{path}__slug", help_text="A system's slug.")


class _FlagField(forms.TypedChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        words = [("true", "true"), ("false", "false")]
        super().__init__(choices=words, coerce=lambda word: word == "true", empty_value=None, **kwargs)


@extend_schema_field({"type": "boolean"})
class FlagFilter(django_filters.Filter):
    """``true`` or ``false``, and nothing that might be meant as one."""

    field_class = _FlagField


class ChoiceFilter(django_filters.ChoiceFilter):
    """One of a closed list of words."""

    def __init__(self, words: Iterable[str], **kwargs: Any) -> None:
        super().__init__(choices=[(word, word) for word in words], **kwargs)
