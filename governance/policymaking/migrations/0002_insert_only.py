"""The database itself refuses to change or delete a signature under a policy."""

from django.db import migrations

from governance import triggers


def install(apps, schema_editor):
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("policymaking", "0001_initial")]
    operations = [migrations.RunPython(install, migrations.RunPython.noop)]
