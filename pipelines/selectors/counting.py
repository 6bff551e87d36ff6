"""Counting what belongs to each row of a list, for the rows of the page alone."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce


def count_of(rows: QuerySet[Any], owner: str) -> Coalesce:
    """How many of ``rows`` name the row of the outer query in their field ``owner``.

    A ``Count`` over a join would group the whole table before the first page of it is cut off, and the paginator could
    not leave it out of its own count.
    """
    counted = rows.filter(**{owner: OuterRef("pk")}).order_by().values(owner).annotate(n=Count("pk")).values("n")
    return Coalesce(Subquery(counted, output_field=IntegerField()), 0)
