from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("vault", "0002_named_key_providers")]

    operations = [
        migrations.AddField("artifact", "shredded_at", models.DateTimeField(editable=False, null=True)),
    ]
