"""What drf-spectacular cannot see: problems, idempotency keys, conditional requests, names and texts of operations."""

from __future__ import annotations

import inspect
import re
from typing import Any

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema

from security.rest.problems import CONTENT_TYPE, RETRY_SECONDS

_IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    OpenApiParameter.HEADER,
    description="Carried out once: the same key and body give the first answer again, for a day. Make one per intent.",
)
_IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The ETag of an earlier answer; 304 while it still holds.",
)
_ETAG = OpenApiParameter(
    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=["200"], description="RFC 9110 §8.8.3"
)
_NULLABLE_LINE = {"type": ["integer", "null"]}
PROBLEM: dict[str, Any] = {
    "type": "object",
    "description": "RFC 9457. `detail` says what was wrong and what would be right.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "examples": ["urn:countersign:problem:invalid-spec"]},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string"},
        "instance": {"type": "string", "format": "uri", "description": "Names this one occurrence (of a 500)."},
        "field": {"type": "string", "description": "The member, parameter or header that is wrong."},
        "line": {"type": "integer", "minimum": 1},
        "column": {"type": "integer", "minimum": 1},
        "roles": {"type": "array", "items": {"type": "string"}, "description": "Who could do it."},
        "errors": {
            "type": "array",
            "description": "Everything that is wrong, where there is more to say than one sentence.",
            "items": {
                "type": "object",
                "properties": {
                    "field": {"type": "string"},
                    "detail": {"type": "string"},
                    "message": {"type": "string"},
                    "line": _NULLABLE_LINE,
                    "column": _NULLABLE_LINE,
                    "step": {"type": "string"},
                    "parameter": {"type": "string"},
                    "hint": {"type": "string"},
                },
            },
        },
    },
}
_RESPONSES = {
    "4XX": ("Refused", "The request was refused: see `type`, `title`, `detail`.", {}),
    "503": (
        "Unavailable",
        "A part that is needed (database, vault, key) is away; nothing was changed.",
        {"Retry-After": {"schema": {"type": "integer"}, "description": f"Seconds, usually {RETRY_SECONDS}."}},
    ),
}


class Schema(AutoSchema):
    """The schema of an ``ApiView``."""

    def get_override_parameters(self) -> list[Any]:
        own = list(super().get_override_parameters())
        if self.method == "POST":
            return [*own, _IDEMPOTENCY_KEY]
        return [*own, _IF_NONE_MATCH, _ETAG] if getattr(self.view, "conditional", False) else own

    def get_tags(self) -> list[str]:
        return [self._tokenize_path()[0]]

    def get_operation_id(self) -> str:
        action = "list" if self.method == "GET" and self._is_list_view() else _ACTIONS[self.method]
        words = re.findall(r"[A-Za-z0-9]+", re.sub(r"\{[^}]*\}", "", self.path.removeprefix("/api/v1/")))
        acts = self.method == "POST" and words[-1] in getattr(self.view, "verbs", ())
        return "_".join([*words] if acts else [*words, action])

    def get_summary(self) -> str | None:
        return self._text().partition("\n")[0].rstrip(".")

    def get_description(self) -> str:  # type: ignore[override]  # AutoSchema's own signature
        return self._text()

    def _text(self) -> str:
        """The handler's docstring where the view has a handler of its own, the view's otherwise."""
        own = type(self.view).__dict__.get(self.method.lower())
        return inspect.cleandoc((own and own.__doc__) or type(self.view).__doc__ or "")

    def _is_list_view(self, serializer: Any = None) -> bool:
        return self.method == "GET" and bool(getattr(self.view, "is_list", False))

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        if self.method == "GET" and getattr(self.view, "conditional", False):
            bodies["304"] = {"description": "Not modified: what `If-None-Match` named still holds."}
        for code, (name, text, headers) in _RESPONSES.items():
            bodies[code] = self._shared(name, text, headers).ref
        return bodies

    def _shared(self, name: str, text: str, headers: dict[str, Any]) -> ResolvedComponent:
        schema = self._component("Problem", ResolvedComponent.SCHEMA, PROBLEM)
        body: dict[str, Any] = {"description": text, "content": {CONTENT_TYPE: {"schema": schema.ref}}}
        return self._component(name, ResolvedComponent.RESPONSE, {**body, "headers": headers} if headers else body)

    def _component(self, name: str, kind: str, schema: dict[str, Any]) -> ResolvedComponent:
        made: Any = ResolvedComponent
        component: ResolvedComponent = made(name=name, type=kind, schema=schema, object=name)
        self.registry.register_on_missing(component)
        return component


_ACTIONS = {"GET": "retrieve", "POST": "create"}


def answers(serializer: Any = None, *, request: Any = None, status: int = 200, **more: Any) -> Any:
    """What a handler takes and gives: ``extend_schema`` with one success status."""
    return extend_schema(request=request, responses={status: serializer}, **more)
