"""The tables of the outbox, the numbers and the tree; the chain of before steps aside to be carried over."""

import django.db.models.deletion
import django.db.models.manager
from django.db import migrations, models

_BEFORE = "log_auditevent"


def stop_refusing(apps, schema_editor):
    """Take the triggers of the old table away; the next migrations carry its rows over and drop it."""
    with schema_editor.connection.cursor() as cursor:
        if schema_editor.connection.vendor == "postgresql":
            for name in ("no_change", "no_truncate"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {_BEFORE}_{name} ON {_BEFORE}")
            cursor.execute(f"DROP FUNCTION IF EXISTS {_BEFORE}_refuse() CASCADE")
        else:
            for name in ("no_change", "no_truncate", "no_update", "no_delete"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {_BEFORE}_{name}")


class Migration(migrations.Migration):
    dependencies = [("log", "0002_append_only")]

    operations = [
        migrations.RunPython(stop_refusing, migrations.RunPython.noop),
        migrations.RenameModel("AuditEvent", "ChainedEvent"),
        migrations.CreateModel(
            name="AuditEvent",
            fields=[
                ("id", models.UUIDField(editable=False, primary_key=True, serialize=False)),
                ("time", models.DateTimeField(db_index=True)),
                ("event", models.CharField(max_length=60)),
                ("actor", models.CharField(max_length=120)),
                ("subject", models.CharField(max_length=200)),
                ("system", models.CharField(blank=True, max_length=63)),
                ("entry", models.TextField()),
            ],
            options={
                "db_table": "log_event",
                "base_manager_name": "plain",
                "indexes": [
                    models.Index(fields=["event", "-time"], name="log_event_by_kind"),
                    models.Index(fields=["actor"], name="log_event_by_actor"),
                    models.Index(fields=["subject"], name="log_event_by_subject"),
                    models.Index(fields=["system", "-time"], name="log_event_by_system"),
                ],
            },
            managers=[
                ("objects", django.db.models.manager.Manager()),
                ("plain", django.db.models.manager.Manager()),
            ],
        ),
        migrations.CreateModel(
            name="Pending",
            fields=[("event_id", models.UUIDField(primary_key=True, serialize=False))],
            options={"db_table": "log_pending"},
        ),
        migrations.CreateModel(
            name="Leaf",
            fields=[
                ("index", models.BigIntegerField(primary_key=True, serialize=False)),
                ("hash", models.BinaryField(max_length=32)),
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT, related_name="leaf", to="log.auditevent"
                    ),
                ),
            ],
            options={"db_table": "log_leaf"},
        ),
        migrations.CreateModel(
            name="Node",
            fields=[
                ("pk", models.CompositePrimaryKey("level", "index", blank=True, editable=False, primary_key=True, serialize=False)),
                ("level", models.PositiveSmallIntegerField()),
                ("index", models.BigIntegerField()),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={"db_table": "log_node"},
        ),
        migrations.CreateModel(
            name="StoredCheckpoint",
            fields=[
                ("size", models.BigIntegerField(primary_key=True, serialize=False)),
                ("previous", models.BigIntegerField(unique=True)),
                ("note", models.TextField()),
            ],
            options={
                "db_table": "log_checkpoint",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("previous__gte", 0), ("previous__lt", models.F("size"))),
                        name="log_checkpoint_grows",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Personal",
            fields=[
                (
                    "event",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="personal",
                        serialize=False,
                        to="log.auditevent",
                    ),
                ),
                ("salt", models.BinaryField(max_length=32)),
                ("values", models.TextField()),
            ],
            options={"db_table": "log_personal"},
        ),
    ]
