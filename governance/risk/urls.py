from django.urls import path

from governance.risk.views import incidents, register, systems

urlpatterns = [
    path("questionnaire/", systems.questionnaire, name="questionnaire"),
    path("systems/<slug:slug>/risk/", systems.risk, name="risk"),
    path("systems/<slug:slug>/risk/profile/", systems.risk_profile, name="risk-profile"),
    path("systems/<slug:slug>/risk/answer/", systems.risk_answer, name="risk-answer"),
    path("systems/<slug:slug>/risk/raise/", systems.tier_raise, name="tier-raise"),
    path("systems/<slug:slug>/risks/new/", register.risk_new, name="risk-new"),
    path("systems/<slug:slug>/incidents/new/", incidents.incident_new, name="incident-new"),
    path("assessments/<uuid:pk>/", systems.assessment, name="assessment"),
    path("assessments/<uuid:pk>/sign/", systems.tier_lower, name="tier-lower"),
    path("risks/<uuid:pk>/", register.risk_entry, name="risk-entry"),
    path("risks/<uuid:pk>/accept/", register.risk_accept, name="risk-accept"),
    path("incidents/<uuid:pk>/", incidents.incident, name="incident"),
    path("incidents/<uuid:pk>/note/", incidents.incident_note, name="incident-note"),
    path("incidents/<uuid:pk>/close/", incidents.incident_close, name="incident-close"),
]
