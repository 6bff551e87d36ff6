"""Every address: each floor brings its own pages; the API is joined in ``controlplane.api``."""

from django.urls import include, path

from controlplane import health, views

handler400 = views.bad_request
handler403 = views.forbidden
handler404 = views.not_found
handler500 = views.broken

urlpatterns = [
    path(health.PATH, health.healthz, name="healthz"),
    path("api/", include("controlplane.api")),
    path("", views.home, name="home"),
    path("systems/", views.systems, name="systems"),
    path("", include("security.identity.urls")),
    path("", include("security.access.urls")),
    path("", include("security.workload.urls")),
    path("", include("security.log.urls")),
    path("", include("pipelines.urls")),
    path("", include("governance.urls")),
    path("", include("governance.notices.urls")),
    path("", include("governance.risk.urls")),
    path("systems/<slug:slug>/", views.system, name="system"),
]
