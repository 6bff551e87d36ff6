"""The database itself refuses to change or delete risks, their revisions and acceptances, and entries of incidents."""

from django.db import migrations

from governance import triggers

TABLES = {
    "risk_risk": "risks",
    "risk_riskrevision": "revisions of risks",
    "risk_riskacceptance": "acceptances of risks",
    "risk_incidententry": "entries of incidents",
}


def install(apps, schema_editor):
    triggers.install(schema_editor.connection, TABLES)


def remove(apps, schema_editor):
    triggers.remove(schema_editor.connection, TABLES)


class Migration(migrations.Migration):
    dependencies = [("risk", "0003_register")]
    operations = [migrations.RunPython(install, remove)]
