"""The forms of the pipelines' pages: filters of lists, a new version, a new run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from django import forms
from django.db.models import Model, Q, QuerySet

from pipelines.models import RunState
from pipelines.services.runs import DEFAULT_SEED, MAX_SEED
from pipelines.spec.binding import from_text
from pipelines.spec.loading import MAX_BYTES
from pipelines.spec.model import ParameterSpec
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import ServiceError
from security.forms import refuse
from security.identity.models import User
from security.measurement import Verdict

M = TypeVar("M", bound=Model)
_MIB = 2**20


class ListFilter(forms.Form):
    """What every list can be narrowed by: words, and the AI system. A value that makes no sense narrows nothing."""

    searched: tuple[str, ...] = ("name",)
    system_path = "system"
    exact: Mapping[str, str] = {}

    q = forms.CharField(label="Search", required=False, max_length=200, widget=forms.SearchInput)
    system = forms.ChoiceField(label="System", required=False)

    def __init__(self, data: Mapping[str, Any], *, user: User) -> None:
        super().__init__(data)
        systems = access.visible(user, Action.VIEW, AISystem.objects.all()).values_list("slug", "name")
        self.fields["system"].choices = [("", "Any"), *systems]  # type: ignore[attr-defined]  # a ChoiceField

    @property
    def is_filtered(self) -> bool:
        """Whether anything narrows the list."""
        return self.is_valid() and any(self.cleaned_data.values())

    def narrow(self, rows: QuerySet[M]) -> QuerySet[M]:
        """The rows that meet all that was asked for."""
        self.is_valid()
        wanted = self.cleaned_data
        if words := wanted.get("q"):
            rows = rows.filter(Q(*((f"{field}__icontains", words) for field in self.searched), _connector=Q.OR))
        if slug := wanted.get("system"):
            rows = rows.filter(**{f"{self.system_path}__slug": slug})
        return rows.filter(**{path: wanted[field] for field, path in self.exact.items() if wanted.get(field)})


class PipelineFilter(ListFilter):
    """Narrows the list of pipelines."""

    searched = ("name", "title", "description")
    exact = {"state": "last_state"}
    state = forms.ChoiceField(label="Last run", required=False, choices=[("", "Any"), *RunState.choices])


class RunFilter(ListFilter):
    """Narrows the list of runs."""

    searched = ("version__pipeline__name", "version__pipeline__title", "created_by__full_name")
    exact = {"state": "state", "verdict": "verdict"}
    state = forms.ChoiceField(label="State", required=False, choices=[("", "Any"), *RunState.choices])
    verdict = forms.ChoiceField(
        label="Verdict", required=False, choices=[("", "Any"), *((v.value, v.value.capitalize()) for v in Verdict)]
    )


class DatasetFilter(ListFilter):
    """Narrows the list of datasets."""


class SpecForm(forms.Form):
    """A pipeline specification as a file or as text. A file that was chosen is read; its text then stands below."""

    system = forms.ModelChoiceField(AISystem.objects.none(), label="AI system", empty_label=None)
    file = forms.FileField(
        label="A file",
        required=False,
        help_text=f"One YAML file of at most {MAX_BYTES // _MIB} MiB: a specification names data, it does not hold it.",
        widget=forms.ClearableFileInput(attrs={"accept": ".yaml,.yml,.json"}),
    )
    text = forms.CharField(
        label="or its text",
        required=False,
        strip=False,
        help_text="A file that is chosen above takes the place of this text.",
        widget=forms.Textarea(
            attrs={"class": "spec", "spellcheck": "false", "wrap": "off", "maxlength": MAX_BYTES, "autocomplete": "off"}
        ),
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        systems = access.visible(user, Action.REGISTER, AISystem.objects.all())
        self.fields["system"].queryset = systems  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean(self) -> dict[str, Any]:
        """Adds ``spec``: the bytes of the file, or the text."""
        cleaned: dict[str, Any] = super().clean() or {}
        file = cleaned.get("file")
        if file is not None and file.size > MAX_BYTES:
            found = f"This file has {file.size:,} bytes; a specification has at most {MAX_BYTES:,}."
            self.add_error("file", found + " Put data into a file of its own and name it in an extract step.")
        elif file is not None:
            cleaned["spec"] = file.read()
            self._show(cleaned["spec"])
        elif cleaned.get("text", "").strip():
            cleaned["spec"] = cleaned["text"].replace("\r\n", "\n")
        elif "file" not in self.errors:
            self.add_error("file", "Choose a file, or paste the text below.")
        return cleaned

    def _show(self, spec: bytes) -> None:
        """Put the file's text into the text field, so that it can be mended here and nothing is lost."""
        self.data = {**self.data.dict(), "text": spec.decode(errors="replace")}  # type: ignore[attr-defined]  # QueryDict


