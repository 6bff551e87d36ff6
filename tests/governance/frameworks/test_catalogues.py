"""Catalogues in the database: what a release ships, what people import, and that nothing of it ever changes."""

from __future__ import annotations

import json

import pytest
from django.db import DatabaseError, connection, transaction
from django.test.utils import CaptureQueriesContext

from governance import frameworks
from governance.frameworks import oscal
from governance.frameworks.models import Catalogue, Control, Crosswalk, CrosswalkLink, Group, Origin
from governance.frameworks.services.catalogues import import_catalogue, load_builtin, parse
from security.errors import ConflictError, DeniedError, InvalidError
from security.log.models import AuditEvent
from tests.support.catalogues import builtin, control, control_of, large, small
from tests.support.people import People
from tests.support.reviews import events


def test_a_release_brings_four_catalogues_and_three_crosswalks_once(db: None):
    new = load_builtin()
    counts = {row.key: row.control_count for row in new}
    assert counts == {"nist-ai-rmf": 72, "nist-ai-600-1": 224, "iso-42001": 38, "eu-ai-act": 15}
    assert {row.origin for row in new} == {Origin.BUILT_IN}
    assert Crosswalk.objects.count() == 3
    before = AuditEvent.objects.count()
    assert load_builtin() == []
    assert AuditEvent.objects.count() == before
    assert events("catalogue:imported", "crosswalk:loaded") == ["catalogue:imported"] * 4 + ["crosswalk:loaded"] * 3


def test_the_built_in_core_says_what_the_data_says(db: None):
    builtin()
    for row in frameworks.subcategories():
        found = control_of(row.id)
        assert (found.title, tuple(found.evidence), found.support) == (row.title, row.evidence, row.support)
        assert (found.attestation, found.why) == (row.attestation, row.why)
    kinds = {kind for row in Control.objects.all() for kind in row.evidence}
    assert kinds <= set(frameworks.evidence_kinds())


def test_every_link_of_a_crosswalk_names_controls_that_are_there(db: None):
    load_builtin()
    for link in CrosswalkLink.objects.select_related("crosswalk"):
        for key, name in ((link.crosswalk.source_key, link.source), (link.crosswalk.target_key, link.target)):
            assert Control.objects.filter(catalogue__key=key, identifier=name).exists(), name


def test_groups_and_controls_keep_their_order_and_their_place(db: None):
    catalogue = builtin()
    positions = [row.position for table in (Group, Control) for row in table.objects.filter(catalogue=catalogue)]
    assert sorted(positions) == list(range(95))
    found = control_of("MEASURE 2.11")
    assert found.group is not None
    assert found.group.parent is not None
    assert (found.group.label, found.group.parent.label) == ("MEASURE 2", "MEASURE")


def test_an_administrator_imports_a_catalogue_and_the_log_says_so(people: People):
    made = import_catalogue(acting_user=people.admin, document=small(), key="house", source="the wiki")
    row = made.catalogue
    assert made.created
    assert (row.key, row.number, row.origin, row.imported_by, row.source) == (
        "house", 1, Origin.IMPORTED, people.admin, "the wiki",
    )  # fmt: skip
    event = AuditEvent.objects.get(event="catalogue:imported")
    assert json.loads(event.entry)["payload"] == {
        "key": "house", "number": 1, "digest": row.digest, "controls": 1, "origin": "imported",
    }  # fmt: skip


def test_the_same_content_again_is_the_same_catalogue(people: People):
    first = import_catalogue(acting_user=people.admin, document=small()).catalogue
    again = import_catalogue(acting_user=people.admin, document=parse(json.dumps(small(), indent=3).encode()))
    assert (again.catalogue, again.created) == (first, False)
    assert first.key == "house-rules"


def test_another_content_needs_another_version_and_becomes_the_current_one(people: People):
    import_catalogue(acting_user=people.admin, document=small())
    with pytest.raises(ConflictError, match="another version"):
        import_catalogue(acting_user=people.admin, document=small(control("c-2")))
    second = import_catalogue(acting_user=people.admin, document=small(control("c-2"), version="2")).catalogue
    assert second.number == 2
    assert Catalogue.objects.filter(key="house-rules").latest("number") == second


def test_a_built_in_mapping_is_changed_by_importing_a_new_version(people: People):
    """What evidence speaks for a control is data in the document, so an administrator can change it."""
    document = oscal.write(oscal.read(_exported(builtin())))
    outcome = document["catalog"]["groups"][0]["groups"][0]["controls"][0]
    outcome["props"].append(oscal.own_property("evidence-kind", "audit_log"))
    document["catalog"]["metadata"]["version"] = "1.0, our mapping"
    made = import_catalogue(acting_user=people.admin, document=document).catalogue
    assert (made.key, made.number) == ("nist-ai-rmf", 2)
    old, new = Control.objects.filter(identifier="govern-1.1", catalogue__key="nist-ai-rmf").order_by(
        "catalogue__number"
    )
    assert (old.evidence, new.evidence) == (["control_mapping"], ["control_mapping", "audit_log"])
    assert old.digest == new.digest  # it demands the same


def _exported(catalogue: Catalogue) -> object:
    groups, controls = list(catalogue.groups.all()), list(catalogue.controls.all())
    rows = sorted([*groups, *controls], key=lambda row: row.position)
    place = {row.pk: at for at, row in enumerate(rows)}
    entries = []
    for row in rows:
        parent = row.parent_id or getattr(row, "group_id", None)
        entries.append(oscal.Entry(isinstance(row, Control), row.identifier, row.title, place.get(parent), row.content))
    return oscal.write(oscal.Read(catalogue.head, tuple(entries)))


@pytest.mark.parametrize("key", ["Upper", "with space", "1st", "import", "-", "a" * 64, "é"])
def test_a_key_that_is_no_name_is_refused(people: People, key: str):
    with pytest.raises(InvalidError) as found:
        import_catalogue(acting_user=people.admin, document=small(), key=key)
    assert found.value.field == "key"
    assert not Catalogue.objects.exists()


def test_only_an_administrator_of_everything_imports(people: People):
    for person in (people.owner, people.risk_officer, people.engineer, people.nobody):
        with pytest.raises(DeniedError):
            import_catalogue(acting_user=person, document=small())
    assert not Catalogue.objects.exists()


def test_a_refused_catalogue_leaves_nothing_behind(people: People):
    with pytest.raises(InvalidError):
        import_catalogue(acting_user=people.admin, document=small(control("c-1"), control("c-1")))
    assert not Catalogue.objects.exists()
    assert events("catalogue:imported") == []


def test_ten_thousand_controls_take_a_fixed_number_of_batches(people: People):
    document = large(10_000)
    with CaptureQueriesContext(connection) as seen:
        made = import_catalogue(acting_user=people.admin, document=document).catalogue
    assert made.control_count == Control.objects.filter(catalogue=made).count() == 10_000
    assert len(seen) < 10_000 / 50  # SQLite takes 999 values in one statement


@pytest.mark.parametrize("table", [Catalogue, Group, Control, Crosswalk, CrosswalkLink])
def test_the_database_refuses_to_change_or_delete_it(db: None, table: type[Catalogue]):
    load_builtin()
    pk = table.objects.values_list("pk", flat=True)[0]
    column = next(field.column for field in table._meta.fields if not field.primary_key)
    name = table._meta.db_table
    for statement in (f"UPDATE {name} SET {column} = {column}", f"DELETE FROM {name}"):
        with (
            pytest.raises(DatabaseError, match="insert-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert table.objects.filter(pk=pk).exists()
