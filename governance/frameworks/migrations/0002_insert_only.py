"""The database itself refuses to change or delete a catalogue, a crosswalk, an attestation or a withdrawal."""

from django.db import migrations

from governance import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("frameworks", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
