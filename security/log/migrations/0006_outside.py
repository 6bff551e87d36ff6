"""What comes back from outside: cosignatures, time-stamps, and how far everybody has been told."""

import django.db.models.deletion
from django.db import migrations, models

from security.log import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("log", "0005_append_only_tree")]

    operations = [
        migrations.CreateModel(
            name="Delivery",
            fields=[
                ("destination", models.CharField(max_length=300, primary_key=True, serialize=False)),
                ("size", models.BigIntegerField(default=0)),
                ("delivered_at", models.DateTimeField(null=True)),
                ("next_at", models.DateTimeField()),
                ("failures", models.PositiveIntegerField(default=0)),
                ("error", models.CharField(blank=True, max_length=500)),
                ("conflict", models.BooleanField(default=False)),
            ],
            options={"db_table": "log_delivery"},
        ),
        migrations.CreateModel(
            name="TimestampAnswer",
            fields=[
                (
                    "checkpoint",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        primary_key=True,
                        related_name="stamp",
                        serialize=False,
                        to="log.storedcheckpoint",
                    ),
                ),
                ("authority", models.CharField(max_length=255)),
                ("answer", models.BinaryField()),
                ("time", models.DateTimeField()),
            ],
            options={"db_table": "log_timestamp"},
        ),
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.CharField(max_length=255)),
                ("key_id", models.CharField(max_length=8)),
                ("timestamp", models.BigIntegerField()),
                ("line", models.TextField()),
                (
                    "checkpoint",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="cosignatures",
                        to="log.storedcheckpoint",
                    ),
                ),
            ],
            options={
                "db_table": "log_cosignature",
                "constraints": [
                    models.UniqueConstraint(fields=("checkpoint", "name", "key_id"), name="log_cosignature_once")
                ],
            },
        ),
        migrations.RunPython(install, migrations.RunPython.noop),
    ]
