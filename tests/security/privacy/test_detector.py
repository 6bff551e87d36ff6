"""The detector against labelled texts: recall and precision by kind of entity, for those that it claims to cover.

The telephone and card rules were written with these 100 texts in view, so what they score here is a regression guard,
not an estimate of recall on other texts.
"""

from __future__ import annotations

import json
import socket
from collections import Counter

import pytest

from security.privacy.detector import MAX_CHARACTERS, Detector, ModelNotInstalledError
from tests.support.real_data import real_data

LABELS = {"DOMAIN_NAME": "URL"}


@pytest.fixture(scope="module")
def detector() -> Detector:
    return Detector()


@pytest.fixture(scope="module")
def labelled() -> list[dict[str, object]]:
    """100 made-up sentences of microsoft/presidio-research with labelled spans."""
    return list(json.loads(real_data("pii_small.json").read_text(encoding="utf-8")))


def test_covered_entities_are_all_found_and_nothing_else_is(detector: Detector, labelled: list[dict]) -> None:  # type: ignore[type-arg]
    wanted: Counter[str] = Counter()
    found: Counter[str] = Counter()
    wrong = []
    for item in labelled:
        spans = detector.find(item["full_text"])
        gold = [
            (span["start_position"], span["end_position"], LABELS.get(span["entity_type"], span["entity_type"]))
            for span in item["spans"]
        ]
        for start, end, entity in gold:
            wanted[entity] += 1
            found[entity] += any(s.start <= start and s.end >= end and s.entity == entity for s in spans)
        wrong += [
            s for s in spans if not any(s.start < end and s.end > start and s.entity == e for start, end, e in gold)
        ]
    covered = {"EMAIL_ADDRESS": 2, "CREDIT_CARD": 10, "US_SSN": 3, "IP_ADDRESS": 2, "PHONE_NUMBER": 10, "URL": 3}
    assert {entity: wanted[entity] for entity in covered} == covered, "the file is the one that was counted"
    assert {entity: found[entity] for entity in covered} == covered
    assert wrong == []
    assert found["PERSON"] == 0, "without a model no name is found; the report says so"
    assert "PERSON" in detector.not_covered


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("write to jane.doe@example.org now", "EMAIL_ADDRESS"),
        ("pay GB29 NWBK 6016 1331 9268 19 please", "IBAN_CODE"),
        ("from 2001:db8::8a2e:370:7334 today", "IP_ADDRESS"),
        ("amex 3782 822463 10005 ok", "CREDIT_CARD"),
        ("mastercard 2-series 2221 0000 0000 0009", "CREDIT_CARD"),
        ("diners 3056 9309 0259 04", "CREDIT_CARD"),
        ("nineteen 4000-0000-0000-0000-006", "CREDIT_CARD"),
        ("call +44 20 7946 0958.", "PHONE_NUMBER"),
        ("call (312) 555-0142 or", "PHONE_NUMBER"),
        ("call 555-0142 or", "PHONE_NUMBER"),
        ("ssn 912-34-5678", "US_SSN"),
    ],
)
def test_forms_of_numbers(detector: Detector, text: str, entity: str) -> None:
    assert [span.entity for span in detector.find(text)] == [entity]


@pytest.mark.parametrize(
    "text",
    [
        "Received on 2026-01-31, signed 12/27/1986.",
        "Debt of 1 234 567 or 12.345.678 in total",
        "Years 2019 2020 2021 were good",
        "order 4111111111111112 fails the check digit",
        "ratio 3.14159265 and 0.123456789",
        "ZIP 60614-1234, room A1, class H1",
        "APP-010023",
        "plain words only, as in debt consolidation",
        "ages 30-39",
    ],
)
def test_what_is_not_personal_is_left_alone(detector: Detector, text: str) -> None:
    assert detector.find(text) == []


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert [span.entity for span in Detector().find("a@b.co.uk http://example.org")] == ["EMAIL_ADDRESS", "URL"]


@pytest.mark.parametrize("name", ["en_core_web_enormous", "../../etc", "/tmp/model", "os"])  # noqa: S108  # never opened
def test_model_that_is_not_installed_is_refused(name: str) -> None:
    with pytest.raises(ModelNotInstalledError, match="is not installed"):
        Detector(spacy_model=name)


def test_unknown_entity_and_endless_text_are_refused(detector: Detector) -> None:
    with pytest.raises(ValueError, match="no recogniser for US_DRIVER_LICENSE"):
        Detector(entities=("US_DRIVER_LICENSE",))
    with pytest.raises(ValueError, match="100001 characters"):
        detector.find("x" * (MAX_CHARACTERS + 1))
