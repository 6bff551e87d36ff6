from django.apps import AppConfig


class WaiversConfig(AppConfig):
    name = "governance.waivers"
    label = "waivers"
    verbose_name = "Waivers"
