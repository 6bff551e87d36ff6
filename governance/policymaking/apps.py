from django.apps import AppConfig


class PolicymakingConfig(AppConfig):
    name = "governance.policymaking"
    label = "policymaking"
    verbose_name = "Policymaking"
