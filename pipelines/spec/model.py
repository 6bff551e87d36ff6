"""The nouns of a specification as immutable models; the published JSON Schema's outline is made from them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

DEFAULT_TIMEOUT = 600.0
DEFAULT_MEMORY = 4 * 2**30
MAX_STEPS = 300
MAX_PARAMETERS = 100

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_MEMORY = re.compile(r"([1-9][0-9]{0,14})(KiB|MiB|GiB)?")

PIPELINE_NAME = r"^[a-z][a-z0-9-]{0,62}$"
NAME = r"^[a-z][a-z0-9_-]{0,62}$"
PORT = r"^[a-z][a-z0-9_-]{0,62}\.[a-z][a-z0-9_-]{0,62}$"
PATTERN_HINTS = {
    PIPELINE_NAME: "lower-case letters, digits and hyphens, beginning with a letter, at most 63",
    NAME: "lower-case letters, digits, hyphens and underscores, beginning with a letter, at most 63",
    PORT: "write <step>.<output>, such as load.table",
}


def memory_bytes(value: Any) -> Any:
    """``"2GiB"`` → 2147483648; an integer stays; anything else is refused.

    :raises ValueError: the text is not a whole number with KiB, MiB, GiB or nothing.
    """
    if not isinstance(value, str):
        return value
    match = _MEMORY.fullmatch(value)
    if match is None:
        raise ValueError("write bytes as an integer, or a whole number with KiB, MiB or GiB, such as 2GiB")
    return int(match[1]) * _UNITS[match[2] or ""]


Memory = Annotated[
    int,
    Field(ge=2**20, le=2**40),
    BeforeValidator(memory_bytes),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 2**20, "maximum": 2**40},
                {"type": "string", "pattern": f"^{_MEMORY.pattern}$"},
            ],
            "default": "4GiB",
            "description": "memory the step may use: bytes, or a whole number with KiB, MiB or GiB",
        }
    ),
]
ScalarValue = Annotated[Any, WithJsonSchema({"type": ["string", "integer", "number", "boolean"]})]
Name = Annotated[str, Field(pattern=NAME)]
PortReference = Annotated[str, Field(pattern=PORT, description="<step>.<output>")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, title=None)


class Metadata(_Part):
    """What the pipeline is called."""

    name: str = Field(pattern=PIPELINE_NAME, description="lower-case letters, digits and hyphens")
    title: str = Field(default="", max_length=200)
    description: str = Field(default="", max_length=4000)


class ParameterSpec(_Part):
    """A value that a run may choose. Without ``default`` a run must give it."""

    type: Literal["string", "integer", "number", "boolean"]
    default: ScalarValue = None
    description: str = Field(default="", max_length=1000)
    choices: tuple[ScalarValue, ...] | None = Field(default=None, min_length=1, max_length=200)

    @property
    def required(self) -> bool:
        """Whether a run must give it."""
        return "default" not in self.model_fields_set


class StepSpec(_Part):
    """One step: which implementation, its parameters, where its inputs come from, its budget."""

    name: Name
    uses: str = Field(max_length=120, description="id of a step, such as extract.csv@1")
    arguments: dict[str, Any] = Field(default_factory=dict, alias="with", description="the step's parameters")
    inputs: dict[str, PortReference] = Field(default_factory=dict, description="input port to <step>.<output>")
    timeout: float = Field(default=DEFAULT_TIMEOUT, gt=0, le=7 * 86400, description="seconds the step may take")
    memory: Memory = DEFAULT_MEMORY


class PipelineSpec(_Part):
    """A whole specification."""

    api_version: Literal["countersign/v1"] = Field(alias="apiVersion")
    kind: Literal["Pipeline"]
    metadata: Metadata
    parameters: dict[Name, ParameterSpec] = Field(default_factory=dict, max_length=MAX_PARAMETERS)
    steps: tuple[StepSpec, ...] = Field(min_length=1, max_length=MAX_STEPS)

    @property
    def name(self) -> str:
        """The pipeline's slug."""
        return self.metadata.name

    def step(self, name: str) -> StepSpec:
        """The step of that name.

        :raises KeyError: there is none.
        """
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)


def value_problem(parameter: ParameterSpec, value: Any) -> str:
    """What is wrong with a value for a run parameter, or nothing. A boolean is not a number here."""
    kinds: dict[str, tuple[type, ...]] = {
        "string": (str,),
        "integer": (int,),
        "number": (int, float),
        "boolean": (bool,),
    }
    if not isinstance(value, kinds[parameter.type]) or (isinstance(value, bool) and parameter.type != "boolean"):
        return f"should be {article(parameter.type)}, found {described(value)}"
    if parameter.choices is not None and not any(same(value, choice) for choice in parameter.choices):
        return "should be one of " + ", ".join(map(str, parameter.choices))
    return ""


def same(left: Any, right: Any) -> bool:
    """Equality that keeps ``true`` apart from 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def article(kind: str) -> str:
    """``integer`` → ``an integer``; ``string`` → ``text``; ``boolean`` → ``true or false``."""
    return {"string": "text", "integer": "an integer", "number": "a number", "boolean": "true or false"}[kind]


def described(value: Any) -> str:
    """What kind of value it is, never the text itself."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    kinds: tuple[tuple[type, str], ...] = ((str, "text"), (list, "a list"), (dict, "a mapping"))
    return next((name for kind, name in kinds if isinstance(value, kind)), type(value).__name__)