class RunForm(forms.Form):
    """A run's parameters, made from the specification's, and its seed."""

    seed = forms.IntegerField(
        label="Seed",
        min_value=0,
        max_value=MAX_SEED,
        initial=DEFAULT_SEED,
        help_text="The same seed, parameters and inputs give the same results.",
    )

    def __init__(self, *args: Any, specs: Mapping[str, ParameterSpec], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.specs = specs
        for name, spec in specs.items():
            self.fields[field_name(name)] = _field(name, spec)
        self.order_fields([*(field_name(name) for name in specs), "seed"])

    @property
    def parameters(self) -> dict[str, Any]:
        """The run parameters that were given, by the specification's names; an empty field means the default."""
        given = {name: self.cleaned_data.get(field_name(name)) for name in self.specs}
        return {name: value for name, value in given.items() if value not in (None, "")}

    def refuse(self, error: ServiceError) -> None:
        """Show a service's refusal, each of its errors at the field of its parameter."""
        errors = [found for found in error.extra.get("errors", ()) if isinstance(found, Mapping)]
        if error.field != "parameters" or not errors:
            refuse(self, error)
        for found in errors:
            own = not found["step"] and found["parameter"] in self.specs
            step = f"step {found['step']}, {found['parameter']}: " if found["step"] else ""
            hint = f" ({found['hint']})" if found["hint"] else ""
            self.add_error(field_name(found["parameter"]) if own else None, f"{step}{found['message']}{hint}")


def field_name(parameter: str) -> str:
    """The form's name of a run parameter; the prefix keeps one named ``seed`` apart from the seed."""
    return f"param-{parameter}"


class _TypedText(forms.CharField):
    """Text that becomes a number as on the command line."""

    def __init__(self, *, spec: ParameterSpec, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec

    def clean(self, value: Any) -> Any:
        """Raises ValidationError for text that is not of the parameter's type."""
        text = super().clean(value)
        try:
            return from_text(self.spec, text) if text else None
        except ValueError as error:
            raise forms.ValidationError(f"{str(error).capitalize()}.") from None


def _field(name: str, spec: ParameterSpec) -> forms.Field:
    common: dict[str, Any] = {"label": name, "required": spec.required, "help_text": _help(spec)}
    if spec.default is not None:
        common["initial"] = _written(spec.default)
    options = (True, False) if spec.type == "boolean" and spec.choices is None else spec.choices
    if options is not None:
        kept = {_written(option): option for option in options}
        empty = [("", "Choose …")] if spec.required else []
        choices = [*empty, *((text, text) for text in kept)]
        return forms.TypedChoiceField(choices=choices, coerce=kept.__getitem__, empty_value=None, **common)
    if spec.type == "string":
        return forms.CharField(strip=False, **common)
    mode = "numeric" if spec.type == "integer" else "decimal"
    return _TypedText(spec=spec, widget=forms.TextInput(attrs={"inputmode": mode, "class": "mono"}), **common)


def _written(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _help(spec: ParameterSpec) -> str:
    kind = {"string": "Text", "integer": "A whole number", "number": "A number", "boolean": "True or false"}[spec.type]
    default = "" if spec.default in (None, "") else f" Default: {_written(spec.default)}."
    return " ".join(part for part in (_sentence(spec.description), f"{kind}.{default}") if part)


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if not text or text.endswith((".", "!", "?")) else ".")
