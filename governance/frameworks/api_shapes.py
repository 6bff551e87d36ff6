"""What catalogues, coverage and attestations look like in answers, and what requests for them hold."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.frameworks.models import Origin, Statement, Strength
from governance.frameworks.selectors.attestations import STATUSES
from governance.frameworks.services.attestations import MAX_TEXT
from governance.frameworks.states import STATES
from pipelines.api.shapes import ModelVersionRefSerializer
from security.rest.shapes import Body, ObjectField, PersonRefSerializer, Shape, SystemField, VerdictField

CONTROL_STATES = [(state, state) for state in STATES]
ATTESTATION_STATUSES = [(status, status) for status in STATUSES]
CROSSWALK_STRENGTHS = Strength.choices
CATALOGUE_ORIGINS = Origin.choices


class CatalogueSerializer(Shape):
    """One version of a catalogue; the highest number of a key is the current one."""

    id = serializers.UUIDField()
    key = serializers.CharField()
    number = serializers.IntegerField()
    current = serializers.SerializerMethodField()
    title = serializers.CharField()
    version = serializers.CharField()
    oscal_version = serializers.CharField()
    origin = serializers.ChoiceField(CATALOGUE_ORIGINS)
    source = serializers.CharField()  # type: ignore[assignment]  # a member, not the option of a field
    digest = serializers.CharField(help_text="SHA-256 of the canonical form of the document's `catalog`.")
    controls = serializers.IntegerField(source="control_count")
    imported_by = PersonRefSerializer(allow_null=True)
    imported_at = serializers.DateTimeField()

    def get_current(self, row: Any) -> bool:
        """Whether it is the newest of its series."""
        return bool(row.number == row.current_number)


class ControlSerializer(Shape):
    """One control; `content` is what OSCAL says of it besides id and title."""

    id = serializers.CharField(source="identifier")
    label = serializers.CharField()  # type: ignore[assignment]  # a member, not the option of a field
    title = serializers.CharField()
    group = serializers.CharField(source="group.label", default="", help_text="Label of the group it stands in.")
    evidence = serializers.ListField(child=serializers.CharField(), help_text="Kinds that speak for it.")
    support = serializers.CharField(help_text="How far evidence can go: strong, partial, none.")
    attestation = serializers.BooleanField(help_text="Whether a person's word is needed.")
    why = serializers.CharField()
    digest = serializers.CharField(help_text="Of what it demands; signatures hold while it stays the same.")
    content = ObjectField()


class ControlRefSerializer(Shape):
    """A control by id, label and title."""

    id = serializers.CharField(source="identifier")
    label = serializers.CharField()  # type: ignore[assignment]  # a member, not the option of a field
    title = serializers.CharField()


class SpeakingSerializer(Shape):
    """What speaks for a control: evidence by id, or a fact of the registry or the workflow without one."""

    id = serializers.UUIDField(allow_null=True)
    kind = serializers.CharField()
    verdict = VerdictField()
    summary = serializers.CharField()
    at = serializers.DateTimeField(allow_null=True)
    model_version = ModelVersionRefSerializer()


class AttestationSerializer(Shape):
    """A person's signed statement on a control for a system."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    catalogue = serializers.CharField(source="control.catalogue.key")
    catalogue_digest = serializers.CharField(source="control.catalogue.digest")
    control = ControlRefSerializer()
    statement = serializers.ChoiceField(Statement.choices)
    text = serializers.CharField()
    status = serializers.ChoiceField(ATTESTATION_STATUSES)
    person = PersonRefSerializer()
    printed_name = serializers.CharField()
    role = serializers.CharField()
    signed_at = serializers.DateTimeField()
    valid_until = serializers.DateTimeField()
    method = serializers.CharField()
    digest = serializers.CharField()
    withdrawn_at = serializers.DateTimeField(source="withdrawal.signed_at", default=None, allow_null=True)
    withdrawn_by = serializers.CharField(source="withdrawal.printed_name", default=None, allow_null=True)
    withdrawn_why = serializers.CharField(source="withdrawal.reason", default=None, allow_null=True)


class SourceSerializer(Shape):
    """A source of a crosswalk with its own state."""

    id = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # a member, not the option of a field
    state = serializers.ChoiceField(CONTROL_STATES)


class ViaSerializer(Shape):
    """A crosswalk to the control, and what it brings."""

    crosswalk = serializers.CharField(source="crosswalk.name")
    version = serializers.CharField(source="crosswalk.version")
    strength = serializers.ChoiceField(CROSSWALK_STRENGTHS, source="crosswalk.strength")
    catalogue = serializers.CharField(source="catalogue.key")
    sources = SourceSerializer(many=True, source="shown")


class CoveredSerializer(Shape):
    """One control, its state, and what makes it so. Nothing is typed in and nothing stored."""

    control = ControlRefSerializer()
    state = serializers.ChoiceField(CONTROL_STATES)
    via_crosswalk = serializers.BooleanField(help_text="Whether a crosswalk made it what it is.")
    evidence = SpeakingSerializer(many=True)
    missing = serializers.ListField(child=serializers.CharField(), help_text="Kinds that nothing shows yet.")
    needs_attestation = serializers.BooleanField(help_text="Whether a person's signature would change its state.")
    attestation = AttestationSerializer(allow_null=True)
    via = ViaSerializer(many=True)


class MatrixRowSerializer(Shape):
    """One system: id of a control → its state, and which of these come through a crosswalk."""

    system = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    states = serializers.DictField(child=serializers.ChoiceField(CONTROL_STATES))
    via = serializers.ListField(child=serializers.CharField())


class CrosswalkSerializer(Shape):
    """A mapping from the controls of one series of catalogues to those of another."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    version = serializers.CharField()
    source = serializers.CharField(source="source_key")  # type: ignore[assignment]  # a member
    target = serializers.CharField(source="target_key")
    strength = serializers.ChoiceField(CROSSWALK_STRENGTHS)
    origin = serializers.CharField()
    note = serializers.CharField()
    digest = serializers.CharField()


class CrosswalksSerializer(Shape):
    count = serializers.IntegerField()
    results = CrosswalkSerializer(many=True)


class CoverageQuery(Body):
    catalogue = serializers.SlugField(max_length=63, required=False, default="nist-ai-rmf", help_text="Its key.")
    state = serializers.ChoiceField(CONTROL_STATES, required=False, help_text="Only controls in this state.")


class ImportQuery(Body):
    key = serializers.SlugField(max_length=63, required=False, default="", help_text="Of the series.")
    source = serializers.CharField(  # type: ignore[assignment]  # a member, not the option of a field
        max_length=500, required=False, default="", help_text="Where it is from."
    )


class AttestBody(Body):
    """A statement, its reasons, until when it counts, and the password again: a signature."""

    system = SystemField()
    catalogue = serializers.SlugField(max_length=63, help_text="Key of a catalogue.")
    control = serializers.CharField(max_length=200, help_text="Id of a control.")
    statement = serializers.ChoiceField(Statement.choices)
    text = serializers.CharField(max_length=MAX_TEXT)
    valid_until = serializers.DateTimeField()
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )


class WithdrawBody(Body):
    reason = serializers.CharField(max_length=MAX_TEXT)
    password = serializers.CharField(max_length=200, trim_whitespace=False)
    code = serializers.CharField(
        max_length=20, required=False, default="", help_text="Of the second factor, where one is enrolled."
    )
