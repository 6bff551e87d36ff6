"""Made-up credit applications: three files with names, numbers and notes of people who do not exist.

Run it as ``python examples/credit_applications.py FOLDER``. Everything is MADE UP: e-mail domains are reserved for
examples (RFC 2606), telephone numbers lie in 555-0100 to 555-0199, social security numbers begin with 9 (never
issued), and card numbers carry the test prefixes of payment processors with a valid check digit. The same seed gives
the same bytes.
"""

from __future__ import annotations

import csv
import io
import json
import math
import random
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from faker import Faker

MADE_UP = "made up"
COLUMNS = (
    "application_id", "received_on", "full_name", "email", "phone", "ssn", "card_number", "note", "age", "sex",
    "region", "employment_years", "income", "debt", "requested_amount", "purpose", "late_payments", "defaulted",
    "made_up",
)  # fmt: skip
REGIONS = ("north", "south", "east", "west")
PURPOSES = ("car", "home repair", "debt consolidation", "education", "medical", "wedding")
_CARD_PREFIXES = ("411111", "555555", "400000", "510510")
_DOMAINS = ("example.org", "example.com", "example.net")
_NOTES = (
    "{name} asked to be called at {phone} before noon.",
    "Applicant {first} wrote from {email} about the {purpose}.",
    "Called {last}; payslips follow by post. Reach at {email} or {phone}.",
    "{name} gave SSN {ssn} on the phone, copy of the tax return is missing.",
    "Card {card} was offered as a second means of payment by {first} {last}.",
    "Income confirmed by the employer; {first} prefers e-mail ({email}).",
    "Branch visit, documents complete, nothing open.",
    "Second request this year for {purpose}. {first} can be reached at {phone}.",
)


@dataclass(frozen=True)
class Batch:
    """One file: ``income_factor`` multiplies every income, ``flip_share`` of the labels is turned over."""

    name: str
    rows: int
    first_day: str
    first_id: int
    income_factor: float = 1.0
    flip_share: float = 0.0


BATCHES = (
    Batch("reference", 2_000, "2025-07-01", 1),
    Batch("1", 5_000, "2025-10-01", 10_001),
    Batch("2", 5_000, "2026-01-01", 20_001, income_factor=1.35, flip_share=0.08),
)


def write_credit_applications(folder: Path, *, seed: int = 20260101) -> dict[str, Path]:
    """Write the three CSV files and ``credit-applications-truth.json`` into ``folder``.

    Returns ``{"reference", "1", "2", "truth"}`` → path. The truth file lists the application ids whose label was
    flipped; nothing in the tables gives them away.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths: dict[str, Path] = {}
    truth: dict[str, Any] = {"made_up": MADE_UP, "seed": seed, "batches": []}
    for batch in BATCHES:
        rows, flipped = _rows(batch, seed)
        paths[batch.name] = folder / f"credit-applications-{batch.name}.csv"
        paths[batch.name].write_bytes(_csv(rows))
        truth["batches"].append({**asdict(batch), "flipped": flipped})
    paths["truth"] = folder / "credit-applications-truth.json"
    paths["truth"].write_bytes((json.dumps(truth, indent=2) + "\n").encode())
    return paths


def _seeded(seed: str) -> random.Random:
    return random.Random(seed)  # noqa: S311  # made-up data must come out the same each time


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _rows(batch: Batch, seed: int) -> tuple[list[dict[str, Any]], list[str]]:
    """The rows of a batch and the ids of those whose label was flipped."""
    numbers = _seeded(f"{seed}/{batch.name}/numbers")
    person = _people(f"{seed}/{batch.name}/people")
    first = date.fromisoformat(batch.first_day)
    rows = []
    for index in range(batch.rows):
        facts = _facts(batch, numbers)
        received = first + timedelta(days=index * 90 // batch.rows)
        who = person(facts)
        rows.append(
            {"application_id": f"APP-{batch.first_id + index:06d}", "received_on": received.isoformat(), **who, **facts,
             "made_up": MADE_UP}
        )  # fmt: skip
    chosen = _seeded(f"{seed}/{batch.name}/flips").sample(range(batch.rows), round(batch.flip_share * batch.rows))
    for index in chosen:
        rows[index]["defaulted"] = 1 - rows[index]["defaulted"]
    return rows, sorted(rows[index]["application_id"] for index in chosen)


def _facts(batch: Batch, numbers: random.Random) -> dict[str, Any]:
    """What a lender knows. The chance of default is logistic in debt share, late payments, years employed, amount."""
    age = min(max(round(numbers.gauss(42, 13)), 18), 84)
    employed = round(min(max(numbers.expovariate(1 / 7), 0), age - 17), 1)
    income = round(batch.income_factor * math.exp(numbers.gauss(10.65, 0.42)) * (1 + 0.01 * employed), -2)
    debt = round(income / batch.income_factor * numbers.betavariate(1.6, 3.4), -2)
    amount = round(math.exp(numbers.gauss(9.2, 0.6)), -2)
    late = min(_poisson(numbers, 0.9), 9)
    score = (
        -1.75
        + 4.2 * (debt / (income / batch.income_factor) - 0.32)
        + 0.95 * late
        - 0.11 * min(employed, 15)
        + 1.1 * (amount / (income / batch.income_factor) - 0.25)
    )
    return {
        "age": age,
        "sex": numbers.choice(("female", "male")),
        "region": numbers.choice(REGIONS),
        "employment_years": employed,
        "income": int(income),
        "debt": int(debt),
        "requested_amount": int(amount),
        "purpose": numbers.choice(PURPOSES),
        "late_payments": late,
        "defaulted": int(numbers.random() < 1 / (1 + math.exp(-1.1 * score))),
    }


def _poisson(numbers: random.Random, mean: float) -> int:
    """Knuth's method: enough for small means."""
    limit, product, count = math.exp(-mean), numbers.random(), 0
    while product > limit:
        product *= numbers.random()
        count += 1
    return count


