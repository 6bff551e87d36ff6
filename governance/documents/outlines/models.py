"""The model card and the model inventory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from governance.documents.outlines import parts
from governance.documents.outlines.parts import Part, column, section

Given = Mapping[str, Any]
_WIDE = 12  # measurements of one result that a card shows; all of them are in its JSON


def model_card(given: Given) -> dict[str, Any]:
    """What a model is, what was measured, and what it may be used for (after Mitchell et al., 2019)."""
    content, model = given["content"], given["content"]["model"]
    title = f"Model card: {model['model']} v{model['number']}"
    sections = [
        section("Model details", parts.facts(details(model)), *described(model)),
        section("Intended use", parts.text(given["system"]["purpose"] or parts.NOT_ON_RECORD), standing(content)),
        section("How it was trained", trained(content["training"]), made_by_run(content["run"])),
        section("Training data", *data(content["data"])),
        section(f"What the {content['policy']['tier']} risk policy asks", gates(content["gates"])),
        section("Quantitative analysis", *results(content["evidence"])),
        section("Limitations", *limitations(content)),
        section("Who had a hand in it", hands(content["builders"])),
    ]
    return parts.document(title, lead(content), given, sections)


def inventory(given: Given) -> dict[str, Any]:
    """Every model of a system on one list."""
    rows = given["content"]["models"]
    used = sum(bool(row["in_use"]["id"]) for row in rows)
    listed = inventory_table(rows)
    texts = [[row["model"], row["description"] or parts.NOT_ON_RECORD] for row in rows]
    title = f"Model inventory: {given['system']['name']}"
    lead_ = f"{parts.figure(len(rows))} models, {parts.figure(used)} with a version that may be used."
    sections = [section("Models", listed)]
    if texts:
        sections.append(section("What they are for", parts.facts(texts)))
    return parts.document(title, lead_, given, sections)


def inventory_table(rows: list[Given]) -> Part:
    """One line for each model."""
    columns = [
        column("Model", 3), column("Newest", align="end"), column("Gates passed", align="end"),
        column("Standing", 2), column("In use", align="end"), column("Approved", 2), column("Until", 2),
        column("Digest in use", 3, kind="mono"),
    ]  # fmt: skip
    lines = [_inventory_line(row) for row in rows]
    return parts.table(columns, lines, empty="No model is registered in this system.")


def _inventory_line(row: Given) -> list[str]:
    newest, used, approval = row["newest"], row["in_use"], row["approval"]
    return [
        row["model"],
        f"v{newest['number']}" if newest["id"] else "–",
        f"{newest['gates_passed']} of {newest['gates']}" if newest["id"] else "–",
        parts.words(newest["state"]) or "Not submitted",
        f"v{used['number']}" if used["id"] else "nothing",
        parts.day(approval["issued_at"]),
        parts.day(approval["valid_until"]),
        used["digest"][:16],
    ]


def lead(content: Given) -> str:
    """The verdict in one sentence."""
    passed = sum(gate["verdict"] == "pass" for gate in content["gates"])
    held = content["approval"]
    standing_ = f"its approval is {held['status']}" if held else "it holds no approval"
    return f"{passed} of {len(content['gates'])} gates pass; {standing_}."


def details(model: Given) -> list[list[str]]:
    """What names a model version."""
    return [
        ["Model", model["model"]],
        ["Version", str(model["number"])],
        ["Registered", f"{parts.moment(model['registered_at'])} by {model['registered_by']['name']}"],
        ["Size", f"{parts.figure(model['bytes'])} bytes, {model['media_type']}"],
        ["SHA-256", model["digest"], "mono"],
    ]


def described(model: Given) -> list[Part]:
    return [parts.text(model["description"])] if model["description"] else []


def standing(content: Given) -> Part:
    """Whether it may be used, and until when."""
    held = content["approval"]
    if held is None:
        return parts.note("No review has approved this version: it must not be used.", "fail")
    if held["status"] == "active":
        return parts.note(
            f"Approved on {parts.moment(held['issued_at'])}, valid until {parts.moment(held['valid_until'])}.", "pass"
        )
    return parts.note(
        f"It must not be used: its approval is {held['status']}. {held['revoked_reason']}".strip(), "fail"
    )


def trained(training: Given) -> Part:
    """The step and its parameters."""
    if not training["uses"]:
        return parts.text(parts.NOT_ON_RECORD)
    rows = [["Step", f"{training['step']} ({training['uses']})"]]
    rows += [[name, value_text(value)] for name, value in sorted(training["params"].items())]
    return parts.facts(rows)


def made_by_run(run: Given) -> Part:
    """The run that a model came out of: enough to run it again."""
    return parts.facts(
        [
            ["Run", f"{run['pipeline']} v{run['pipeline_version']}, run {run['number']}, seed {run['seed']}"],
            ["Specification", run["pipeline_digest"], "mono"],
            ["Started by", run["created_by"]["name"]],
            ["Finished", parts.moment(run["finished_at"])],
            *[[f"Code: {name}", value_text(value), "mono"] for name, value in sorted(run["code"].items())],
        ]
    )


def data(found: Given) -> list[Part]:
    """Tables and files that a model was made from."""
    tables = [
        [one["dataset"], f"v{one['number']}", parts.figure(one["rows"]), str(len(one["columns"])), one["digest"]]
        for one in found["tables"]
    ]
    files = [[one["origin"], parts.figure(one["bytes"]), one["digest"]] for one in found["sources"]]
    return [
        parts.table(
            [
                column("Table", 3), column("Version"), column("Rows", align="end"), column("Columns", align="end"),
                column("SHA-256", 4, kind="mono"),
            ],
            tables,
            empty="No table is on record.",
        ),
        parts.table(
            [column("File from outside", 3), column("Bytes", align="end"), column("SHA-256", 4, kind="mono")],
            files,
            empty="No file from outside is on record.",
        ),
    ]  # fmt: skip


def gates(rows: list[Given]) -> Part:
    """The policy's questions and what the evidence answers."""
    columns = [column("Question", 4), column("Evidence", 2), column("Verdict", kind="verdict"), column("Found", 3)]
    lines = [[row["question"], parts.words(row["kind"]), parts.verdict(row["verdict"]), row["reason"]] for row in rows]
    return parts.table(columns, lines)


