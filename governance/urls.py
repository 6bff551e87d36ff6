from django.urls import include, path

from governance.views import evidence, lineage, models, reviews

urlpatterns = [
    path("", include("governance.policymaking.urls")),
    path("", include("governance.waivers.urls")),
    path("models/", models.models, name="models"),
    path("models/<uuid:pk>/", models.model, name="model"),
    path("model-versions/<uuid:pk>/", models.model_version, name="model-version"),
    path("model-versions/<uuid:pk>/submit/", models.model_submit, name="model-submit"),
    path("model-versions/<uuid:pk>/bundle/", models.model_bundle, name="model-bundle"),
    path("evidence/<uuid:pk>/", evidence.evidence, name="evidence"),
    path("lineage/<uuid:pk>/", lineage.lineage, name="lineage"),
    path("reviews/", reviews.reviews, name="reviews"),
    path("reviews/<uuid:pk>/", reviews.review, name="review"),
    path("reviews/<uuid:pk>/vote/", reviews.review_vote, name="review-vote"),
    path("reviews/<uuid:pk>/withdraw/", reviews.review_withdraw, name="review-withdraw"),
    path("approvals/<uuid:pk>/revoke/", reviews.approval_revoke, name="approval-revoke"),
]
