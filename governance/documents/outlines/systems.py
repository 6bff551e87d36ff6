"""The technical documentation of Annex IV and the profile against the NIST AI RMF."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from governance.documents.outlines import datasets, models, parts, reviews
from governance.documents.outlines.parts import Part, column, section

Given = Mapping[str, Any]
BY_A_PERSON = "Not on record here: the provider has to write this."
STATES = {
    "supported": ("supported", "pass"),
    "partial": ("partly", "inconclusive"),
    "missing": ("missing", "fail"),
    "needs-attestation": ("needs a person’s word", "inconclusive"),
}
_ROBUST = ("adversarial_eval", "poisoning_scan", "membership_inference", "model_extraction_eval", "robustness_report")
_GROUPS = ("slice_metrics", "fairness_metrics")
_MONITORED = ("drift_report",)


def technical_documentation(given: Given) -> dict[str, Any]:
    """Each item of Annex IV with what the record says to it; what a person has to write is left open, and counted."""
    catalogue = given["content"]["catalogue"]
    title = f"Technical documentation (Annex IV): {given['system']['name']}"
    sections, left_open = [], 0
    for one in catalogue["sections"]:
        found: list[Part] = []
        for item in one["items"]:
            answers = [part for name in item["from"] for part in SOURCES[name](given)]
            left_open += not answers
            found += [parts.note(item["title"]), *(answers or [parts.text(BY_A_PERSON)])]
        sections.append(section(f"{one['number']}. {one['title']}", *found))
    total = sum(len(one["items"]) for one in catalogue["sections"])
    lead = (
        f"{total - left_open} of {total} items are answered from the record; {left_open} are for the provider to write."
    )
    sections.append(
        section("About this document", parts.text(catalogue["law"] + "."), parts.text(catalogue["caution"]))
    )
    return parts.document(title, lead, given, sections)


def risk_profile(given: Given) -> dict[str, Any]:
    """Every outcome of the framework, function by function, with what speaks for it."""
    content = given["content"]
    counts = content["counts"]
    told = [f"{counts.get(state, 0)} {word}" for state, (word, _) in STATES.items()]
    sections = [section("What stands for the system", versions(content["versions"]))]
    for function in dict.fromkeys(row["function"] for row in content["outcomes"]):
        rows = [row for row in content["outcomes"] if row["function"] == function]
        sections.append(section(function.capitalize(), outcomes(rows)))
    sections.append(
        section("About this profile", parts.text(_DERIVED), parts.text(content["framework"]["source"] + "."))
    )
    title = f"Profile against {content['framework']['name']}: {given['system']['name']}"
    return parts.document(title, f"Of {len(content['outcomes'])} outcomes: {', '.join(told)}.", given, sections)


def versions(rows: Sequence[Given]) -> Part:
    """Model versions by digest."""
    lines = [[row["model"], f"v{row['number']}", parts.day(row["registered_at"]), row["digest"]] for row in rows]
    heads = [column("Model", 2), column("Version"), column("Registered", 2), column("SHA-256", 4, kind="mono")]
    return parts.table(heads, lines, empty="No model is registered in this system.")


def outcomes(rows: Sequence[Given]) -> Part:
    """Outcomes with their states and the results that speak for them."""
    lines = []
    for row in rows:
        results = [f"{parts.words(one['kind'])} ({one['verdict']})" for one in row["evidence"]]
        lines.append(
            [row["id"], row["title"], list(STATES.get(row["state"], (row["state"], "none"))), ", ".join(results)]
        )
    heads = [column("Outcome", 2), column("What it asks", 4), column("State", 2, kind="verdict"), column("Evidence", 3)]
    return parts.table(heads, lines)


def _purpose(given: Given) -> list[Part]:
    row = given["system"]
    if not row["purpose"]:
        return []
    rows = [
        ["Purpose", row["purpose"]],
        ["Owner", row["owner"]["name"] or parts.NOT_ON_RECORD],
        ["Risk tier", row["tier"]],
    ]
    return [parts.facts(rows)]


def _versions(given: Given) -> list[Part]:
    return [models.inventory_table(given["content"]["inventory"])] if given["content"]["inventory"] else []


def _of_each(given: Given, show: Callable[[Given], list[Part]]) -> list[Part]:
    """What ``show`` makes of each model version, under its name; nothing where nothing is shown."""
    found: list[Part] = []
    for card in given["content"]["cards"]:
        shown = show(card)
        if shown:
            found += [parts.text(f"{card['model']['model']} v{card['model']['number']}:"), *shown]
    return found


def _environment(given: Given) -> list[Part]:
    def show(card: Given) -> list[Part]:
        rows = [[name, models.value_text(value)] for name, value in sorted(card["run"]["environment"].items())]
        return [parts.facts(rows)] if rows else []

    return _of_each(given, show)


def _training(given: Given) -> list[Part]:
    return _of_each(given, lambda card: [models.trained(card["training"]), models.made_by_run(card["run"])])


def _data(given: Given) -> list[Part]:
    return _of_each(given, lambda card: models.data(card["data"]))


def _columns(given: Given) -> list[Part]:
    def show(card: Given) -> list[Part]:
        named = [row for row in card["data"]["tables"] if row["columns"]]
        return [part for row in named for part in (parts.text(row["dataset"]), datasets.columns(row["columns"]))]

    return _of_each(given, show)


def _results(*kinds: str) -> Callable[[Given], list[Part]]:
    """The results of some kinds, or of all."""

    def show(card: Given) -> list[Part]:
        rows = [row for row in card["evidence"] if not kinds or row["kind"] in kinds]
        return models.results(rows) if rows else []

    return lambda given: _of_each(given, show)


def _questions(given: Given) -> list[Part]:
    def show(card: Given) -> list[Part]:
        lines = [[parts.words(gate["kind"]), gate["question"], gate["why"]] for gate in card["gates"]]
        return [parts.table([column("Evidence", 2), column("Question", 3), column("Why it is asked", 4)], lines)]

    return _of_each(given, show)


def _limits(given: Given) -> list[Part]:
    return _of_each(given, models.limitations)


def _tier(given: Given) -> list[Part]:
    return _of_each(given, lambda card: [parts.text(f"{card['policy']['title']} policy"), models.gates(card["gates"])])


def _reviews(given: Given) -> list[Part]:
    def show(card: Given) -> list[Part]:
        lines = [
            [parts.moment(row["submitted_at"]), row["state"], parts.moment(row["decided_at"])]
            for row in card["reviews"]
        ]
        return [parts.table([column("Submitted", 2), column("State"), column("Decided", 2)], lines)] if lines else []

    return _of_each(given, show)


def _signatures(given: Given) -> list[Part]:
    rows = given["content"]["signatures"]
    return [reviews.signatures(rows)] if rows else []


def _oversight(given: Given) -> list[Part]:
    lines = [
        [row["name"], parts.listed(role.replace("-", " ") for role in row["roles"])]
        for row in given["content"]["people"]
    ]
    return [parts.text(_SEPARATED), parts.table([column("Person", 2), column("Roles", 3)], lines)] if lines else []


SOURCES: Mapping[str, Callable[[Given], list[Part]]] = {
    "purpose": _purpose,
    "versions": _versions,
    "environment": _environment,
    "training": _training,
    "data": _data,
    "columns": _columns,
    "results": _results(),
    "groups": _results(*_GROUPS),
    "security": _results(*_ROBUST),
    "drift": _results(*_MONITORED),
    "questions": _questions,
    "limits": _limits,
    "tier": _tier,
    "reviews": _reviews,
    "signatures": _signatures,
    "oversight": _oversight,
}
_SEPARATED = "Nobody decides on a model that they built, trained or submitted; who holds which role here:"
_DERIVED = (
    "Nothing here is typed in: an outcome is supported by results that stand now, each named by its digest. "
    "Where evidence cannot show an outcome, a person’s signed statement is needed."
)


def open_items(given: Given) -> dict[str, Any]:
    """What is still open, one line each."""
    rows = given["content"]["open"]
    lines = [
        [parts.words(row["kind"]), row["title"], row["text"], parts.verdict(row["verdict"]), parts.day(row["due_at"])]
        for row in rows
    ]
    heads = [
        column("Kind"), column("What", 3), column("Why", 3), column("Verdict", kind="verdict"), column("Due"),
    ]  # fmt: skip
    listed = section("Open", parts.table(heads, lines, empty="Nothing is open."))
    title = f"Open items: {given['system']['name']}"
    return parts.document(title, f"{parts.figure(len(rows))} items are open.", given, [listed])
