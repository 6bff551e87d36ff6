"""Pages of the log for who may read all of it."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.utils.functional import cached_property

from security.log.models import AuditEvent, Pending


class PartOfLog(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Entries that fit a filter, newest first. They are counted without their numbers, which lie in another table:
    ``counted`` are the same events and those that wait for their number, which are then taken off."""

    def __init__(self, rows: QuerySet[AuditEvent], per_page: int, *, counted: QuerySet[AuditEvent]) -> None:
        super().__init__(rows, per_page)
        self._counted = counted

    @cached_property
    def count(self) -> int:
        waiting = self._counted.filter(pk__in=Pending.objects.values("event_id"))
        return self._counted.count() - waiting.count()


class WholeLog(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """The whole log, newest first, by ranges of the index: neither the count nor the last page reads what is between.

    Entries are numbered without gaps. Where somebody removed one, its page is shorter by it and nothing else moves;
    that it is gone is for ``verification`` to say. The count goes by the last entry, not by the head row.
    """

    object_list: QuerySet[AuditEvent]

    @cached_property
    def count(self) -> int:
        last = self.object_list.order_by("-leaf__index").values_list("leaf__index", flat=True).first()
        return 0 if last is None else last + 1

    def page(self, number: int | str) -> Page[Any]:
        """One page. Raises PageNotAnInteger, EmptyPage."""
        valid = self.validate_number(number)
        stop = self.count - (valid - 1) * self.per_page
        rows = self.object_list.filter(leaf__index__lt=stop, leaf__index__gte=stop - self.per_page)
        return Page(rows, valid, self)
