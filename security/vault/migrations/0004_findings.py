import uuid

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vault", "0003_shredding")]

    operations = [
        migrations.AddField("artifact", "verified_at", models.DateTimeField(db_index=True, editable=False, null=True)),
        migrations.CreateModel(
            name="VaultFinding",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                (
                    "kind",
                    models.CharField(
                        choices=[("missing", "Missing"), ("damaged", "Damaged"), ("key", "Key unusable")], max_length=10
                    ),
                ),
                ("detail", models.CharField(max_length=200)),
                ("opened_at", models.DateTimeField(db_index=True, default=django.utils.timezone.now, editable=False)),
                ("closed_at", models.DateTimeField(null=True)),
                (
                    "artifact",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="findings", to="vault.artifact"
                    ),
                ),
            ],
            options={
                "ordering": ("-opened_at",),
                "constraints": [
                    models.UniqueConstraint(
                        condition=models.Q(("closed_at", None)),
                        fields=("artifact",),
                        name="one_open_finding_per_artifact",
                    )
                ],
            },
        ),
    ]
