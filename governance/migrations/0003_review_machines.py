"""States of reviews and approvals as closed lists, deadlines, versions of rows; requests for changes."""

import django.db.models.deletion
import governance.models
from django.conf import settings
from django.db import migrations, models

from governance import triggers


def carry_over(apps, schema_editor):
    """An approval that was revoked says so in its state."""
    apps.get_model("governance", "Approval").objects.exclude(revoked_at=None).update(state="revoked")


def reinstall(apps, schema_editor):
    """SQLite rewrites a table that is altered, without its triggers."""
    triggers.install(schema_editor.connection)


class Migration(migrations.Migration):

    dependencies = [
        ('access', '0001_initial'),
        ('governance', '0002_insert_only'),
        ('pipelines', '0002_evidence_basis'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='review',
            name='one_open_review_per_model_version',
        ),
        migrations.AddField(
            model_name='approval',
            name='row_version',
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AddField(
            model_name='approval',
            name='state',
            field=models.CharField(choices=[('active', 'Active'), ('suspended', 'Suspended'), ('revoked', 'Revoked')], default='active', max_length=10),
        ),
        migrations.RunPython(carry_over, migrations.RunPython.noop),
        migrations.AddField(
            model_name='review',
            name='deadline',
            field=models.DateTimeField(db_index=True, default=governance.models._deadline),
        ),
        migrations.AddField(
            model_name='review',
            name='follows',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='followed_by', to='governance.review'),
        ),
        migrations.AddField(
            model_name='review',
            name='row_version',
            field=models.PositiveIntegerField(default=1),
        ),
        migrations.AlterField(
            model_name='review',
            name='state',
            field=models.CharField(choices=[('in-review', 'in review'), ('changes-requested', 'changes requested'), ('approved', 'Approved'), ('approved-with-conditions', 'approved with conditions'), ('rejected', 'Rejected'), ('withdrawn', 'Withdrawn'), ('lapsed', 'Lapsed'), ('superseded', 'Superseded')], db_index=True, default='in-review', max_length=30),
        ),
        migrations.AlterField(
            model_name='vote',
            name='decision',
            field=models.CharField(choices=[('approve', 'Approve'), ('reject', 'Reject'), ('request-changes', 'request changes')], max_length=20),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('active', 'suspended', 'revoked'))), name='approval_state_is_known'),
        ),
        migrations.AddConstraint(
            model_name='approval',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('revoked_at__isnull', False), ('revoked_by__isnull', False), ('state', 'revoked')), models.Q(models.Q(('state', 'revoked'), _negated=True), ('revoked_at', None)), _connector='OR'), name='approval_revoked_by_somebody'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.UniqueConstraint(condition=models.Q(('state__in', ('in-review', 'changes-requested'))), fields=('model_version',), name='one_open_review_per_model_version'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('in-review', 'changes-requested', 'approved', 'approved-with-conditions', 'rejected', 'superseded', 'withdrawn', 'lapsed'))), name='review_state_is_known'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ('in-review', 'changes-requested')), ('decided_at__isnull', False), _connector='XOR'), name='review_has_an_end_once_it_ended'),
        ),
        migrations.AddConstraint(
            model_name='review',
            constraint=models.CheckConstraint(condition=models.Q(('deadline__gt', models.F('submitted_at'))), name='review_has_time'),
        ),
        migrations.AddConstraint(
            model_name='vote',
            constraint=models.CheckConstraint(condition=models.Q(('decision__in', ['approve', 'reject', 'request-changes'])), name='vote_decision_is_known'),
        ),
        migrations.RunPython(reinstall, migrations.RunPython.noop),
    ]
