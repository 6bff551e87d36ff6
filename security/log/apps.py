from django.apps import AppConfig


class LogConfig(AppConfig):
    name = "security.log"
    label = "log"
    verbose_name = "Audit log"
