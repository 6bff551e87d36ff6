from django.urls import path

from governance.documents import views

urlpatterns = [
    path("reports/", views.reports, name="reports"),
    path("reports/new/<slug:slug>/<slug:kind>/", views.report_new, name="report-new"),
    path("reports/<uuid:pk>/", views.report, name="report"),
    path("reports/<uuid:pk>/content/", views.report_content, name="report-content"),
    path("systems/<slug:slug>/as-of/", views.as_of, name="system-as-of"),
    path("reports/<uuid:pk>/receipt/", views.report_receipt, name="report-receipt"),
]
