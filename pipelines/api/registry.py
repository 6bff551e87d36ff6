"""REST: datasets, evidence, models."""

from __future__ import annotations

import django_filters

from pipelines.api import shapes
from pipelines.selectors import data, evidence, registry
from security.measurement import Verdict
from security.rest.filtering import (
    ChoiceFilter,
    DigestFilter,
    FlagFilter,
    IdFilter,
    SystemFilter,
    TextFilter,
    TimeFilter,
)
from security.rest.views import ListView, OneView


class DatasetFilter(django_filters.FilterSet):
    system = SystemFilter()
    name = TextFilter(lookup_expr="icontains", help_text="Part of the name.")


class EvidenceFilter(django_filters.FilterSet):
    system = SystemFilter()
    kind = TextFilter(help_text="One of the kinds of evidence.")
    subject = DigestFilter(field_name="subject__digest", help_text="Digest of the artifact it speaks of.")
    verdict = ChoiceFilter([verdict.value for verdict in Verdict])
    run = IdFilter(field_name="step_run__run", help_text="Id of a run.")
    current = FlagFilter(
        field_name="superseded_by", lookup_expr="isnull", help_text="Whether nothing newer supersedes it."
    )
    after = TimeFilter(field_name="created_at", lookup_expr="gte", help_text="Not before this moment.")
    before = TimeFilter(field_name="created_at", lookup_expr="lt", help_text="Before this moment.")


class ModelFilter(django_filters.FilterSet):
    system = SystemFilter()
    name = TextFilter(help_text="Exactly this name.")


class ModelVersionFilter(django_filters.FilterSet):
    system = SystemFilter("model__system")
    model = IdFilter(field_name="model", help_text="Id of a model.")
    digest = DigestFilter(field_name="artifact__digest", help_text="Digest of the model's bytes.")
    run = IdFilter(field_name="step_run__run", help_text="Id of a run.")
    after = TimeFilter(field_name="created_at", lookup_expr="gte", help_text="Registered not before this moment.")
    before = TimeFilter(field_name="created_at", lookup_expr="lt", help_text="Registered before this moment.")


class DatasetsView(ListView):
    """Datasets: the tables that come out of one place of a pipeline."""

    serializer_class = shapes.DatasetSerializer
    filterset_class = DatasetFilter
    ordering_fields = ("name", "created_at")
    rows = staticmethod(data.datasets)


class DatasetView(OneView):
    """One dataset with its versions, newest first."""

    serializer_class = shapes.WholeDatasetSerializer
    rows = staticmethod(data.datasets_with_versions)


class EvidenceListView(ListView):
    """Results of checks, newest first."""

    serializer_class = shapes.EvidenceSerializer
    filterset_class = EvidenceFilter
    ordering_fields = ("created_at", "kind")
    rows = staticmethod(evidence.evidence)


class EvidenceView(OneView):
    """One check's result on one subject."""

    serializer_class = shapes.EvidenceSerializer
    rows = staticmethod(evidence.evidence)


class ModelsView(ListView):
    """Models of my systems."""

    serializer_class = shapes.ModelSerializer
    filterset_class = ModelFilter
    ordering_fields = ("name", "created_at")
    rows = staticmethod(registry.models)


class ModelView(OneView):
    """One model with its versions, newest first."""

    serializer_class = shapes.WholeModelSerializer
    rows = staticmethod(registry.models_with_versions)


class ModelVersionsView(ListView):
    """Versions of models, newest first."""

    serializer_class = shapes.ModelVersionSerializer
    filterset_class = ModelVersionFilter
    ordering_fields = ("created_at", "number")
    rows = staticmethod(registry.model_versions)


class ModelVersionView(OneView):
    """One version of a model."""

    serializer_class = shapes.ModelVersionSerializer
    rows = staticmethod(registry.model_versions)
