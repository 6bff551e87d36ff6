from django.urls import path

from security.workload import views

urlpatterns = [
    path("oauth/token", views.token, name="token-exchange"),
    path("systems/<slug:slug>/workloads/", views.workloads, name="workloads"),
    path("systems/<slug:slug>/workloads/<uuid:pk>/revoke/", views.workload_revoke, name="workload-revoke"),
]
