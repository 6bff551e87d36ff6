"""Who attacks, what they know and may do, and what helps: the words that stand beside every attack's figures.

Identifiers are those of NIST AI 100-2 E2025. A check that ran says what was tried and what came of it, never that a
model is robust: the strength of the evidence is part of the report.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from security.measurement import Verdict


@dataclass(frozen=True)
class Threat:
    """A threat model: ``ids`` (NIST AI 100-2), what the attacker wants, knows and can do, and mitigations by name."""

    ids: tuple[str, ...]
    name: str
    goal: str
    knowledge: str
    capability: str
    mitigations: tuple[str, ...]


EVASION = Threat(
    ids=("NISTAML.022", "NISTAML.025"),
    name="evasion",
    goal="another decision for a row that has hardly changed",
    knowledge="the predicted class of any row asked (black box); the model itself for gradient and tree attacks",
    capability="changes columns that are not immutable, inside the range seen, to rows that may exist",
    mitigations=(
        "retrain with the rows that were found, under their old labels (adversarial training)",
        "leave out or coarsen the features that the successful changes used most",
        "a stronger regularisation, or larger leaves, so that small changes weigh less",
        "limit how often one person may ask for a decision",
    ),
)
MEMBERSHIP = Threat(
    ids=("NISTAML.033",),
    name="membership inference",
    goal="whether a given person's row was in the training data",
    knowledge="the row with its label, the model's probabilities, and rows of the same population to train shadows on",
    capability="asks the model once per row",
    mitigations=(
        "a stronger regularisation: a smaller depth, larger leaves, a smaller C",
        "train with differential privacy",
        "answer with the class or rounded probabilities only",
        "fewer features, above all those that single out people",
    ),
)
ATTRIBUTE = Threat(
    ids=("NISTAML.032", "NISTAML.034"),
    name="attribute inference",
    goal="a sensitive value of a person whose other columns are known",
    knowledge="every other column, the label, the model's probabilities, and rows of the same population",
    capability="asks the model once per row and possible value",
    mitigations=(
        "leave the sensitive column out of the features",
        "coarsen the sensitive column",
        "a stronger regularisation, or training with differential privacy",
        "answer with the class or rounded probabilities only",
    ),
)
EXTRACTION = Threat(
    ids=("NISTAML.031",),
    name="model extraction",
    goal="a copy of the model that decides like it",
    knowledge="the columns, their ranges, and the model's answers",
    capability="asks for made-up rows as often as the budget allows and trains a surrogate on the answers",
    mitigations=(
        "limit queries per person and day below the number at which the surrogate agrees",
        "answer with the class or rounded probabilities only",
        "watch for rows that nobody would ask: combinations never seen in the data",
    ),
)
POISONING = Threat(
    ids=("NISTAML.013", "NISTAML.023", "NISTAML.024"),
    name="data poisoning",
    goal="a worse model, or one that obeys a hidden trigger",
    knowledge="the columns and what their values usually are",
    capability="changes labels of training rows or adds rows of their own",
    mitigations=(
        "have the listed rows checked by a person, and train again without those that are wrong",
        "trace the listed rows to their source and leave that source out",
        "larger leaves or a stronger regularisation, so that few rows cannot decide",
    ),
)


def described(
    threat: Threat, *, budget: Mapping[str, Any], strength: Sequence[str], verdict: Verdict | None
) -> dict[str, Any]:
    """The part of a report that says how to read its figures; mitigations are suggested when the check failed."""
    return {
        "threat": {
            "ids": list(threat.ids),
            "name": threat.name,
            "goal": threat.goal,
            "knowledge": threat.knowledge,
            "capability": threat.capability,
        },
        "budget": dict(budget),
        "strength": list(strength),
        "mitigations": list(threat.mitigations) if verdict is Verdict.FAIL else [],
    }
