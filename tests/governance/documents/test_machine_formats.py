"""What programs read, checked by readers that others wrote: published schemas, validators and bindings."""

from __future__ import annotations

import json
import uuid
from functools import cache

import jsonschema_rs
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from spdx_python_model import v3_0_1 as spdx3

from governance.documents.kinds import KINDS
from governance.documents.machine import cyclonedx, huggingface, markdown, oscal, spdx
from security.errors import ConflictError
from tests.governance.documents.conftest import content, made
from tests.governance.documents.test_hostile_text import MARKUP, Reader, poisoned
from tests.support.documents import make_export
from tests.support.models import make_model_version
from tests.support.real_data import reference

OSCAL = {
    "oscal-profile": ("risk-profile", "profile", oscal.profile),
    "oscal-component-definition": ("risk-profile", "component", oscal.component_definition),
    "oscal-assessment-plan": ("validation-report", "assessment-plan", oscal.assessment_plan),
    "oscal-assessment-results": ("validation-report", "assessment-results", oscal.assessment_results),
    "oscal-poam": ("open-items", "poam", oscal.plan_of_action),
}


@cache
def validator(name: str) -> jsonschema_rs.Validator:
    text = reference(f"oscal/oscal_{name}_schema_1.2.1.json").read_text()
    return jsonschema_rs.validator_for(text, validate_formats=True)


def problems(name: str, document) -> list[str]:
    return [f"{list(error.instance_path)}: {error.message}" for error in validator(name).iter_errors(document)]


@pytest.fixture
def facts(people, subjects):
    """The facts of the kinds that have formats for programs; something is open in the system."""
    worse = make_model_version(people.system, people.engineer, name="worse", verdict="fail")
    assert worse.number == 1
    names = ("model-card", "validation-report", "risk-profile", "open-items")
    return {name: json.loads(content(made(people, name, subjects))) for name in names}


@pytest.mark.parametrize("format", OSCAL)
def test_oscal_is_valid_against_the_published_schema_whatever_people_wrote(format, facts):
    kind, schema, build = OSCAL[format]
    document = build(facts[kind])
    assert problems(schema, document) == []
    hostile = _with_ids(poisoned(facts[kind], MARKUP + "\n\t \n x"), facts[kind])
    assert problems(schema, build(hostile)) == []


def _with_ids(value, clean):
    """The hostile facts with ids, digests and times as they were: the house's own, whose form the schemas check."""
    if isinstance(value, dict):
        own = ("id", "review", "voter", "digest", "created_at", "submitted_at", "decided_at", "due_at", "signed_at",
               "role", "state", "slug", "outcomes", "root", "report", "subject", "must", "uses")  # fmt: skip
        return {key: clean[key] if key in own else _with_ids(one, clean[key]) for key, one in value.items()}
    if isinstance(value, list):
        return [_with_ids(one, other) for one, other in zip(value, clean, strict=True)]
    return value


def test_the_schemas_refuse_what_is_wrong(facts):
    """The positive control: an empty array, a naive time and a state between the two are found."""
    document = oscal.assessment_results(facts["validation-report"])
    result = document["assessment-results"]["results"][0]
    for wrong in ({"observations": []}, {"start": "2026-11-21T06:50:48"}, {"uuid": str(uuid.uuid1())}):
        changed = json.loads(json.dumps(document))
        changed["assessment-results"]["results"][0] = {**result, **wrong}
        assert problems("assessment-results", changed), wrong


def test_results_name_their_plan_and_findings_their_observations(facts):
    given = facts["validation-report"]
    plan = oscal.assessment_plan(given)["assessment-plan"]
    results = oscal.assessment_results(given)["assessment-results"]
    assert results["import-ap"]["href"] == f"urn:uuid:{plan['uuid']}"
    result = results["results"][0]
    seen = {row["uuid"] for row in result["observations"]}
    assert {one["observation-uuid"] for row in result["findings"] for one in row["related-observations"]} == seen
    assert {row["target"]["status"]["state"] for row in result["findings"]} == {"satisfied"}
    parties = {row["uuid"]: row["name"] for row in results["metadata"]["parties"]}
    signed = [parties[one["responsible-parties"][0]["party-uuids"][0]] for one in result["attestations"]]
    assert sorted(signed) == ["Rosa Risk", "Vera Validator"]


