"""The audit log's tables. What stands in them never changes: database triggers refuse it (``triggers``).

``AuditEvent`` is written in the transaction of the change, without a number. The sequencer numbers it later in
``Leaf``, extends the tree (``Node``) and signs a ``StoredCheckpoint``; ``Pending`` is its queue. ``Personal`` holds
what an entry only commits to, and can be erased.
"""

from __future__ import annotations

from django.db import models
from django.db.models import F, QuerySet


class Indexed(models.Manager["AuditEvent"]):
    """Events with ``index``, their place in the log; None while they wait for it."""

    def get_queryset(self) -> QuerySet[AuditEvent]:
        return super().get_queryset().annotate(index=F("leaf__index"))  # type: ignore[no-redef]


class AuditEvent(models.Model):
    """One event. ``entry`` is what is hashed; the other columns repeat its members so that they can be searched.

    ``id`` is a UUIDv7 (RFC 9562 §5.7): ids made by one process rise, so events of one transaction keep their order.
    """

    id = models.UUIDField(primary_key=True, editable=False)
    time = models.DateTimeField(db_index=True)
    event = models.CharField(max_length=60)
    actor = models.CharField(max_length=120)
    subject = models.CharField(max_length=200)
    system = models.CharField(max_length=63, blank=True)
    entry = models.TextField()

    index: int | None = None

    objects = Indexed()
    plain: models.Manager[AuditEvent] = models.Manager()

    class Meta:
        db_table = "log_event"
        base_manager_name = "plain"
        indexes = (
            models.Index(fields=["event", "-time"], name="log_event_by_kind"),
            models.Index(fields=["actor"], name="log_event_by_actor"),
            models.Index(fields=["subject"], name="log_event_by_subject"),
            models.Index(fields=["system", "-time"], name="log_event_by_system"),
        )

    def __str__(self) -> str:
        return f"{self.event} {self.subject}"


class Pending(models.Model):
    """An event that waits for its number; the row goes when it has one, and the database lets it go only then."""

    event_id = models.UUIDField(primary_key=True)

    class Meta:
        db_table = "log_pending"


class Leaf(models.Model):
    """The number of an event, without gaps from 0, and its leaf hash (RFC 9162 §2.1.1), 32 bytes."""

    index = models.BigIntegerField(primary_key=True)
    event = models.OneToOneField(AuditEvent, on_delete=models.PROTECT, related_name="leaf")
    hash = models.BinaryField(max_length=32)

    class Meta:
        db_table = "log_leaf"


class Node(models.Model):
    """The root of the complete subtree ``index`` of 2^``level`` leaves, 32 bytes; levels 8, 16, 24 … (C2SP tlog-tiles).

    With the leaf hashes these are the hashes of all tiles; what lies between is computed from at most 256 of them.
    """

    pk = models.CompositePrimaryKey("level", "index")
    level = models.PositiveSmallIntegerField()
    index = models.BigIntegerField()
    hash = models.BinaryField(max_length=32)

    class Meta:
        db_table = "log_node"


class StoredCheckpoint(models.Model):
    """A signed tree head as a note (C2SP tlog-checkpoint), with the time as a cosignature of the log's own clock key.

    ``previous`` is the size that it continues, and unique: no two checkpoints continue the same one.
    """

    size = models.BigIntegerField(primary_key=True)
    previous = models.BigIntegerField(unique=True)
    note = models.TextField()

    class Meta:
        db_table = "log_checkpoint"
        constraints = (
            models.CheckConstraint(
                condition=models.Q(previous__gte=0, previous__lt=F("size")), name="log_checkpoint_grows"
            ),
        )


class Personal(models.Model):
    """Values of an event that may have to be erased (RFC 8785 JSON), with the salt of its entry's commitment."""

    event = models.OneToOneField(AuditEvent, primary_key=True, on_delete=models.PROTECT, related_name="personal")
    salt = models.BinaryField(max_length=32)
    values = models.TextField()

    class Meta:
        db_table = "log_personal"


class Cosignature(models.Model):
    """A witness's cosignature on a checkpoint, verified before it was kept (C2SP tlog-cosignature).

    ``key_id`` in hexadecimal; ``timestamp`` in POSIX seconds, the witness's; ``line`` as it stands in the note.
    """

    checkpoint = models.ForeignKey(StoredCheckpoint, on_delete=models.PROTECT, related_name="cosignatures")
    name = models.CharField(max_length=255)
    key_id = models.CharField(max_length=8)
    timestamp = models.BigIntegerField()
    line = models.TextField()

    class Meta:
        db_table = "log_cosignature"
        constraints = (models.UniqueConstraint(fields=["checkpoint", "name", "key_id"], name="log_cosignature_once"),)


class TimestampAnswer(models.Model):
    """What a time-stamping authority answered about a checkpoint's note, verified (RFC 3161, DER)."""

    checkpoint = models.OneToOneField(
        StoredCheckpoint, primary_key=True, on_delete=models.PROTECT, related_name="stamp"
    )
    authority = models.CharField(max_length=255)
    answer = models.BinaryField()
    time = models.DateTimeField()

    class Meta:
        db_table = "log_timestamp"


class Delivery(models.Model):
    """How far somebody outside knows the log, and when they are told next. The one table here whose rows change.

    ``size`` was delivered last; ``conflict``: they hold a log that this one does not continue.
    """

    destination = models.CharField(primary_key=True, max_length=300)
    size = models.BigIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True)
    next_at = models.DateTimeField()
    failures = models.PositiveIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)
    conflict = models.BooleanField(default=False)

    class Meta:
        db_table = "log_delivery"
