"""What systems and model versions cover: derived from evidence, signatures and crosswalks, and gone when these are."""

from __future__ import annotations

import itertools
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from governance.frameworks import oscal
from governance.frameworks.models import Catalogue
from governance.frameworks.selectors import attestations, catalogues
from governance.frameworks.selectors.covering import Coverage, Covered
from governance.frameworks.services.attestations import withdraw
from governance.frameworks.services.catalogues import import_catalogue
from governance.frameworks.states import STATES, judged, through, together
from governance.selectors.coverage import coverage_of
from governance.services.reviews import submit
from pipelines.models import StepRun
from security.access.models import AISystem
from security.access.table import Role
from security.identity.models import User
from tests.support.catalogues import attested, builtin, control, small, soon
from tests.support.models import add_evidence, make_model_version
from tests.support.people import PASSWORD, People

STRONG = SimpleNamespace(evidence=("a", "b"), support="strong", attestation=False)
BOTH = SimpleNamespace(evidence=("a",), support="strong", attestation=True)
HALF = SimpleNamespace(evidence=("a",), support="partial", attestation=False)
HUMAN = SimpleNamespace(evidence=(), support="none", attestation=True)
PASS, FAIL = {"a": True}, {"a": False}


# ------------------------------------------------------------------------------------------------------ the rules


@pytest.mark.parametrize(
    ("control_", "standing", "word", "state"),
    [
        (STRONG, {}, "", "missing"),
        (STRONG, PASS, "", "satisfied"),
        (STRONG, {"a": True, "b": False}, "", "partial"),
        (STRONG, {}, "met", "partial"),  # evidence could show it and does not
        (STRONG, FAIL, "met", "partial"),
        (BOTH, PASS, "", "needs-attestation"),
        (BOTH, PASS, "met", "satisfied"),
        (BOTH, FAIL, "met", "partial"),
        (BOTH, {}, "met", "satisfied"),
        (HALF, PASS, "", "partial"),
        (HALF, PASS, "met", "partial"),
        (HUMAN, PASS, "", "needs-attestation"),
        (HUMAN, {}, "met", "satisfied"),
        (STRONG, FAIL, "not-applicable", "not-applicable"),
        (HUMAN, {}, "not-applicable", "not-applicable"),
    ],
)
def test_the_state_of_a_control(control_: SimpleNamespace, standing: dict[str, bool], word: str, state: str):
    assert judged(control_, standing, word) == state


def test_a_failed_result_is_never_satisfied_by_anything_that_is_signed():
    for one, word in itertools.product((STRONG, BOTH, HALF), ("", "met")):
        assert judged(one, FAIL, word) == "partial"


def test_models_that_do_not_agree_make_it_partial():
    assert together([]) == "missing"
    for state in STATES:
        assert together([state, state]) == state
    for one, other in itertools.permutations(STATES, 2):
        assert together([one, other]) == "partial"


@pytest.mark.parametrize(
    ("sources", "full", "state"),
    [
        (["satisfied", "satisfied"], True, "satisfied"),
        (["satisfied", "satisfied"], False, "partial"),
        (["satisfied", "missing"], True, "partial"),
        (["satisfied", "not-applicable"], True, "satisfied"),
        (["not-applicable"], True, "missing"),
        (["missing", "needs-attestation"], True, "missing"),
        (["partial"], True, "partial"),
        ([], True, "missing"),
    ],
)
def test_what_a_crosswalk_brings(sources: list[str], full: bool, state: str):
    assert through("missing", sources, full=full) == state  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------- in the database


@pytest.fixture
def catalogue(db: None) -> Catalogue:
    return catalogues.current(builtin().key)


def one(catalogue: Catalogue, system: AISystem, label: str) -> Covered:
    found = Coverage(catalogue, [system], whole=True).covered(system)
    return next(row for row in found if row.control.label == label)


def states(catalogue: Catalogue, system: AISystem) -> dict[str, str]:
    coverage = Coverage(catalogue, [system])
    labels = (row.label for row in coverage.controls)
    return dict(zip(labels, (cell.state for cell in coverage.row(system)), strict=True))


