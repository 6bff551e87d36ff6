from django.db import migrations, models


class Migration(migrations.Migration):
    """Wrapped keys name their provider and version; what is there was wrapped by the keyring, which has no versions."""

    dependencies = [("vault", "0001_initial")]

    operations = [
        migrations.AddField("artifact", "provider", models.CharField(default="keyring", max_length=32)),
        migrations.AddField("artifact", "key_version", models.CharField(blank=True, default="", max_length=32)),
        migrations.AlterField("artifact", "key_id", models.CharField(max_length=200)),
        migrations.AlterField("artifact", "wrapped_key", models.BinaryField()),
        migrations.AddField("systemsecret", "provider", models.CharField(default="keyring", max_length=32)),
        migrations.AddField("systemsecret", "key_version", models.CharField(blank=True, default="", max_length=32)),
        migrations.AlterField("systemsecret", "key_id", models.CharField(max_length=200)),
        migrations.RenameField("systemsecret", "wrapped", "wrapped_key"),
        migrations.AlterField("systemsecret", "wrapped_key", models.BinaryField()),
    ]
