from django.apps import AppConfig

from controlplane.celery import app as celery_app


class ControlplaneConfig(AppConfig):
    name = "controlplane"
    verbose_name = "Countersign"

    def ready(self) -> None:
        celery_app.set_default()