def test_a_system_covers_what_the_newest_version_of_its_model_shows(people: People, catalogue: Catalogue):
    before = states(catalogue, people.system)
    assert len(before) == 72
    assert set(before.values()) == {"missing", "needs-attestation"}
    make_model_version(people.system, people.engineer, verdict="fail")
    assert states(catalogue, people.system)["MEASURE 2.7"] == "partial"
    newest = make_model_version(people.system, people.engineer)
    found = one(catalogue, people.system, "MEASURE 2.7")
    assert found.state == "satisfied"
    assert {item.of for item in found.items} == {newest}
    assert {item.what.verdict for item in found.items} == {"pass"}


def test_coverage_agrees_with_that_of_the_model_version_where_there_is_one_model(people: People, catalogue: Catalogue):
    version = make_model_version(people.system, people.engineer)
    older = {row.subcategory.id: row.state.replace("supported", "satisfied") for row in coverage_of(version)}
    assert states(catalogue, people.system) == older


def test_a_second_model_without_the_evidence_makes_it_partial(people: People, catalogue: Catalogue):
    make_model_version(people.system, people.engineer)
    make_model_version(people.system, people.engineer, name="other", kinds=["holdout_metrics"])
    assert states(catalogue, people.system)["MEASURE 2.7"] == "partial"


def test_superseded_evidence_drops_out(people: People, catalogue: Catalogue):
    version = make_model_version(people.system, people.engineer, verdict="fail")
    assert states(catalogue, people.system)["MEASURE 2.7"] == "partial"
    step = StepRun.objects.get(run=version.step_run.run, name="train")
    for kind in ("adversarial_eval", "poisoning_scan", "membership_inference", "model_extraction_eval"):
        subject = version.artifact if kind != "poisoning_scan" else step.inputs.get().artifact
        add_evidence(step, kind, subject)
    found = one(catalogue, people.system, "MEASURE 2.7")
    assert found.state == "satisfied"
    assert {item.what.verdict for item in found.items} == {"pass"}


def test_a_word_counts_until_its_time_is_over_or_it_is_withdrawn(people: People, catalogue: Catalogue):
    signed = attested(people.owner, people.system, "GOVERN 4.1", valid_until=soon(30))
    found = one(catalogue, people.system, "GOVERN 4.1")
    assert (found.state, found.word, found.needs_word) == ("satisfied", signed, False)
    later = timezone.now() + timedelta(days=31)
    assert attestations.words([people.system], catalogue.key, later) == {}
    withdraw(acting_user=people.owner, attestation=signed, reason="Wrong.", password=PASSWORD)
    found = one(catalogue, people.system, "GOVERN 4.1")
    assert (found.state, found.word, found.needs_word) == ("needs-attestation", None, True)


def test_a_word_is_for_one_system_only(people: People, catalogue: Catalogue):
    attested(people.owner, people.system, "GOVERN 4.1")
    assert states(catalogue, people.other)["GOVERN 4.1"] == "needs-attestation"


def test_the_newest_word_counts(people: People, catalogue: Catalogue):
    attested(people.owner, people.system, "GOVERN 4.1")
    attested(people.risk_officer, people.system, "GOVERN 4.1", statement="not-applicable")
    assert states(catalogue, people.system)["GOVERN 4.1"] == "not-applicable"


def test_a_word_does_not_outlive_what_it_was_given_for(people: People):
    import_catalogue(acting_user=people.admin, document=small(control("c-1"), control("c-2")))
    for label in ("c-1", "c-2"):
        attested(people.owner, people.system, label, key="house-rules")
    assert set(states(catalogues.current("house-rules"), people.system).values()) == {"satisfied"}
    changed = small(control("c-1", "Do more"), control("c-2", props=[{"name": "label", "value": "C 2"}]), version="2")
    import_catalogue(acting_user=people.admin, document=changed)
    found = states(catalogues.current("house-rules"), people.system)
    assert found == {"c-1": "needs-attestation", "C 2": "satisfied"}


def test_a_word_shows_on_the_model_version_too(people: People, catalogue: Catalogue):
    version = make_model_version(people.system, people.engineer)
    attested(people.owner, people.system, "GOVERN 4.1")
    attested(people.validator, people.system, "MEASURE 2.12", statement="not-applicable")
    found = {row.subcategory.id: row.state for row in coverage_of(version)}
    assert (found["GOVERN 4.1"], found["MEASURE 2.12"]) == ("supported", "not-applicable")


