"""REST: the audit log."""

from __future__ import annotations

import json
from dataclasses import asdict

import django_filters
from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from security.access import selectors as access
from security.access.table import Action
from security.errors import DeniedError, InvalidError
from security.log import checkpoints, keys, proof_api, selectors, verification
from security.log.events import Event
from security.log.merkle import leaf_hash
from security.log.models import AuditEvent
from security.log.visibility import visible_event, visible_events
from security.rest.filtering import ChoiceFilter, NumberFilter, TextFilter, TimeFilter
from security.rest.schema import answers
from security.rest.shapes import FREE, Body, Shape
from security.rest.views import ApiView, ListView


class EventSerializer(Shape):
    """One entry of the log."""

    index = serializers.IntegerField()
    time = serializers.DateTimeField()
    event = serializers.CharField(help_text="`subject:action`, from a closed list.")
    actor = serializers.CharField(help_text="URN of the person or of the engine.")
    subject = serializers.CharField(help_text="URN of what it happened to.")
    system = serializers.CharField(help_text="Slug; empty for what belongs to no system.")
    payload = serializers.SerializerMethodField()

    @extend_schema_field(FREE)
    def get_payload(self, event: AuditEvent) -> dict[str, object]:
        payload: dict[str, object] = json.loads(event.entry)["payload"]
        return payload


class WholeEventSerializer(EventSerializer):
    """An entry with what is needed to check it: the canonical bytes, the leaf hash and a checkpoint that covers it."""

    entry = serializers.CharField(help_text="RFC 8785 JSON; what was hashed, as UTF-8.")
    leaf = serializers.SerializerMethodField(help_text="SHA-256(0x00 ‖ entry), the leaf of the Merkle tree (RFC 9162).")
    checkpoint = serializers.SerializerMethodField(help_text="The first signed note (C2SP tlog-checkpoint) over it.")
    personal = serializers.SerializerMethodField(
        help_text="`kept` where the entry commits to values beside it, `erased` once those are gone, or `none`."
    )

    def get_leaf(self, event: AuditEvent) -> str:
        return leaf_hash(event.entry.encode()).hex()

    def get_checkpoint(self, event: AuditEvent) -> str:
        found = selectors.covering(event.index) if event.index is not None else None
        return found.note if found else ""

    def get_personal(self, event: AuditEvent) -> str:
        opened = selectors.opened([event])[event.id.hex]
        return "none" if not opened.sealed else "erased" if opened.values is None else "kept"


class LogSerializer(Shape):
    size = serializers.IntegerField(help_text="Entries that the last checkpoint covers.")
    root = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields out of the class
        help_text="Root of their Merkle tree (RFC 9162), in hexadecimal."
    )
    checkpoint = serializers.CharField(help_text="Both as a signed note (C2SP tlog-checkpoint); empty at first.")
    waiting = serializers.IntegerField(help_text="Events that were recorded and have no number yet.")


class KeptCheckpointBody(Body):
    """A checkpoint that somebody kept; the log must still be of that tree."""

    checkpoint = serializers.CharField(required=False, max_length=100_000, trim_whitespace=False)


class DamageSerializer(Shape):
    index = serializers.IntegerField()
    kind = serializers.CharField()
    detail = serializers.CharField()


class VerificationSerializer(Shape):
    ok = serializers.BooleanField()
    entries = serializers.IntegerField()
    root = serializers.CharField()  # type: ignore[assignment]  # see above
    damage = DamageSerializer(allow_null=True)


class EventFilter(django_filters.FilterSet):
    event = ChoiceFilter([event.value for event in Event])
    actor = TextFilter(help_text="A URN: `urn:countersign:user:<id>`.")
    subject = TextFilter(help_text="A URN: `urn:countersign:run:<id>`.")
    system = TextFilter(help_text="A system's slug.")
    first = NumberFilter(field_name="index", lookup_expr="gte", help_text="Smallest index.")
    last = NumberFilter(field_name="index", lookup_expr="lte", help_text="Largest index.")
    after = TimeFilter(field_name="time", lookup_expr="gte", help_text="Not before this moment.")
    before = TimeFilter(field_name="time", lookup_expr="lt", help_text="Before this moment.")

    class Meta:
        model = AuditEvent
        fields: list[str] = []


class EventsView(ListView):
    """What happened, newest first, in systems whose log I may view; with a global role also what belongs to none."""

    serializer_class = EventSerializer
    filterset_class = EventFilter
    ordering_fields = ("index",)
    action = Action.VIEW_LOG
    rows = staticmethod(selectors.events)

    def visible(self) -> QuerySet[AuditEvent]:
        return visible_events(self.person)

    def get(self, request: Request) -> Response:
        _require_somewhere(self)
        return super().get(request)


class EventView(ApiView):
    """One entry, with its canonical bytes, its leaf hash and the first checkpoint that covers it."""

    @answers(WholeEventSerializer)
    def get(self, request: Request, index: int) -> Response:
        _require_somewhere(self)
        return Response(WholeEventSerializer(visible_event(self.person, index)).data)


class LogView(ApiView):
    """How long the log is, and its signed checkpoint: keep it, to see later that nothing was taken away."""

    @answers(LogSerializer)
    def get(self, request: Request) -> Response:
        _require_somewhere(self)
        (size, root), (_, waiting), last = selectors.head(), selectors.progress(), selectors.latest()
        found = {"size": size, "root": root, "waiting": waiting, "checkpoint": last.note if last else ""}
        return Response(LogSerializer(found).data)


class VerifyLogView(ApiView):
    """Read the whole log and say whether anything was edited, removed or reordered.

    It needs the right to view the log of all systems, since the log is one tree. Send a `checkpoint` that was kept
    earlier, and the log is checked to be of that tree still. Where the log is damaged the answer names the first place.
    """

    verbs = ("verify",)

    @answers(VerificationSerializer, request=KeptCheckpointBody)
    def post(self, request: Request) -> Response:
        access.require(self.person, Action.VIEW_LOG)
        given = self.parsed(KeptCheckpointBody)
        found = verification.verify(kept=_kept(given.get("checkpoint", "")))
        damage = asdict(found.damage) if found.damage else None
        answer = {"ok": found.ok, "entries": found.entries, "root": found.root.hex(), "damage": damage}
        return Response(VerificationSerializer(answer).data)


def _kept(note: str) -> list[checkpoints.Checkpoint]:
    """The checkpoint that was sent, if any. Raises InvalidError when this log did not sign it."""
    if not note:
        return []
    try:
        return [checkpoints.open_signed(note, keys.verifiers()[0]).checkpoint]
    except ValueError as error:
        raise InvalidError(f"This is no checkpoint of this log: {error}.", field="checkpoint") from None


def _require_somewhere(view: ApiView) -> None:
    """Raise DeniedError for people who may view no system's log at all."""
    if not access.allowed_somewhere(view.person, Action.VIEW_LOG):
        raise DeniedError(access.denial(view.person, Action.VIEW_LOG))


urlpatterns = [
    *proof_api.urlpatterns,
    path("events", EventsView.as_view()),
    path("events/<int:index>", EventView.as_view()),
    path("log", LogView.as_view()),
    path("log/verify", VerifyLogView.as_view()),
]
