"""Conditions, suspension and reinstatement of approvals, and where a version may be used."""

import django.db.models.deletion
import uuid
from django.conf import settings
from django.db import migrations, models

from governance import triggers


def reinstall(apps, schema_editor):
    """SQLite rewrites a table that is altered, without its triggers."""
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('governance', '0004_statements'),
        ('vault', '0004_findings'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Condition',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveSmallIntegerField()),
                ('text', models.TextField()),
                ('due_at', models.DateTimeField(db_index=True)),
                ('state', models.CharField(choices=[('open', 'Open'), ('reported', 'Reported'), ('met', 'Met')], default='open', max_length=10)),
                ('row_version', models.PositiveIntegerField(default=1)),
                ('note', models.TextField(blank=True)),
                ('reported_at', models.DateTimeField(blank=True, null=True)),
                ('met_at', models.DateTimeField(blank=True, null=True)),
            ],
            options={
                'ordering': ('due_at', 'pk'),
            },
        ),
        migrations.RemoveConstraint(
            model_name='grantact',
            name='grant_act_kind_is_known',
        ),
        migrations.AddField(
            model_name='approval',
            name='environments',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='approval',
            name='reinstated_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name='review',
            name='environments',
            field=models.JSONField(default=list),
        ),
        migrations.AddField(
            model_name='review',
            name='reinstates',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reinstatements', to='governance.approval'),
        ),
        migrations.AddField(
            model_name='vote',
            name='conditions',
            field=models.JSONField(default=list),
        ),
        migrations.AlterField(
            model_name='grantact',
            name='kind',
            field=models.CharField(choices=[('revoke', 'Revoke'), ('suspend', 'Suspend'), ('confirm-condition', 'confirm condition')], max_length=20),
        ),
        migrations.AddField(
            model_name='condition',
            name='confirmed_by',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='confirmations', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='condition',
            name='owner',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conditions', to=settings.AUTH_USER_MODEL),
        ),
        migrations.AddField(
            model_name='condition',
            name='review',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='conditions', to='governance.review'),
        ),
        migrations.AddField(
            model_name='condition',
            name='vote',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='governance.vote'),
        ),
        migrations.AddField(
            model_name='grantact',
            name='condition',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='acts', to='governance.condition'),
        ),
        migrations.AddConstraint(
            model_name='grantact',
            constraint=models.CheckConstraint(condition=models.Q(('kind__in', ['revoke', 'suspend', 'confirm-condition'])), name='grant_act_kind_is_known'),
        ),
        migrations.AddConstraint(
            model_name='grantact',
            constraint=models.CheckConstraint(condition=models.Q(('kind', 'confirm-condition'), ('condition', None), _connector='XOR'), name='grant_act_names_its_condition'),
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.UniqueConstraint(fields=('vote', 'number'), name='one_condition_per_number'),
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('open', 'reported', 'met'))), name='condition_state_is_known'),
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.CheckConstraint(condition=models.Q(('text', ''), _negated=True), name='condition_has_a_text'),
        ),
        migrations.AddConstraint(
            model_name='condition',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('confirmed_by__isnull', False), ('met_at__isnull', False), ('state', 'met')), models.Q(models.Q(('state', 'met'), _negated=True), ('met_at', None)), _connector='OR'), name='condition_met_by_somebodys_word'),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
