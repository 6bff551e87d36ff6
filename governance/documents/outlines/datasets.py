"""The datasheet of a dataset version, in the sections of Gebru et al. (2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import models, parts
from governance.documents.outlines.parts import Part, column, section

Given = Mapping[str, Any]
_ASK = "Not on record: whoever answers for the data knows."
_PREPARING = ("redact.", "transform.", "validate.", "split.", "extract.")


def datasheet(given: Given) -> dict[str, Any]:
    """What a table holds and how it came to be; what the record cannot know is said to be missing."""
    content, data = given["content"], given["content"]["dataset"]
    title = f"Datasheet: {data['dataset']} v{data['number']}"
    lead = f"{parts.figure(data['rows'])} rows, {len(data['columns'])} columns, from {len(content['sources'])} files."
    sections = [
        section("Motivation", parts.facts(_motivation(given))),
        section("Composition", parts.facts(_composition(data)), columns(data["columns"])),
        section("Collection", sources(content["sources"])),
        section("Preprocessing, cleaning and labelling", steps(content["steps"]), models.made_by_run(content["run"])),
        section("What was found about it", *models.results(content["evidence"])),
        section("Uses", uses(content["used_by"]), models_of(content["models"])),
        section("Distribution", parts.text(_DISTRIBUTION)),
        section("Maintenance", parts.text(_MAINTENANCE)),
    ]
    return parts.document(title, lead, given, sections)


def columns(rows: list[Given]) -> Part:
    """The columns with their types, and which hold personal data as far as anybody said."""
    lines = [
        [row["name"], str(row.get("type", "")), "yes" if row.get("personal") else "not marked as personal"]
        for row in rows
    ]
    heads = [column("Column", 3), column("Type", 2), column("Personal data", 2)]
    return parts.table(heads, lines, empty="Its columns are not on record.")


def sources(rows: list[Given]) -> Part:
    """The files from outside that it goes back to."""
    lines = [[row["origin"], parts.figure(row["bytes"]), row["digest"]] for row in rows]
    heads = [column("File", 3), column("Bytes", align="end"), column("SHA-256", 4, kind="mono")]
    return parts.table(heads, lines, empty=f"No file from outside leads to it. {_ASK}")


def steps(rows: list[Given]) -> Part:
    """What was done to the data on its way here."""
    shown = [row for row in rows if row["uses"].startswith(_PREPARING)] or rows
    lines = [[row["label"], row["uses"], parts.moment(row["finished_at"]), row["state"]] for row in shown]
    heads = [column("Step", 3), column("Does", 2), column("Finished", 2), column("State")]
    return parts.table(heads, lines)


def uses(rows: list[Given]) -> Part:
    """Which steps have read it."""
    lines = [[row["pipeline"], row["uses"], parts.figure(row["times"])] for row in rows]
    return parts.table(
        [column("Pipeline", 2), column("Step", 2), column("Times", align="end")], lines, empty="Nothing has read it."
    )


def models_of(rows: list[Given]) -> Part:
    """The models of the runs it has a part in."""
    lines = [[row["model"], f"v{row['number']}", row["digest"]] for row in rows]
    return parts.table(
        [column("Model", 2), column("Version"), column("SHA-256", 4, kind="mono")],
        lines,
        empty="No model was registered by a run that holds it.",
    )


def _motivation(given: Given) -> list[list[str]]:
    return [
        ["System it belongs to", given["system"]["name"]],
        ["What the system is for", given["system"]["purpose"] or parts.NOT_ON_RECORD],
        ["Who answers for it", given["system"]["owner"]["name"] or parts.NOT_ON_RECORD],
    ]


def _composition(data: Given) -> list[list[str]]:
    return [
        ["Rows", parts.figure(data["rows"])],
        ["Bytes", parts.figure(data["bytes"])],
        ["Made", parts.moment(data["created_at"])],
        ["SHA-256", data["digest"], "mono"],
    ]


_DISTRIBUTION = (
    "The table is stored encrypted, and is read by people with a role in the system; each reading is in the audit log. "
    f"Licences and restrictions: {_ASK[0].lower()}{_ASK[1:]}"
)
_MAINTENANCE = (
    "A version never changes: other content is another version with another digest. Erasure destroys the key of one "
    "version and leaves its digest and its history."
)
