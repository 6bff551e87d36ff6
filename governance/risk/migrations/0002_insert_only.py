"""The database itself refuses to change or delete questionnaires, profiles, assessments and changes of tier."""

from django.db import migrations

from governance import triggers

TABLES = {
    "risk_questionnaireversion": "published questionnaires",
    "risk_systemprofile": "profiles of systems",
    "risk_assessment": "assessments",
    "risk_tierchange": "changes of tier",
}


def install(apps, schema_editor):
    triggers.install(schema_editor.connection, TABLES)


def remove(apps, schema_editor):
    triggers.remove(schema_editor.connection, TABLES)


class Migration(migrations.Migration):
    dependencies = [("risk", "0001_initial")]
    operations = [migrations.RunPython(install, remove)]
