from django.apps import AppConfig


class FrameworksConfig(AppConfig):
    name = "governance.frameworks"
    label = "frameworks"
    verbose_name = "Frameworks"
