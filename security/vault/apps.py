from django.apps import AppConfig


class VaultConfig(AppConfig):
    name = "security.vault"
    label = "vault"
    verbose_name = "Artifact vault"
