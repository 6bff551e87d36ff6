"""What a document can be written as: a name, a media type, the ending of its file, and the function that writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from governance.documents.formats import machines, page, pdf, period, sheet
from governance.documents.machine import cyclonedx, oscal, spdx
from security.canonical import canonical_json

Given = Mapping[str, Any]
Outline = Mapping[str, Any]


class Format(NamedTuple):
    """``write`` gets the facts and the function that makes the outline of them, and gives the pieces of the file."""

    name: str
    title: str
    media_type: str
    ending: str
    write: Callable[[Given, Callable[[Given], Outline]], Iterable[bytes]]


PDF = Format(
    "pdf", "PDF/A-3b, with its facts attached", "application/pdf", "pdf",
    lambda facts, outline: [pdf.write(outline(facts), facts)],
)  # fmt: skip
HTML = Format(
    "html", "one HTML file", "text/html", "html", lambda facts, outline: [page.write(outline(facts), facts)]
)  # fmt: skip
JSON = Format(
    "json", "the facts as canonical JSON (RFC 8785)", "application/json", "json",
    lambda facts, outline: [canonical_json(facts)],
)  # fmt: skip
PERIOD_HTML = Format("html", "one HTML file with every event", "text/html", "html", period.html)
PERIOD_SHEET = Format("csv", "every event as a sheet", "text/csv", "csv", period.csv)
PERIOD_LINES = Format(
    "jsonl", "every event as it was hashed, as JSON Lines", "application/jsonl", "jsonl", period.json_lines
)
INVENTORY_SHEET = Format("csv", "the list as a sheet", "text/csv", "csv", sheet.inventory)
CYCLONEDX = Format(
    "cyclonedx", "CycloneDX 1.6 with a model card", "application/vnd.cyclonedx+json", "cdx.json",
    machines.written(cyclonedx.bill),
)  # fmt: skip
SPDX = Format(
    "spdx", "SPDX 3.0.1, AI profile (JSON-LD)", "application/ld+json", "spdx.json", machines.written(spdx.document)
)  # fmt: skip
HUB_CARD = Format(
    "huggingface", "model card with metadata for model hubs", "text/markdown", "md", machines.hub_card
)  # fmt: skip
OSCAL_PROFILE = Format(
    "oscal-profile", "OSCAL 1.2.1 profile", "application/json", "oscal.json", machines.written(oscal.profile)
)  # fmt: skip
OSCAL_COMPONENTS = Format(
    "oscal-component-definition", "OSCAL 1.2.1 component definition", "application/json", "oscal.json",
    machines.written(oscal.component_definition),
)  # fmt: skip
OSCAL_PLAN = Format(
    "oscal-assessment-plan", "OSCAL 1.2.1 assessment plan", "application/json", "oscal.json",
    machines.written(oscal.assessment_plan),
)  # fmt: skip
OSCAL_RESULTS = Format(
    "oscal-assessment-results", "OSCAL 1.2.1 assessment results", "application/json", "oscal.json",
    machines.written(oscal.assessment_results),
)  # fmt: skip
OSCAL_POAM = Format(
    "oscal-poam", "OSCAL 1.2.1 plan of action and milestones", "application/json", "oscal.json",
    machines.written(machines.plan_of_action),
)  # fmt: skip
