from django.urls import path

from governance.frameworks.views import catalogues, systems

_CONTROL = "frameworks/<slug:key>/controls/<str:identifier>/"

urlpatterns = [
    path("frameworks/", catalogues.frameworks, name="frameworks"),
    path("frameworks/import/", catalogues.framework_import, name="framework-import"),
    path("frameworks/load/", catalogues.framework_load, name="framework-load"),
    path("frameworks/<slug:key>/", catalogues.framework, name="framework"),
    path("frameworks/<slug:key>/oscal/", catalogues.framework_oscal, name="framework-oscal"),
    path(_CONTROL, catalogues.framework_control, name="framework-control"),
    path("systems/<slug:slug>/frameworks/<slug:key>/", systems.system_framework, name="system-framework"),
    path(f"systems/<slug:slug>/{_CONTROL}", systems.system_control, name="system-control"),
    path(f"systems/<slug:slug>/{_CONTROL}attest/", systems.system_attest, name="system-attest"),
    path("attestations/<uuid:pk>/withdraw/", systems.attestation_withdraw, name="attestation-withdraw"),
]
