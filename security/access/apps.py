from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "security.access"
    label = "access"
    verbose_name = "Roles and systems"
