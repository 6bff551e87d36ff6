"""Pages of the audit log: every entry once, whoever reads it, whatever was done to the log."""

from __future__ import annotations

import pytest
from django.core.paginator import Paginator
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from security.canonical import urn
from security.identity.models import User
from security.log import selectors, triggers, verification
from security.log.events import Event
from security.log.models import AuditEvent, Leaf
from security.log.paging import WholeLog
from security.log.services import record
from tests.support.people import People

pytestmark = pytest.mark.django_db


def write(count: int, system: str = "credit") -> None:
    for number in range(count):
        record(Event.RUN_CREATED, acting_user=None, subject=urn("run", number), system=system, payload={"n": number})


def shown(user: User, **asked: object) -> list[int]:
    client = Client()
    client.force_login(user)
    return [event.index for event in client.get(reverse("audit"), asked).context["page"]]


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 30])
def test_ranges_of_the_index_give_the_pages_that_counting_and_skipping_give(size: int) -> None:
    write(size)
    ours, plain = WholeLog(selectors.events(), 10), Paginator(selectors.events(), 10)
    assert (ours.count, ours.num_pages) == (plain.count, plain.num_pages) == (size, max(1, -(-size // 10)))
    for number in plain.page_range:
        assert list(ours.page(number)) == list(plain.page(number))
    for asked in ("", "0", "-1", "none", "999999999999"):
        assert ours.get_page(asked).number == plain.get_page(asked).number


def test_the_last_page_costs_what_the_first_one_costs() -> None:
    write(30)
    for number in (1, 3):
        with CaptureQueriesContext(connection) as seen:
            assert len(list(WholeLog(selectors.events(), 10).page(number))) == 10
        assert len(seen) == 2
        assert not any("OFFSET" in query["sql"] or "COUNT" in query["sql"] for query in seen.captured_queries)


def test_a_removed_entry_leaves_a_gap_on_its_own_page_and_moves_no_other() -> None:
    write(30)
    triggers.remove(connection)
    Leaf.objects.filter(index__in=(14, 15)).delete()
    triggers.install(connection)
    pages = [[event.index for event in WholeLog(selectors.events(), 10).page(number)] for number in (1, 2, 3)]
    assert pages == [list(range(29, 19, -1)), [19, 18, 17, 16, 13, 12, 11, 10], list(range(9, -1, -1))]
    assert not verification.verify().ok


def test_who_reads_one_systems_log_still_sees_only_that_and_whole_pages_of_it(people: People) -> None:
    write(60, "other")
    write(60, "credit")
    write(60, "other")
    pages = [shown(people.auditor, page=number) for number in (1, 2)]
    assert len(pages[0]) == 50
    own = AuditEvent.objects.filter(system="credit").order_by("-index").values_list("index", flat=True)
    assert [*pages[0], *pages[1]] == list(own)[:100]


def test_filters_narrow_for_who_reads_all_too(people: People) -> None:
    write(3, "other")
    found = shown(people.admin, system="other", event=Event.RUN_CREATED.value)
    assert len(found) == 3
    everything = shown(people.admin)
    assert everything[:3] == found
    assert everything == list(selectors.events().values_list("index", flat=True)[:50])
    assert shown(people.admin, event="no such event") == everything


def test_what_waits_for_its_number_is_on_no_page_and_not_counted(people: People, settings) -> None:
    write(60)
    settings.LOG_SEQUENCER = "process"
    write(3)
    client = Client()
    client.force_login(people.auditor)
    page = client.get(reverse("audit")).context["page"]
    numbered = AuditEvent.objects.filter(system="credit", index__isnull=False).count()
    assert (page.paginator.count, AuditEvent.objects.filter(system="credit").count()) == (numbered, numbered + 3)
    assert all(event.index is not None for event in page)
    assert "3 more are recorded and not yet included" in client.get(reverse("audit")).content.decode()