def test_a_waiver_is_an_approved_deviation_with_a_deadline_and_a_failing_gate_is_open(facts):
    given = facts["open-items"]
    waiver = {**given["content"]["open"][0], "id": "w", "kind": "waiver", "due_at": "2027-01-01T00:00:00.000000Z"}
    given["content"]["open"].append(waiver)
    risks = oscal.plan_of_action(given)["plan-of-action-and-milestones"]["risks"]
    assert {row["status"] for row in risks[:-1]} == {"open"}
    assert (risks[-1]["status"], risks[-1]["deadline"]) == ("deviation-approved", "2027-01-01T00:00:00.000000Z")
    assert problems("poam", oscal.plan_of_action(given)) == []


def test_a_system_in_which_nothing_is_open_has_no_plan_of_action(people, subjects):
    with pytest.raises(ConflictError, match="at least one item"):
        make_export(people.auditor, "open-items", "credit", "oscal-poam")
    assert json.loads(content(make_export(people.auditor, "open-items", "credit")))["content"] == {"open": []}


def test_the_bill_of_materials_is_strictly_valid_and_keeps_its_model_card(facts):
    strict = JsonStrictValidator(SchemaVersion.V1_6)
    for given in (facts["model-card"], _with_ids(poisoned(facts["model-card"], MARKUP), facts["model-card"])):
        assert strict.validate_str(json.dumps(cyclonedx.bill(given))) is None
    card = cyclonedx.bill(facts["model-card"])["metadata"]["component"]["modelCard"]
    metric = next(row for row in card["quantitativeAnalysis"]["performanceMetrics"] if "accuracy" in row["type"])
    assert (metric["value"], metric["confidenceInterval"]) == ("0.9375", {"lowerBound": "0.91", "upperBound": "0.96"})
    assert card["modelParameters"]["datasets"]


def test_the_spdx_bindings_read_the_ai_package_and_what_it_was_trained_on(facts):
    given = facts["model-card"]
    objects = spdx3.SHACLObjectSet()
    spdx3.JSONLDDeserializer().deserialize_data(spdx.document(given), objects)
    objects.link()
    package = next(iter(objects.foreach_type("ai_AIPackage")))
    assert package.verifiedUsing[0].hashValue == given["content"]["model"]["digest"]
    assert {row.key for row in package.ai_metric} >= {"holdout_metrics: accuracy"}
    relation = next(iter(objects.foreach_type("Relationship")))
    assert relation.from_ is package
    tables = set(objects.foreach_type("dataset_DatasetPackage"))
    assert set(relation.to) == tables
    assert {table.verifiedUsing[0].hashValue for table in tables} == {
        row["digest"] for rows in given["content"]["data"].values() for row in rows
    }
    assert not objects.missing_ids


def test_the_hub_card_has_yaml_that_says_the_figures_and_markdown_that_is_only_text(facts):
    given = facts["model-card"]
    outline = KINDS["model-card"].outline
    _, head, body = ("\n" + huggingface.card(given, outline(given))).split("\n---\n", 2)
    metadata = yaml.safe_load(head)
    result = metadata["model-index"][0]["results"][0]
    accuracy = next(row for row in result["metrics"] if row["type"] == "accuracy")
    assert accuracy["value"] == 0.9375
    assert result["dataset"]["revision"] in {row["digest"] for row in given["content"]["data"]["tables"]}
    assert body.strip().startswith("# Model card: tiny v1")
    hostile = poisoned(given, '"\n---\nevil: true\n' + MARKUP)
    read = huggingface.card(hostile, outline(hostile))
    _, head, _ = ("\n" + read).split("\n---\n", 2)
    assert set(yaml.safe_load(head)) == set(metadata)


def test_markdown_of_hostile_text_makes_no_element():
    """CommonMark as the reference implementation reads it would see no tag: every sign is escaped."""
    shown = markdown.text(MARKUP + "[x](javascript:alert(1)) ![y](z) `c` **b**\n# h\n- l")
    assert "\n" not in shown
    assert markdown.text("- a") == "\\- a"
    assert markdown.text("1. see https://x.example or www.x.example") == (
        "1\\. see https\\://x.example or www\\.x.example"
    )
    assert Reader(shown.replace("\\<", "&lt;").encode()).tags == set()
    for sign in "<>[]!`*#&":
        assert all(shown[at - 1] == "\\" for at, one in enumerate(shown) if one == sign), sign