def test_evidence_of_an_imported_mapping_counts(people: People):
    speaking = control("c-1", props=[oscal.own_property("evidence-kind", "model_inventory")])
    speaking["props"] += [oscal.own_property("support", "strong"), oscal.own_property("attestation", "not-needed")]
    import_catalogue(acting_user=people.admin, document=small(speaking, control("c-2")))
    make_model_version(people.system, people.engineer)
    assert states(catalogues.current("house-rules"), people.system) == {"c-1": "satisfied", "c-2": "needs-attestation"}


# ------------------------------------------------------------------------------------------------------ crosswalks


def test_iso_controls_are_covered_through_the_ai_rmf_and_say_so(people: People, catalogue: Catalogue):
    iso = catalogues.current("iso-42001")
    assert one(iso, people.system, "A.2.4").cell.via is False
    attested(people.owner, people.system, "GOVERN 1.1")  # the one source of A.2.4, one of four of A.2.2
    alone, among = one(iso, people.system, "A.2.4"), one(iso, people.system, "A.2.2")
    assert (alone.state, alone.cell.via) == ("satisfied", True)
    assert (among.state, among.cell.via) == ("partial", True)
    [via] = among.via
    assert via.crosswalk.name == "airmf-to-iso-42001"
    assert {source.label: state for source, state in via.sources} == {
        "GOVERN 1.1": "satisfied",
        "GOVERN 1.2": "missing",
        "MAP 1.4": "missing",
        "MAP 4.1": "missing",
    }


def test_what_was_signed_on_the_control_itself_goes_before_a_crosswalk(people: People, catalogue: Catalogue):
    attested(people.owner, people.system, "GOVERN 1.1")
    attested(people.validator, people.system, "A.2.4", key="iso-42001", statement="not-applicable")
    found = one(catalogues.current("iso-42001"), people.system, "A.2.4")
    assert (found.state, found.cell.via) == ("not-applicable", False)


def test_our_own_inference_never_satisfies_a_duty_of_the_law(people: People, catalogue: Catalogue):
    for label in ("MEASURE 2.8", "MAP 5.1"):
        attested(people.owner, people.system, label)
    act = catalogues.current("eu-ai-act")
    found = one(act, people.system, "Art. 19")  # keep logs: MEASURE 2.8 speaks for it
    assert (found.state, found.cell.via) == ("partial", True)
    assert "satisfied" not in states(act, people.system).values()


def test_its_own_failed_evidence_is_not_mended_by_a_crosswalk(people: People, catalogue: Catalogue):
    make_model_version(people.system, people.engineer, verdict="fail")
    for label in ("MEASURE 2.5", "MEASURE 2.7"):
        attested(people.owner, people.system, label)
    found = one(catalogues.current("eu-ai-act"), people.system, "Art. 15")
    assert (found.state, found.cell.via) == ("partial", False)


# --------------------------------------------------------------------------------------------------------- queries


@pytest.mark.parametrize("key", ["nist-ai-rmf", "iso-42001"])
def test_a_matrix_takes_as_many_queries_for_twelve_systems_as_for_two(people: People, catalogue: Catalogue, key: str):
    def fill(start: int, stop: int) -> None:
        for number in range(start, stop):
            system = people.make_system(f"s-{number}")
            for role in (Role.VALIDATOR, Role.RISK_OFFICER, Role.ENGINEER):
                people.make(f"{role}-{number}", "Somebody", role, system)
            engineer, owner = (
                User.objects.get(username=f"engineer-{number}"),
                people.make(f"o-{number}", "O", Role.OWNER, system),
            )
            submit(acting_user=engineer, model_version=make_model_version(system, engineer))
            attested(owner, system)

    def queries() -> int:
        systems = list(AISystem.objects.filter(slug__startswith="s-"))
        with CaptureQueriesContext(connection) as seen:
            coverage = Coverage(catalogues.current(key), systems)
            for system in systems:
                coverage.row(system)
        return len(seen)

    fill(0, 2)
    few = queries()
    fill(2, 12)
    assert queries() == few <= 27
