"""What exports and kinds of documents look like in answers, and what a request for one holds."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from governance.documents import selectors
from governance.documents.kinds import KINDS, Kind
from governance.documents.models import Export, ExportState
from governance.documents.services import MAX_PURPOSE
from security.rest.shapes import (
    ArtifactRefSerializer,
    Body,
    ObjectField,
    ObjectOrNullField,
    PersonRefSerializer,
    Shape,
)

NAMES = [(name, name) for name in KINDS]
NOUNS = [(word, word) for word in dict.fromkeys(kind.noun.word for kind in KINDS.values())]
FORMATS = [(name, name) for name in dict.fromkeys(name for kind in KINDS.values() for name in kind.formats)]


class FormatSerializer(Shape):
    name = serializers.ChoiceField(FORMATS)
    title = serializers.CharField()
    media_type = serializers.CharField()


class KindSerializer(Shape):
    """One kind of document: what it is about, in which formats it comes, who may ask for it."""

    name = serializers.ChoiceField(NAMES)
    title = serializers.CharField()
    about = serializers.CharField()
    subject = serializers.ChoiceField(NOUNS, help_text="What `subject` of a request names.")
    formats = FormatSerializer(many=True)
    parameters = serializers.ListField(child=serializers.CharField(), help_text="Moments that a request must give.")
    roles = serializers.ListField(child=serializers.CharField())


class KindsSerializer(Shape):
    results = KindSerializer(many=True)


class ExportSerializer(Shape):
    """A document that was asked for. `artifact` is null until it is made."""

    id = serializers.UUIDField()
    system = serializers.CharField(source="system.slug")
    kind = serializers.CharField()
    format = serializers.CharField()
    subject = serializers.CharField(help_text="A URN.")
    label = serializers.CharField(  # type: ignore[assignment]  # a member, not the option of a field
        help_text="The subject's name when it was asked for."
    )
    parameters = ObjectField()
    purpose = serializers.CharField()
    state = serializers.ChoiceField(ExportState.choices)
    requested_by = PersonRefSerializer()
    requested_at = serializers.DateTimeField()
    made_at = serializers.DateTimeField(allow_null=True)
    artifact = ArtifactRefSerializer(allow_null=True)
    filename = serializers.SerializerMethodField()
    error = serializers.CharField(help_text="Why it could not be made; empty otherwise.")

    def get_filename(self, row: Export) -> str:
        return selectors.filename(row)


class ExportBody(Body):
    """Which document about what, and why: the purpose stands on it and in the log."""

    kind = serializers.ChoiceField(NAMES)
    format = serializers.ChoiceField(FORMATS, default="pdf")
    subject = serializers.CharField(max_length=63, help_text="A system's slug, or the id of anything else.")
    purpose = serializers.CharField(max_length=MAX_PURPOSE)
    since = serializers.DateTimeField(required=False, help_text="Where the kind takes it: the period begins.")
    until = serializers.DateTimeField(required=False, help_text="Where the kind takes it: the period ends before this.")
    at = serializers.DateTimeField(required=False, help_text="Where the kind takes it: a moment that has passed.")


class StandingQuery(serializers.Serializer[Any]):
    at = serializers.DateTimeField(required=False, help_text="A moment that has passed; now by default.")


class StandingLineSerializer(Shape):
    """One model version as it stood: `status` as it would have been answered then."""

    model = ObjectField()
    status = serializers.CharField(help_text="none, or an approval that was active, expired, revoked or void.")
    approval = ObjectOrNullField(help_text="The approval that it held, its signatures and the evidence they bind.")
    changed = serializers.ListField(child=serializers.CharField(), help_text="What had made the approval void.")


class StandingSerializer(Shape):
    """What could be used in a system at a moment, approved by whom, on which evidence."""

    at = serializers.DateTimeField()
    tier = serializers.CharField()
    versions = StandingLineSerializer(many=True)


def kind_line(kind: Kind) -> dict[str, Any]:
    """A kind as ``KindSerializer`` shows it."""
    return {
        "name": kind.name,
        "title": kind.title,
        "about": kind.about,
        "subject": kind.noun.word,
        "formats": [
            {"name": one.name, "title": one.title, "media_type": one.media_type} for one in kind.formats.values()
        ],
        "parameters": list(kind.takes),
        "roles": selectors.roles_for(kind),
    }
