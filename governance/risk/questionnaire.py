"""What a risk questionnaire is, and what a set of answers comes to. Pure; the questions themselves are data.

A question carries a weight, each of its answers points. The score is the share of the points that the worst answers
would have got, in whole per cent, rounded up; thresholds turn it into a tier. An answer with ``at_least`` is a hard
override: whatever the score says, the tier is not below that. So an answer more never makes a system look less risky.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from governance.policy import TIERS, Tier
from pipelines.spec.errors import SpecErrors
from pipelines.spec.loading import parse
from security.canonical import digest_of
from security.errors import InvalidError

_BUILTIN = Path(__file__).parent / "questionnaires" / "ai-system.yaml"
_ID = r"^[a-z][a-z0-9-]{0,39}$"
_TOLD = 3  # how many answers are named as what the score comes from


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


class Answer(_Strict):
    """One answer. ``at_least``: the tier is not below this, ``because`` of that; ``alone``: it goes with no other."""

    id: str = Field(pattern=_ID)
    text: str = Field(min_length=1, max_length=300)
    points: int = Field(ge=0, le=10)
    at_least: Tier | None = None
    because: str = Field(default="", max_length=500)
    alone: bool = False

    @model_validator(mode="after")
    def _says_why(self) -> Self:
        if (self.at_least is None) != (not self.because):
            raise ValueError(f"the answer {self.id} needs at_least and because together")
        return self


class Question(_Strict):
    """One question; ``choose`` exactly ``one`` answer, or ``any`` number of them but at least one."""

    id: str = Field(pattern=_ID)
    text: str = Field(min_length=1, max_length=300)
    why: str = Field(min_length=1, max_length=600)
    weight: int = Field(ge=1, le=10)
    choose: Literal["one", "any"]
    answers: tuple[Answer, ...] = Field(min_length=2, max_length=30)

    @property
    def most(self) -> int:
        """The points of the worst answer."""
        return max(answer.points for answer in self.answers)

    @model_validator(mode="after")
    def _can_be_answered(self) -> Self:
        _no_repetition([answer.id for answer in self.answers], f"the question {self.id} has an answer")
        if self.most == 0:
            raise ValueError(f"no answer to {self.id} has points, so it asks for nothing")
        if self.choose == "any" and not any(answer.alone for answer in self.answers):
            raise ValueError(f"{self.id} needs an answer that says none applies (alone: true)")
        return self


class Bounds(_Strict):
    """From which figure on something is medium, and from which high."""

    medium: int = Field(ge=1)
    high: int = Field(ge=2)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.medium >= self.high:
            raise ValueError("medium must begin below high")
        return self

    def tier(self, figure: int) -> Tier:
        """Where the figure falls."""
        return "high" if figure >= self.high else "medium" if figure >= self.medium else "low"


class Questionnaire(_Strict):
    """The questions, and how answers become a tier.

    ``thresholds``: of the score, 0 to 100. ``register_levels``: of likelihood × impact, 1 to 25, for the levels of the
    risks in a register.
    """

    title: str = Field(min_length=1, max_length=120)
    why: str = Field(min_length=1, max_length=1000)
    thresholds: Bounds
    register_levels: Bounds
    questions: tuple[Question, ...] = Field(min_length=1, max_length=60)

    @model_validator(mode="after")
    def _can_be_used(self) -> Self:
        _no_repetition([question.id for question in self.questions], "there is a question")
        if self.thresholds.high > 100:
            raise ValueError("a score goes to 100: no threshold lies above")
        if self.register_levels.high > 25:
            raise ValueError("likelihood × impact goes to 25: no level begins above")
        if not any(answer.at_least == "high" for question in self.questions for answer in question.answers):
            raise ValueError("no answer makes a system high by itself (at_least: high); some uses must")
        return self

    def content(self) -> dict[str, Any]:
        """The JSON that is published and digested."""
        return self.model_dump(mode="json")

    def as_yaml(self) -> str:
        """The content as YAML that ``read`` takes again."""
        text: str = yaml.safe_dump(self.content(), sort_keys=False, allow_unicode=True, width=120)
        return text

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical content."""
        return digest_of(self.content())