def _people(seed: str) -> Callable[[dict[str, Any]], dict[str, str]]:
    """A source of made-up people; their names come from Faker, their numbers from ranges that belong to nobody."""
    faker = Faker("en_US")
    numbers = _seeded(seed)
    faker.seed_instance(seed)
    # A pool of each, since Faker's weighted draw for every row would take longer than all the rest.
    first_names = {
        "female": [faker.first_name_female() for _ in range(400)],
        "male": [faker.first_name_male() for _ in range(400)],
    }
    last_names = [faker.last_name() for _ in range(800)]
    given_out: set[str] = set()

    def person(facts: dict[str, Any]) -> dict[str, str]:
        first = numbers.choice(first_names[facts["sex"]])
        last = numbers.choice(last_names)
        email = f"{first}.{last}{numbers.randrange(100)}@{numbers.choice(_DOMAINS)}".lower()
        phone = f"({numbers.randrange(201, 990)}) 555-01{numbers.randrange(100):02d}"
        ssn = _fresh(given_out, lambda: _ssn(numbers))
        card = _fresh(given_out, lambda: _card(numbers))
        note = numbers.choice(_NOTES).format(
            name=f"{first} {last}", first=first, last=last, email=email, ssn=ssn, card=" ".join(_fours(card)),
            phone=numbers.choice((phone, phone[1:4] + "-" + phone[6:])), purpose=facts["purpose"],
        )  # fmt: skip
        return {
            "full_name": f"{first} {last}",
            "email": email,
            "phone": phone,
            "ssn": ssn,
            "card_number": card,
            "note": note,
        }

    return person


def _fresh(given_out: set[str], draw: Callable[[], str]) -> str:
    """A number that nobody in the file has yet."""
    while (number := draw()) in given_out:
        pass
    given_out.add(number)
    return number


def _ssn(numbers: random.Random) -> str:
    """Area 900 to 999 is never issued, and with a group below 50 it is no taxpayer number (ITIN) either."""
    return f"9{numbers.randrange(100):02d}-{numbers.randrange(10, 50)}-{numbers.randrange(1, 10_000):04d}"


def _card(numbers: random.Random) -> str:
    body = numbers.choice(_CARD_PREFIXES) + f"{numbers.randrange(10**9):09d}"
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += doubled - 9 if doubled > 9 else doubled
    return f"{body}{-total % 10}"


def _fours(digits: str) -> Iterator[str]:
    return (digits[start : start + 4] for start in range(0, len(digits), 4))


def main(arguments: list[str]) -> int:
    """Write the files into the folder that is named; returns the exit status."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python examples/credit_applications.py FOLDER\n")
        return 2
    for path in write_credit_applications(Path(arguments[0])).values():
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
