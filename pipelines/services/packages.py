"""Handing out the package of a model version: signed as a whole, streamed, and on record."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path

from django.db import transaction

from pipelines.models import ModelVersion
from pipelines.package import archive
from pipelines.package.contents import Package, package
from pipelines.selectors import packages
from security.access import selectors as access
from security.access.table import Action
from security.canonical import urn
from security.identity.models import User
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.services import record
from security.signing import p256
from security.signing.dsse import Envelope
from security.vault import services as vault
from security.vault.models import Artifact

VERIFIER = Path(__file__).resolve().parents[1] / "offline" / "verify_bundle.py"


def bundle(*, acting_user: User, model_version: ModelVersion) -> Iterator[bytes]:
    """The package, piece by piece; the same version with the same evidence gives the same bytes.

    Access, the audit event and everything that can fail for the person happen in this call, before the first byte.
    Raises DeniedError, ShreddedError, DamagedError, UnavailableError; later damage breaks the ZIP off.
    """
    version = packages.versions().get(pk=model_version.pk)
    system = version.model.system
    access.require(acting_user, Action.READ_ARTIFACT, system)
    vault.require_readable(version.artifact)
    facts = packages.facts(version)
    with transaction.atomic():
        key = announced_key(acting_user)
        made = package(facts, sign=partial(_signed, key), verifier=VERIFIER.read_bytes())
        record(
            Event.PACKAGE_READ,
            acting_user=acting_user,
            subject=urn("model-version", version.pk),
            system=system.slug,
            payload={"package": made.root, "key": p256.key_hint(key.public_key())},
        )
    artifacts = {name: _artifact(version, digest) for name, digest in made.models.items()}
    return archive.stream(_files(made, artifacts))


def announced_key(acting_user: User) -> p256.PrivateKey:
    """The key of packages, on record before it signs anything, so that who trusts the log can trust the key.

    Called in the caller's transaction. Raises UnavailableError.
    """
    key = p256.private_key()
    hint = p256.key_hint(key.public_key())
    subject = urn("package-key", hint)
    if not AuditEvent.objects.filter(event=Event.PACKAGE_KEY_ANNOUNCED, subject=subject).exists():
        pem = p256.public_pem(key.public_key()).decode()
        record(Event.PACKAGE_KEY_ANNOUNCED, acting_user=acting_user, subject=subject, payload={"pem": pem})
    return key


def bundle_name(model_version: ModelVersion) -> str:
    """A file name for the package."""
    model = model_version.model
    return f"{model.system.slug}-{model.name}-v{model_version.number}.zip"


def _signed(key: p256.PrivateKey, payload: bytes, payload_type: str) -> Envelope:
    return p256.sign(payload, payload_type, key)


def _artifact(version: ModelVersion, digest: str) -> Artifact:
    if digest == version.artifact.digest:
        return version.artifact
    return packages.converted_artifact(version, digest)


def _files(made: Package, artifacts: dict[str, Artifact]) -> dict[str, Iterator[bytes]]:
    """Every file as pieces; the first piece of each model is read now, so that a missing key or object is told."""
    files = {name: iter([content]) for name, content in made.files.items()}
    for name, artifact in artifacts.items():
        pieces = vault.chunks_of(artifact)
        files[name] = chain([next(pieces, b"")], pieces)
    return files
