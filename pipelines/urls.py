from django.urls import path

from pipelines.views import artifacts, external, packages, pipelines, runs

urlpatterns = [
    path("pipelines/", pipelines.pipelines, name="pipelines"),
    path("pipelines/new/", pipelines.pipeline_new, name="pipeline-new"),
    path("pipelines/<uuid:pk>/", pipelines.pipeline, name="pipeline"),
    path("pipelines/<uuid:pk>/compare/", pipelines.pipeline_compare, name="pipeline-compare"),
    path("pipeline-versions/<uuid:pk>/", pipelines.pipeline_version, name="pipeline-version"),
    path("pipeline-versions/<uuid:pk>/run/", runs.run_new, name="run-new"),
    path("runs/", runs.runs, name="runs"),
    path("runs/<uuid:pk>/", runs.run, name="run"),
    path("runs/<uuid:pk>/live/", runs.run_live, name="run-live"),
    path("runs/<uuid:pk>/cancel/", runs.run_cancel, name="run-cancel"),
    path("runs/<uuid:pk>/retry/", runs.run_retry, name="run-retry"),
    path("runs/<uuid:pk>/steps/<slug:name>/", runs.step, name="step"),
    path("runs/<uuid:pk>/steps/<slug:name>/live/", runs.step_live, name="step-live"),
    path("models/import/", external.model_import, name="model-import"),
    path("model-versions/<uuid:pk>/package/", packages.model_package, name="model-package"),
    path("artifacts/<uuid:pk>/", artifacts.artifact, name="artifact"),
    path("artifacts/<uuid:pk>/content/", artifacts.artifact_content, name="artifact-content"),
    path("artifacts/<uuid:pk>/receipt/", artifacts.artifact_receipt, name="artifact-receipt"),
    path("datasets/", artifacts.datasets, name="datasets"),
    path("dataset-versions/<uuid:pk>/", artifacts.dataset_version, name="dataset-version"),
]
