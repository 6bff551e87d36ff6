"""The chain's own tables go, and the database refuses to change or delete what the log now holds."""

from django.db import migrations

from security.log import triggers


def install(apps, schema_editor):
    connection = schema_editor.connection
    triggers.install(connection)
    if connection.vendor == "postgresql":  # a queue: rows come and go all the time, and few are there at once
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE log_pending SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500)"
            )


class Migration(migrations.Migration):
    dependencies = [("log", "0004_carry_over")]
    operations = [
        migrations.DeleteModel("ChainedEvent"),
        migrations.DeleteModel("LogHead"),
        migrations.RunPython(install),
    ]
