from django.urls import path

from governance.notices import views

urlpatterns = [
    path("inbox/", views.inbox, name="inbox"),
    path("systems/<slug:slug>/webhooks/", views.webhooks, name="webhooks"),
    path("systems/<slug:slug>/webhooks/<uuid:pk>/revoke/", views.webhook_revoke, name="webhook-revoke"),
]
