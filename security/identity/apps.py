from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "security.identity"
    label = "identity"
    verbose_name = "People and tokens"
