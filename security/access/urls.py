from django.urls import path

from security.access import views

urlpatterns = [
    path("people/", views.people, name="people"),
    path("people/new/", views.person_new, name="person-new"),
    path("people/<uuid:pk>/", views.person, name="person"),
    path("people/<uuid:pk>/deactivate/", views.person_deactivate, name="person-deactivate"),
    path("people/<uuid:pk>/password/", views.person_password, name="person-password"),
    path("people/<uuid:pk>/sessions/end/", views.person_sessions_end, name="person-sessions-end"),
    path("people/<uuid:pk>/second-factor/reset/", views.person_factor_reset, name="person-factor-reset"),
    path("people/<uuid:pk>/links/new/", views.person_link, name="person-link"),
    path("people/<uuid:pk>/links/<int:link>/end/", views.person_unlink, name="person-unlink"),
    path("grants/<uuid:pk>/revoke/", views.grant_revoke, name="grant-revoke"),
    path("systems/new/", views.system_new, name="system-new"),
    path("systems/<slug:slug>/change/", views.system_change, name="system-change"),
]