def results(rows: list[Given]) -> list[Part]:
    """Every result with its first figures."""
    if not rows:
        return [parts.text("Nothing was measured.")]
    found: list[Part] = []
    for row in rows:
        word = parts.verdict(row["verdict"])
        about = f"{parts.words(row['kind'])}: {word[0]}. {row['summary']}".strip()
        found.append(parts.note(about, word[1]))
        if row["measurements"]:
            found.append(measurements(row["measurements"]))
    return found


def measurements(rows: list[Given]) -> Part:
    """Figures with unit, interval and sample size; overall ones first."""
    ordered = sorted(rows, key=lambda one: len(one.get("slice") or {}))
    lines = [[one["name"], parts.group(one), parts.measured(one)] for one in ordered[:_WIDE]]
    if len(ordered) > _WIDE:
        lines.append([f"and {len(ordered) - _WIDE} more", "", "in the facts of this document (JSON)"])
    return parts.table([column("Measure", 2), column("On", 2), column("Value", 3)], lines)


def limitations(content: Given) -> list[Part]:
    """What does not pass, what could not be told and what nobody looked at."""
    lines = [f"{row['question']} {row['reason'].capitalize()}." for row in content["gates"] if row["verdict"] != "pass"]
    unsure = [
        f"{parts.words(row['kind'])}, {one['name']} on {parts.group(one)}: {parts.measured(one)}"
        for row in content["evidence"]
        for one in row["measurements"]
        if one["value"] is None
    ]
    found = [parts.note(line, "inconclusive") for line in lines]
    found += [parts.note(f"{line}.", "inconclusive") for line in unsure[:_WIDE]]
    closing = "What no check looked at is not known to be good. Only what is listed here was measured."
    return [*found, parts.text(closing)]


def hands(rows: list[Given]) -> Part:
    """Who did what; none of them may decide on the model."""
    columns = [column("Person", 2), column("What they did", 3), column("When", 2)]
    return parts.table(columns, [[row["name"], row["text"], parts.moment(row["at"])] for row in rows])


def value_text(value: Any) -> str:
    """A parameter as text; what is no text as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
