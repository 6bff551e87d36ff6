"""Addresses of the second floor under /api/v1/."""

from django.urls import path

from pipelines.api import catalogue, external, packages, pipelines, registry, runs

urlpatterns = [
    path("steps", catalogue.StepKindsView.as_view()),
    path("steps/<str:id>", catalogue.StepKindView.as_view()),
    path("schema/pipeline", catalogue.SpecSchemaView.as_view()),
    path("pipelines", pipelines.PipelinesView.as_view()),
    path("pipelines/check", pipelines.CheckView.as_view()),
    path("pipelines/<uuid:id>", pipelines.PipelineView.as_view()),
    path("pipelines/<uuid:id>/versions", pipelines.PipelineVersionsView.as_view()),
    path("pipeline-versions/<uuid:id>", pipelines.PipelineVersionView.as_view()),
    path("pipeline-versions/<uuid:id>/compare", pipelines.CompareView.as_view()),
    path("runs", runs.RunsView.as_view()),
    path("runs/<uuid:id>", runs.RunView.as_view()),
    path("runs/<uuid:id>/cancel", runs.CancelView.as_view()),
    path("runs/<uuid:id>/retry", runs.RetryView.as_view()),
    path("runs/<uuid:id>/steps/<slug:name>", runs.StepRunView.as_view()),
    path("datasets", registry.DatasetsView.as_view()),
    path("datasets/<uuid:id>", registry.DatasetView.as_view()),
    path("evidence", registry.EvidenceListView.as_view()),
    path("evidence/<uuid:id>", registry.EvidenceView.as_view()),
    path("models", registry.ModelsView.as_view()),
    path("models/<uuid:id>", registry.ModelView.as_view()),
    path("models/<uuid:id>/versions/<int:number>/bundle", packages.PackageView.as_view()),
    path("package-key", packages.PackageKeyView.as_view()),
    path("model-files", external.ModelFilesView.as_view()),
    path("external-models", external.ExternalModelsView.as_view()),
    path("model-versions", registry.ModelVersionsView.as_view()),
    path("model-versions/<uuid:id>", registry.ModelVersionView.as_view()),
]