@dataclass(frozen=True)
class Reason:
    """Why a tier came out. ``kind``: ``override`` (an answer says so by itself) or ``score``."""

    kind: str
    tier: str
    question: str
    text: str


@dataclass(frozen=True)
class Outcome:
    """``score`` of 100, the tier, and why."""

    score: int
    tier: Tier
    reasons: tuple[Reason, ...]


def height(tier: str) -> int:
    """0 for low to 2 for high; anything unknown is as high as there is."""
    return len(TIERS) - 1 - TIERS.index(tier) if tier in TIERS else len(TIERS) - 1  # type: ignore[arg-type]  # asked


def judge(questionnaire: Questionnaire, answers: Mapping[str, Sequence[str]]) -> Outcome:
    """What answers (question id → ids of answers) come to.

    Raises InvalidError, with the question as its field: a question that is not there, not answered, answered by
    something that is no answer to it, twice, or by two that do not go together.
    """
    known = {question.id for question in questionnaire.questions}
    if unknown := sorted(set(answers) - known):
        raise InvalidError(f"There is no question {unknown[0][:60]!r}.", field=unknown[0][:60])
    chosen = {question: _chosen(question, answers.get(question.id, ())) for question in questionnaire.questions}
    got = {question: question.weight * max(one.points for one in given) for question, given in chosen.items()}
    score = -(-100 * sum(got.values()) // sum(question.weight * question.most for question in chosen))
    overrides = [
        Reason("override", one.at_least, question.id, f"{one.text}: {one.because}")
        for question, given in chosen.items()
        for one in given
        if one.at_least is not None
    ]
    by_score = Reason("score", questionnaire.thresholds.tier(score), "", _score_text(questionnaire, score, got, chosen))
    tier = max((reason.tier for reason in (*overrides, by_score)), key=height)
    return Outcome(score, _tier(tier), (*overrides, by_score))


def read(text: str | bytes) -> Questionnaire:
    """A questionnaire from YAML or JSON, which is parsed as safely as a pipeline. Raises InvalidError (field text)."""
    try:
        return Questionnaire.model_validate(parse(text).data)
    except SpecErrors as error:
        first = error.errors[0]
        where = f"line {first.line}, column {first.column}: "
        raise InvalidError(f"This is not a questionnaire: {where}{first.message}.", field="text") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(str(part) for part in wrong["loc"])[:120]
        what = wrong["msg"].removeprefix("Value error, ")
        raise InvalidError(f"This is not a questionnaire{where and f': at {where}'}: {what}.", field="text") from None


@cache
def builtin() -> Questionnaire:
    """The questionnaire that this release ships."""
    return Questionnaire.model_validate(yaml.safe_load(builtin_text()))


def builtin_text() -> str:
    """Its file, as YAML."""
    return _BUILTIN.read_text(encoding="utf-8")


def _chosen(question: Question, given: Sequence[str]) -> tuple[Answer, ...]:
    there = {answer.id: answer for answer in question.answers}
    if not given:
        raise InvalidError(f"Not answered: {question.text}", field=question.id)
    if len(set(given)) < len(given) or set(given) - set(there):
        raise InvalidError(f"“{question.text}” takes each of {', '.join(there)} once at most.", field=question.id)
    chosen = tuple(answer for answer in question.answers if answer.id in given)
    if len(chosen) > 1 and (question.choose == "one" or any(answer.alone for answer in chosen)):
        raise InvalidError(f"These answers to “{question.text}” do not go together.", field=question.id)
    return chosen


def _score_text(
    questionnaire: Questionnaire,
    score: int,
    got: Mapping[Question, int],
    chosen: Mapping[Question, tuple[Answer, ...]],
) -> str:
    bounds = questionnaire.thresholds
    worst = sorted((question for question in got if got[question]), key=lambda one: -got[one])[:_TOLD]
    named = "; ".join(max(chosen[question], key=lambda one: one.points).text for question in worst)
    text = f"{score} of 100 points (medium from {bounds.medium}, high from {bounds.high})"
    return f"{text}, most of them for: {named}" if named else text


def _tier(name: str) -> Tier:
    return next(tier for tier in TIERS if tier == name)


def _no_repetition(names: Sequence[str], what: str) -> None:
    if len(names) != len(set(names)):
        raise ValueError(f"{what} twice")
