from django.apps import AppConfig


class RestConfig(AppConfig):
    name = "security.rest"
    label = "rest"
    verbose_name = "API kit"
