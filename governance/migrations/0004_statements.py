"""Meanings and signed statements of signatures; what people do to an approval as signed rows."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from governance import triggers


def reinstall(apps, schema_editor):
    """The new table is insert-only too, and SQLite rewrites one that is altered without its triggers."""
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0003_review_machines'),
        ('vault', '0004_findings'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.AddField(
            model_name='vote',
            name='meaning',
            field=models.TextField(blank=True),
        ),
        migrations.AddField(
            model_name='vote',
            name='statement',
            field=models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='vault.artifact'),
        ),
        migrations.CreateModel(
            name='GrantAct',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('reason', models.TextField()),
                ('meaning', models.TextField(blank=True)),
                ('printed_name', models.CharField(max_length=120)),
                ('subject_digest', models.CharField(max_length=64)),
                ('signed_at', models.DateTimeField()),
                ('reauthenticated_at', models.DateTimeField()),
                ('method', models.CharField(default='password', max_length=20)),
                ('digest', models.CharField(max_length=64)),
                ('kind', models.CharField(choices=[('revoke', 'Revoke')], max_length=20)),
                ('approval', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='governance.approval')),
                ('signer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='grant_acts', to=settings.AUTH_USER_MODEL)),
                ('statement', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='%(class)ss', to='vault.artifact')),
            ],
            options={
                'ordering': ('signed_at',),
                'abstract': False,
                'constraints': [models.CheckConstraint(condition=models.Q(('reason', ''), _negated=True), name='grant_act_has_a_reason'), models.CheckConstraint(condition=models.Q(('kind__in', ['revoke'])), name='grant_act_kind_is_known')],
            },
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
