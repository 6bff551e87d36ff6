"""The form that brings in a model that was trained elsewhere."""

from __future__ import annotations

from typing import Any

from django import forms

from pipelines.package.columns import read_lines
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.identity.models import User

_DIGEST = r"^[0-9a-f]{64}$"
_LINES: dict[str, Any] = {"class": "spec", "spellcheck": "false", "autocomplete": "off"}


class ExternalModelForm(forms.Form):
    """A model file, its inputs and answers, and its origin. A chosen file has to be chosen again after an error."""

    system = forms.ModelChoiceField(AISystem.objects.none(), label="AI system", empty_label=None)
    file = forms.FileField(
        label="The model file",
        help_text="skops or ONNX, as its content says. Pickle and joblib files are refused: opening one runs code.",
    )
    model = forms.RegexField(
        r"^[a-z0-9]+(-[a-z0-9]+)*$",
        label="Name in the registry",
        max_length=56,
        help_text="Lower-case letters, digits and hyphens. A known name gets a new version.",
    )
    description = forms.CharField(label="What it is for", max_length=2000, required=False)
    task = forms.ChoiceField(
        label="It answers",
        choices=[("classification", "a class"), ("regression", "a number")],
        initial="classification",
    )
    classes = forms.CharField(
        label="Its classes",
        required=False,
        max_length=20_000,
        help_text="One a line, in the model’s own order; none for a model that answers a number.",
        widget=forms.Textarea(attrs={**_LINES, "rows": 3}),
    )
    columns = forms.CharField(
        label="Its inputs",
        max_length=200_000,
        help_text="One a line, in their order: “amount”, “age: 17..90” or “sex: female | male”.",
        widget=forms.Textarea(attrs={**_LINES, "rows": 8}),
    )
    supplier = forms.CharField(label="Who trained it", max_length=200)
    reference = forms.CharField(
        label="Where it comes from", max_length=500, required=False, help_text="An address, a commit."
    )
    training_sha256 = forms.RegexField(
        _DIGEST,
        label="SHA-256 of the training data",
        help_text="64 hexadecimal digits. Where this system holds data with that digest, the origin is proven.",
        widget=forms.TextInput(attrs={"class": "mono", "autocomplete": "off", "spellcheck": "false"}),
    )
    lineage = forms.CharField(
        label="From which data and how it was trained", max_length=4000, widget=forms.Textarea(attrs={"rows": 4})
    )

    def __init__(self, *args: Any, user: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        systems = access.visible(user, Action.REGISTER, AISystem.objects.all())
        self.fields["system"].queryset = systems  # type: ignore[attr-defined]  # a ModelChoiceField

    def clean_classes(self) -> list[str]:
        """One class a line."""
        return [line.strip() for line in self.cleaned_data["classes"].splitlines() if line.strip()]

    def clean_columns(self) -> list[dict[str, Any]]:
        """The columns as the service takes them. Raises ValidationError that names the line."""
        try:
            return read_lines(self.cleaned_data["columns"])
        except ValueError as error:
            raise forms.ValidationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None
