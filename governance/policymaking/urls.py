from django.urls import path

from governance.policymaking import views

urlpatterns = [
    path("policies/", views.policies, name="policies"),
    path("policies/versions/<uuid:pk>/", views.policy_version, name="policy-version"),
    path("policies/drafts/new/", views.draft_new, name="policy-draft-new"),
    path("policies/drafts/<uuid:pk>/", views.policy_draft, name="policy-draft"),
    path("policies/drafts/<uuid:pk>/text/", views.draft_text, name="policy-draft-text"),
    path("policies/drafts/<uuid:pk>/fields/", views.draft_fields, name="policy-draft-fields"),
    path("policies/drafts/<uuid:pk>/sign/", views.draft_sign, name="policy-draft-sign"),
    path("policies/drafts/<uuid:pk>/withdraw/", views.draft_withdraw, name="policy-draft-withdraw"),
    path("systems/<slug:slug>/policy/", views.system_policy, name="system-policy"),
]
