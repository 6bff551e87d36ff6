"""Forms of profiles, questionnaires, risks and incidents."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import QuerySet

from governance.forms import SigningForm
from governance.policy import TIERS
from governance.risk.models import RiskRevision, Severity, Source, Treatment
from governance.risk.questionnaire import Question, Questionnaire, height
from governance.risk.services.texts import MAX_LINE, MAX_TEXT
from pipelines.models import ModelVersion
from security.identity.models import User

_PREFIX = "q_"


def _words(label: str, help_text: str = "", *, rows: int = 3, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=MAX_TEXT,
        widget=forms.Textarea(attrs={"rows": rows}),
    )


class ProfileForm(forms.Form):
    """What the purpose of a system does not say."""

    users = _words("Who uses it")
    affected_people = _words("Whom it affects", "also those who never see it")
    deployment_context = _words("Where it runs, and what depends on it")
    data_categories = _words("Kinds of data", "one a line; “none” where there is none")

    def clean_data_categories(self) -> list[str]:
        """The lines that hold something."""
        return [one for one in self.cleaned_data["data_categories"].splitlines() if one.strip()]


class AnswerForm(forms.Form):
    """The questions of one version of the questionnaire, each a field of its own."""

    questionnaire = forms.CharField(widget=forms.HiddenInput, max_length=64)

    def __init__(self, *args: Any, version: Questionnaire, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["questionnaire"].initial = version.digest
        for question in version.questions:
            self.fields[_PREFIX + question.id] = _asked(question)
        self.fields["note"] = _words("What else should be known", "stays on record", required=False)

    def given(self) -> dict[str, Any]:
        """What ``assessments.answer`` takes."""
        data = self.cleaned_data
        answers = {
            name.removeprefix(_PREFIX): value if isinstance(value, list) else [value]
            for name, value in data.items()
            if name.startswith(_PREFIX)
        }
        return {"answers": answers, "note": data["note"], "questionnaire": data["questionnaire"]}

    @staticmethod
    def field_of(name: str) -> str:
        """The form's field for a field that the service names: a question stands under its own prefix."""
        return name if name in ("note", "questionnaire") else _PREFIX + name


def _asked(question: Question) -> forms.ChoiceField:
    choices = [(answer.id, answer.text) for answer in question.answers]
    several = question.choose == "any"
    made: type[forms.ChoiceField] = forms.MultipleChoiceField if several else forms.ChoiceField
    return made(
        label=question.text,
        help_text=f"{question.why} Choose all that apply." if several else question.why,
        choices=choices,
        widget=forms.CheckboxSelectMultiple if several else forms.RadioSelect,
        error_messages={"required": "Answer this: what nobody answered cannot count as harmless."},
    )


class RaiseForm(forms.Form):
    """A higher tier, at once."""

    tier = forms.ChoiceField(label="To which tier")
    reason = _words("Why", rows=2)

    def __init__(self, *args: Any, tier: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        higher = [one for one in TIERS if height(one) > height(tier)]
        self.fields["tier"].choices = [(one, one) for one in higher]  # type: ignore[attr-defined]  # ChoiceField


class LowerForm(SigningForm):
    """A signature under a lower tier."""

    reason = _words("Why this is right", "Stands in the record for good, with your printed name.")
    field_order = ("reason", "password", "code", "credential")


class QuestionnaireForm(forms.Form):
    """The next version of the questionnaire."""

    text = forms.CharField(
        label="The questionnaire, as YAML",
        max_length=200_000,
        widget=forms.Textarea(attrs={"rows": 20, "class": "code", "spellcheck": "false"}),
    )


class RiskForm(forms.Form):
    """What is thought of a risk now."""

    title = forms.CharField(label="What could happen", max_length=MAX_LINE)
    description = _words("How, and to whom", required=False)
    likelihood = forms.IntegerField(label="Likelihood before controls", min_value=1, max_value=5, help_text="1 to 5")
    impact = forms.IntegerField(label="Impact before controls", min_value=1, max_value=5, help_text="1 to 5")
    controls = _words("Controls that are in place", required=False)
    residual_likelihood = forms.IntegerField(label="Likelihood after controls", min_value=1, max_value=5)
    residual_impact = forms.IntegerField(label="Impact after controls", min_value=1, max_value=5)
    treatment = forms.ChoiceField(choices=Treatment.choices)
    owner = forms.ChoiceField(help_text="who sees to it")
    due = forms.DateField(
        label="Treated by", required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d")
    )

    def __init__(self, *args: Any, people: list[User], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["owner"].choices = [(one.username, one.full_name) for one in people]  # type: ignore[attr-defined]  # ChoiceField


class NewRiskForm(RiskForm):
    """A risk, and where it was seen."""

    source = forms.ChoiceField(label="Seen in", choices=Source.choices)
    source_id = forms.UUIDField(
        label="Its id", required=False, help_text="of the assessment, evidence or incident, if it was one"
    )
    field_order = ("title", "description", "source", "source_id")

    def clean_source_id(self) -> str:
        """As the service takes it."""
        return str(self.cleaned_data["source_id"] or "")


class ReviseForm(RiskForm):
    """The next revision of a risk."""

    closed = forms.BooleanField(label="It is over: close it", required=False)
    note = _words("What changed", "needed to close it", rows=2, required=False)
    seen = forms.IntegerField(widget=forms.HiddenInput)

    @staticmethod
    def of(entry: RiskRevision) -> dict[str, Any]:
        """The fields' values as a revision has them."""
        names = ("title", "description", "likelihood", "impact", "controls", "residual_likelihood", "residual_impact")
        names += ("treatment", "due", "closed")
        return {name: getattr(entry, name) for name in names} | {"owner": entry.owner.username, "seen": entry.number}


class AcceptForm(SigningForm):
    """A signature that what is left of a risk is borne for a while."""

    until = forms.DateField(label="Until the end of", widget=forms.DateInput(attrs={"type": "date"}))
    reason = _words("Why it can be borne", "Stands in the record for good, with your printed name.")
    seen = forms.IntegerField(widget=forms.HiddenInput)
    field_order = ("until", "reason", "password", "code", "credential", "seen")


class IncidentForm(forms.Form):
    """What went wrong."""

    title = forms.CharField(label="What went wrong", max_length=MAX_LINE)
    severity = forms.ChoiceField(
        choices=Severity.choices, help_text="serious and critical stop approvals until a risk officer closes it"
    )
    model_version = forms.ModelChoiceField(
        ModelVersion.objects.none(), label="Model version", required=False, empty_label="the whole system"
    )
    what = _words("What is known")

    def __init__(self, *args: Any, versions: QuerySet[ModelVersion], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["model_version"].queryset = versions  # type: ignore[attr-defined]  # ModelChoiceField


class NoteForm(forms.Form):
    """The next entry of a timeline."""

    what = _words("What happened")
    severity = forms.ChoiceField(
        label="It became graver", required=False, choices=[("", "no, as it is"), *Severity.choices]
    )


class PlainCloseForm(forms.Form):
    """The end of an incident that stops nothing."""

    what = _words("What was done, and why it is over")


class CloseForm(SigningForm):
    """The end of a grave incident, signed."""

    what = _words("What was done, and why it is over", "Stands in the record for good, with your printed name.")
    field_order = ("what", "password", "code", "credential")
