from django.urls import path

from security.log import http, views

urlpatterns = [
    path("audit/", views.events, name="audit"),
    path("audit/verify/", views.verify, name="audit-verify"),
    path("audit/<int:index>/", views.event, name="audit-event"),
    path("audit/<int:index>/receipt/", views.receipt, name="audit-receipt"),
    *http.urlpatterns,
]
