from django.urls import path

from governance.views import conditions, evidence, lineage, models, reviews, statements

urlpatterns = [
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
    path("statements/<uuid:pk>/", statements.statement, name="statement"),
    path("approvals/<uuid:pk>/suspend/", reviews.approval_suspend, name="approval-suspend"),
    path("approvals/<uuid:pk>/reinstate/", reviews.approval_reinstate, name="approval-reinstate"),
    path("conditions/<uuid:pk>/", conditions.condition, name="condition"),
    path("conditions/<uuid:pk>/report/", conditions.condition_report, name="condition-report"),
    path("conditions/<uuid:pk>/send-back/", conditions.condition_send_back, name="condition-send-back"),
    path("conditions/<uuid:pk>/confirm/", conditions.condition_confirm, name="condition-confirm"),
    path("approvals/<uuid:pk>/revoke/", reviews.approval_revoke, name="approval-revoke"),
]
