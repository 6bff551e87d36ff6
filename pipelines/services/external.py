"""Models that were trained elsewhere: the file into the vault, then a pipeline that opens and registers it."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.db import transaction
from pydantic import ValidationError

from pipelines.models import Run
from pipelines.package.foreign import HEAD_BYTES, MEDIA_TYPES, Format, sniff
from pipelines.services import registration, runs
from pipelines.steps import import_model, register_external
from pipelines.steps.contract import StepError
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.errors import InvalidError, ServiceError
from security.identity.models import User
from security.vault import services as vault
from security.vault.models import Artifact

IMPORT_SECONDS = 120.0
IMPORT_MEMORY = 2 * 2**30


class TooLargeError(ServiceError):
    """The file is larger than this installation takes."""

    status = 413
    slug = "too-large"
    title = "The file is too large"


class RefusedFileError(InvalidError):
    """The file is not one of a model that is read here; nothing was stored."""

    slug = "refused-model-file"
    title = "The model file is refused"


def require_size(size: int) -> None:
    """Refuse by what was announced, before a byte is read. Raises TooLargeError."""
    limit = settings.MODEL_UPLOAD_MAX_BYTES
    if size > limit:
        raise TooLargeError(
            f"The file has {size:,} bytes; this installation takes {limit:,} (MODEL_UPLOAD_MAX_BYTES).", field="file"
        )


def upload(*, acting_user: User, system: AISystem, chunks: Iterable[bytes]) -> tuple[Artifact, Format]:
    """Store a model file and say what it is. The same bytes again are the same artifact.

    Streamed through a file of the scratch folder, so that nothing is stored before its kind is known and all of it is
    there. Raises DeniedError, TooLargeError, RefusedFileError, UnavailableError.
    """
    access.require(acting_user, Action.REGISTER, system)
    with tempfile.TemporaryFile(dir=settings.ENGINE_SCRATCH) as opened:
        file = cast("BinaryIO", opened)
        for chunk in _within_limit(chunks):
            file.write(chunk)
        file.seek(0)
        try:
            kind = sniff(file.read(HEAD_BYTES))
        except StepError as error:
            raise RefusedFileError(f"{error.message[:1].upper()}{error.message[1:]}.", field="file") from None
        file.seek(0)
        stored = vault.put(vault.file_chunks(file))
    with transaction.atomic():
        artifact = vault.keep(stored, acting_user=acting_user, system=system, media_type=MEDIA_TYPES[kind])
    return artifact, kind


def bring_in(*, acting_user: User, system: AISystem, opening: Mapping[str, Any], origin: Mapping[str, Any]) -> Run:
    """Start the run that opens an uploaded file and registers it as a model version.

    ``opening`` are the parameters of the step import.model@1, ``origin`` those of register.external@1. The run belongs
    to a pipeline ``import-<model>`` of its own. Raises DeniedError, InvalidError.
    """
    access.require(acting_user, Action.REGISTER, system)
    access.require(acting_user, Action.RUN, system)
    opened, origin = _valid(import_model.Params, opening), _valid(register_external.Params, origin)
    if not Artifact.objects.filter(system=system, digest=opened["sha256"], shredded_at=None).exists():
        raise InvalidError(f"{system.slug} has no file with this SHA-256; upload the file first.", field="sha256")
    with transaction.atomic():
        text = _written(_spec(opened, origin))
        version = registration.register(acting_user=acting_user, system=system, text=text).version
        return runs.create(acting_user=acting_user, version=version)


def _within_limit(chunks: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for chunk in chunks:
        size += len(chunk)
        require_size(size)
        yield chunk


def _valid(params: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(params.model_validate_json(json.dumps(given)).model_dump(mode="json"))
    except ValidationError as error:
        errors = [{"field": _path(one["loc"]), "detail": _words(one["msg"])} for one in error.errors()]
        told = "; ".join(f"{one['field']}: {one['detail']}" if one["field"] else one["detail"] for one in errors[:5])
        first = errors[0]["field"].partition(".")[0]
        raise InvalidError(f"{told}.", field=first, extra={"errors": errors}) from None


def _path(place: Iterable[int | str]) -> str:
    return ".".join(map(str, place))


def _words(message: str) -> str:
    return message.removeprefix("Value error, ")


def _spec(opened: Mapping[str, Any], origin: Mapping[str, Any]) -> dict[str, Any]:
    """The specification; what people wrote stands in it literally, whatever it looks like."""
    return {
        "apiVersion": "countersign/v1",
        "kind": "Pipeline",
        "metadata": {"name": f"import-{origin['model']}", "title": f"Import of {origin['model']}"},
        "steps": [
            {
                "name": "open",
                "uses": import_model.STEP.id,
                "with": _literal(opened),
                "timeout": IMPORT_SECONDS,
                "memory": IMPORT_MEMORY,
            },
            {
                "name": "register",
                "uses": register_external.STEP.id,
                "with": _literal(origin),
                "inputs": {"model": "open.model", "scan": "open.report"},
            },
        ],
    }


def _written(spec: Mapping[str, Any]) -> str:
    """JSON that is YAML too: what YAML does not allow in a text is escaped, and no character as a pair of two."""
    text = json.dumps(spec, ensure_ascii=False)
    return re.sub("[\x7f-\uffff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def _literal(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _literal(inner) for key, inner in value.items()}
    return [_literal(inner) for inner in value] if isinstance(value, list) else value
