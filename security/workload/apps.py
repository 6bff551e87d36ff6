from django.apps import AppConfig


class WorkloadConfig(AppConfig):
    name = "security.workload"
    label = "workload"
    verbose_name = "Workload identities"
