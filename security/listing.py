"""Lists on pages: filtered, sorted and paged from the address, so that what one sees can be linked to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest

M = TypeVar("M", bound=Model)
PER_PAGE = 50


def listed(
    request: HttpRequest, rows: QuerySet[M], *, sorts: Sequence[str], default: str, per_page: int = PER_PAGE
) -> Page[M]:
    """The page of ``rows`` that ``?sort=`` and ``?page=`` name.

    ``sorts`` are the fields one may sort by (``-`` turns the order); anything else means ``default``. A page number
    that makes no sense gives the first or last page. Two queries: the count and the rows.
    """
    asked = request.GET.get("sort", default)
    order = asked if asked.removeprefix("-") in sorts else default
    paginator: Paginator[Any] = Paginator(rows.order_by(order, "pk"), per_page)
    return paginator.get_page(request.GET.get("page"))
