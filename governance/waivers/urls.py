from django.urls import path

from governance.waivers import views

urlpatterns = [
    path("waivers/", views.waivers, name="waivers"),
    path("waivers/<uuid:pk>/", views.waiver, name="waiver"),
    path("waivers/<uuid:pk>/decide/", views.waiver_decide, name="waiver-decide"),
    path("waivers/<uuid:pk>/end/", views.waiver_end, name="waiver-end"),
    path("model-versions/<uuid:pk>/waivers/new/", views.waiver_new, name="waiver-new"),
]
