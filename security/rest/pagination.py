"""Pages of at most 200, counted, with a header for what lies around (RFC 8288 Link)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.paginator import EmptyPage, Page, Paginator
from django.db.models import QuerySet
from rest_framework.pagination import PageNumberPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from security.errors import InvalidError, MissingError

LARGEST_PAGE_NUMBER = 10**9


class Pages(PageNumberPagination):
    """``?page=2&page_size=100``. A number that is none is refused, a page beyond the last one does not exist."""

    page: Page[Any]
    request: Request
    page_size = 50
    page_size_query_param = "page_size"
    max_page_size = 200
    page_query_description = "Which page, from 1."
    page_size_query_description = "How many on a page, at most 200."

    def paginate_queryset(
        self, queryset: QuerySet[Any] | Sequence[Any], request: Request, view: Any = None
    ) -> list[Any]:
        """One page of rows. Raises InvalidError, MissingError."""
        self.request = request
        size = self._number("page_size", self.page_size, self.max_page_size)
        number = self._number("page", 1, LARGEST_PAGE_NUMBER)
        paginator = Paginator(queryset, size)
        try:
            self.page = paginator.page(number)
        except EmptyPage:
            raise MissingError(
                f"There is no page {number}; the last one is {paginator.num_pages}.", field="page"
            ) from None
        return list(self.page)

    def get_paginated_response(self, data: Any) -> Response:
        """``{count, next, previous, results}`` and a Link header with first, prev, next and last."""
        answer = super().get_paginated_response(data)
        numbers = {"first": 1, "last": self.page.paginator.num_pages}
        if self.page.has_previous():
            numbers["prev"] = self.page.previous_page_number()
        if self.page.has_next():
            numbers["next"] = self.page.next_page_number()
        answer["Link"] = ", ".join(f'<{self._address(number)}>; rel="{name}"' for name, number in numbers.items())
        return answer

    def get_paginated_response_schema(self, schema: Any) -> dict[str, Any]:
        """The envelope; ``next`` and ``previous`` are null at the ends."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["count", "next", "previous", "results"],
            "properties": {
                "count": {"type": "integer", "minimum": 0, "description": "How many there are on all pages."},
                "next": link,
                "previous": link,
                "results": schema,
            },
        }

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        """``page`` and ``page_size`` with their bounds."""
        limits = (
            ("page", self.page_query_description, LARGEST_PAGE_NUMBER, 1),
            (self.page_size_query_param, self.page_size_query_description, self.max_page_size, self.page_size),
        )
        return [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": text,
                "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": usual},
            }
            for name, text, most, usual in limits
        ]

    def _number(self, name: str, usual: int, most: int) -> int:
        text = self.request.query_params.get(name, "")
        if not text:
            return usual
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
        if not 1 <= number <= most:
            raise InvalidError(f"“{name}” is a whole number from 1 to {most}.", field=name)
        return number

    def _address(self, number: int) -> str:
        return replace_query_param(self.request.build_absolute_uri(), self.page_query_param, number)
