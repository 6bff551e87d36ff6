"""Bases of serializers: shapes of what comes in (strict) and goes out, and the few fields both floors share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from security.access.table import Role
from security.measurement import Verdict

LIFE = (("active", "active"), ("expired", "expired"), ("revoked", "revoked"))  # of what ends by time or by a person
VERDICTS = [(verdict.value, verdict.value) for verdict in Verdict]
ROLES = [(role.value, role.label) for role in Role]
FREE = {"type": "object", "additionalProperties": True}


@extend_schema_field(FREE)
class ObjectField(serializers.JSONField):
    """A JSON object whose members are not fixed."""


@extend_schema_field({"type": ["object", "null"], "additionalProperties": True})
class ObjectOrNullField(serializers.JSONField):
    """A JSON object, null where the stored one is empty."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None


class Body(serializers.Serializer[Any]):
    """A request body. A member it does not name is refused."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict) and (unknown := [name for name in data if name not in self.fields]):
            there = ", ".join(self.fields)
            raise serializers.ValidationError({name: [f"is not known here; there is {there}"] for name in unknown})
        return super().to_internal_value(data)


class Shape(serializers.Serializer[Any]):
    """What an answer looks like; it never writes."""


class EmptyAsNull(serializers.ChoiceField):
    """One of a closed list of words, null where there is none yet."""

    def __init__(self, choices: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(choices, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> Any:
        return super().to_representation(value) if value else None


class VerdictField(EmptyAsNull):
    """``pass``, ``fail``, ``inconclusive``, or null for a step that judges nothing."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(VERDICTS, **kwargs)


class RoleField(serializers.ChoiceField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(ROLES, **kwargs)


class SystemField(serializers.SlugField):
    """A system by its slug."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=63, **kwargs)


class PersonRefSerializer(Shape):
    """A person or service, as everybody who may see their work sees them."""

    id = serializers.UUIDField()
    username = serializers.CharField()
    full_name = serializers.CharField()


class IntervalSerializer(Shape):
    low = serializers.FloatField()
    high = serializers.FloatField()
    level = serializers.FloatField()
    method = serializers.CharField()


class MeasurementSerializer(Shape):
    """One number that a check measured (``security.measurement.Measurement``)."""

    name = serializers.CharField()
    value = serializers.FloatField(allow_null=True)
    unit = serializers.CharField()
    direction = serializers.ChoiceField(["higher_is_better", "lower_is_better", "none"])
    n = serializers.IntegerField()
    interval = IntervalSerializer(allow_null=True)
    slice = serializers.DictField(child=serializers.CharField())
    note = serializers.CharField()


class ArtifactRefSerializer(Shape):
    """An artifact by id and by the SHA-256 of its content."""

    id = serializers.UUIDField()
    digest = serializers.CharField()
    size = serializers.IntegerField()
    media_type = serializers.CharField()


def nothing_else(*names: str, given: dict[str, Any]) -> str:
    """The one of ``names`` that a body holds. Raises ValidationError unless it is exactly one."""
    found = [name for name in names if given.get(name) is not None]
    if len(found) != 1:
        raise serializers.ValidationError({names[0]: [f"give exactly one of {' and '.join(names)}"]})
    return found[0]
