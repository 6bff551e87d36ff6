"""Putting bytes into the vault and getting them out again, verified.

Writing has two parts so that a crash leaves at most an orphaned object, never a row without its bytes: ``put`` streams
the encrypted object to the store, ``keep`` inserts the row in the caller's transaction.
"""

from __future__ import annotations

import errno
import hmac
import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, cast

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage, storages
from django.db import transaction
from django.utils import timezone

from security.access.models import AISystem
from security.canonical import urn
from security.errors import ShreddedError, UnavailableError
from security.identity.models import User
from security.log.events import Event
from security.log.services import record
from security.vault import commitment, envelope, keyring, stream
from security.vault.models import Artifact, SystemSecret, identity_of
from security.vault.providers.contract import KeyProviderError, NotGenuineError, WrappedKey
from security.vault.ranges import RangeReader
from security.vault.sidebyside import Digest, worked
from security.vault.storage import ChunkedFile
from security.vault.stream import DamagedError

CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Stored:
    """An object that has been written and has no row yet."""

    digest: str
    size: int
    object_name: str
    object_sha256: str
    object_size: int
    format: int
    key: WrappedKey
    commitment: str


def put(chunks: Iterable[bytes]) -> Stored:
    """Hash, encrypt and store ``chunks`` in one pass and constant memory.

    Raises UnavailableError when the store is full or away, or no key can be had; then nothing is left behind.
    """
    name = uuid.uuid4().hex
    data_key = os.urandom(stream.KEY_BYTES)
    key = _wrapped(data_key, identity_of(name))  # first: without a key nothing is written
    plain, sealed = Digest(), Digest()
    sealer = stream.Sealer(key=data_key, associated_data=identity_of(name))
    sealed.add(sealer.header)
    stages = (plain.of_segment, lambda segment: sealed.add(sealer.seal(segment)))
    with closing(worked(stream.plain_segments(chunks), stages)) as pieces:
        object_name = _save(name, chain([sealer.header], pieces))
    opened = commitment.opening(plain.hexdigest(), data_key=data_key, associated_data=identity_of(name))
    return Stored(
        digest=plain.hexdigest(),
        size=plain.size,
        object_name=object_name,
        object_sha256=sealed.hexdigest(),
        object_size=sealed.size,
        format=stream.VERSION,
        key=key,
        commitment=opened.commitment,
    )


def keep(stored: Stored, *, acting_user: User | None, system: AISystem, media_type: str) -> Artifact:
    """Insert the row (and its audit event) for a stored object, in the caller's transaction.

    Content the system already has keeps its first object, and the new one is deleted once the transaction commits;
    unless the first object is missing, not whole, or found damaged: then the new one takes its place. Raises
    ShreddedError for content that was erased in this system: nobody brings it back by running something again.
    """
    columns = {
        "object_name": stored.object_name,
        "object_sha256": stored.object_sha256,
        "object_size": stored.object_size,
        "format": stored.format,
        **columns_of(stored.key),
    }
    artifact, created = Artifact.objects.get_or_create(
        system=system, digest=stored.digest, defaults={"size": stored.size, "media_type": media_type, **columns}
    )
    _refuse_shredded(artifact, stored)
    if not created and is_whole(artifact) and not artifact.findings.filter(closed_at=None).exists():
        transaction.on_commit(lambda: discard(stored))
        return artifact
    payload = {"object_sha256": stored.object_sha256, "commitment": stored.commitment, "bytes": stored.size}
    if not created:
        artifact = Artifact.objects.select_for_update().get(pk=artifact.pk)
        _refuse_shredded(artifact, stored)  # somebody may have erased it since it was looked up
        payload["lost"] = artifact.object_sha256
        for column, value in columns.items():
            setattr(artifact, column, value)
        artifact.save(update_fields=list(columns))
        artifact.findings.filter(closed_at=None).update(closed_at=timezone.now())
    record(
        Event.ARTIFACT_STORED if created else Event.ARTIFACT_HEALED,
        acting_user=acting_user,
        subject=urn("artifact", artifact.id),
        system=system.slug,
        payload=payload,
    )
    return artifact


def is_whole(artifact: Artifact) -> bool:
    """Whether the store has the artifact's object in its length on record (a look, not a reading)."""
    try:
        return store().exists(artifact.object_name) and store().size(artifact.object_name) == artifact.object_size
    except (FileNotFoundError, SuspiciousFileOperation):
        return False


def require_readable(artifact: Artifact) -> None:
    """Raise ShreddedError for an artifact whose key was destroyed."""
    if artifact.shredded_at is not None:
        raise ShreddedError(
            f"Artifact {artifact} was erased on {artifact.shredded_at:%Y-%m-%d} and cannot be read or stored again; "
            "its digest and history remain."
        )


def _refuse_shredded(artifact: Artifact, stored: Stored) -> None:
    """Leave nothing of content that was erased. Raises ShreddedError."""
    if artifact.shredded_at is not None:
        discard(stored)
    require_readable(artifact)


def discard(stored: Stored) -> None:
    """Delete a stored object that no row will name."""
    with suppress(OSError, SuspiciousFileOperation):
        store().delete(stored.object_name)


def chunks_of(artifact: Artifact) -> Iterator[bytes]:
    """The plaintext in authenticated pieces; raises DamagedError if anything at all is not as it was written.

    The last check, of the whole content's digest, comes at the end: use ``copy_to`` or ``read`` where nothing may be
    acted on before it.
    """
    row, source, data_key = _open(artifact)
    digest = Digest()
    with source:
        yield from _decrypted(row, source, data_key, digest)
        if not hmac.compare_digest(digest.hexdigest(), row.digest):
            raise DamagedError(f"the content of artifact {artifact.digest[:12]} does not have that digest")


def open_range(artifact: Artifact) -> RangeReader:
    """The content as a seekable file that fetches and decrypts only the segments of 1 MiB that are read.

    For column reads of large tables: every byte is authenticated, the digest of the whole is not (``ranges`` says what
    that leaves open). Close it after use. Raises DamagedError, here or at a read, and UnavailableError.
    """
    row, source, data_key = _open(artifact)
    try:
        return RangeReader(source, key=data_key, associated_data=row.identity, object_size=row.object_size)
    except BaseException:
        source.close()
        raise


def opening_of(artifact: Artifact) -> commitment.Opening:
    """What opens the commitment in the artifact's event. Raises ShreddedError, DamagedError, UnavailableError."""
    row = Artifact.objects.get(pk=artifact.pk)
    require_readable(row)
    return commitment.opening(row.digest, data_key=_data_key(row), associated_data=row.identity)


def read(artifact: Artifact, *, limit: int = 64 * 2**20) -> bytes:
    """The whole verified content. Raises ValueError beyond ``limit`` bytes (use ``copy_to``)."""
    if artifact.size > limit:
        raise ValueError(f"artifact {artifact.digest[:12]} has {artifact.size} bytes, over the limit of {limit}")
    return b"".join(chunks_of(artifact))


def copy_to(artifact: Artifact, path: Path) -> Path:
    """Write the verified content to ``path`` (0600); the file appears only once all of it has been verified."""
    descriptor, partial = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks_of(artifact):
                file.write(chunk)
        Path(partial).replace(path)
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise
    return path


def file_chunks(file: BinaryIO) -> Iterator[bytes]:
    """A file in pieces of 1 MiB."""
    while chunk := file.read(CHUNK_BYTES):
        yield chunk


def system_secret(system: AISystem) -> bytes:
    """The 32 bytes that key a system's pseudonyms; made on first use. Raises UnavailableError without its key."""
    found = SystemSecret.objects.filter(system=system).first()
    if found is None:
        made = SystemSecret(system=system)
        columns = columns_of(_wrapped(os.urandom(32), made.identity))
        found, _ = SystemSecret.objects.get_or_create(system=system, defaults=columns)
    try:
        return envelope.unwrap(found.key, associated_data=found.identity)
    except KeyProviderError as error:
        raise UnavailableError(f"The secret of system {system.slug} cannot be opened: {error}.") from error


def columns_of(key: WrappedKey) -> dict[str, Any]:
    """A wrapped key as the columns of its row."""
    return {
        "provider": key.ref.provider,
        "key_id": key.ref.key_id,
        "key_version": key.ref.version,
        "wrapped_key": key.blob,
    }


def store() -> Storage:
    """The configured object store."""
    return storages["vault"]


def _wrapped(data_key: bytes, identity: bytes) -> WrappedKey:
    """Wrap a new data key; the embedded keyring is made on first use, and never silently replaced."""
    path, name = Path(settings.VAULT_KEYRING), settings.VAULT_KEY_PROVIDER
    try:
        if settings.VAULT_KEY_PROVIDERS[name]["KIND"] == "keyring" and not path.exists():
            if Artifact.objects.filter(provider=name).exists() or SystemSecret.objects.filter(provider=name).exists():
                raise keyring.KeyringError(
                    f"the keyring {path.name} is gone, but the vault holds artifacts; restore it"
                )
            keyring.create(path)
        return envelope.wrap(data_key, associated_data=identity)
    except OSError as error:
        raise UnavailableError(f"The keyring cannot be made ({error.strerror}); nothing was stored.") from error
    except KeyProviderError as error:
        raise UnavailableError(f"{error}; nothing was stored.") from error


def _save(name: str, chunks: Iterable[bytes]) -> str:
    """Stream to the store, which sees a whole object or none; returns the object's name."""
    try:
        return store().save(f"{name[:2]}/{name}", ChunkedFile(chunks))
    except SuspiciousFileOperation as error:
        raise UnavailableError(f"The vault's folder is not as it should be ({error}); nothing was stored.") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError("The vault's disk is full; nothing was stored. Make room and try again.") from error
        raise UnavailableError(f"The vault cannot be written ({type(error).__name__}); nothing was stored.") from error


def _decrypted(row: Artifact, source: BinaryIO, data_key: bytes, digest: Digest) -> Iterator[bytes]:
    """The authenticated pieces of an object, digested; a store that fails half-way is not the reader's error."""
    try:
        segments = stream.Segments(stream.read_header(source), key=data_key, associated_data=row.identity)
        yield from worked(stream.sealed_segments(source), (segments.open, digest.add))
    except OSError as error:
        raise UnavailableError(f"Artifact {row} cannot be read: the store fails ({type(error).__name__}).") from error


def _open(artifact: Artifact) -> tuple[Artifact, BinaryIO, bytes]:
    """The row as it is now (its key may have been rewrapped or destroyed since), the stored object, the data key."""
    row = Artifact.objects.get(pk=artifact.pk)
    require_readable(row)
    if row.format != stream.VERSION:
        raise UnavailableError(
            f"Artifact {row} is stored in format {row.format}, and this release reads format {stream.VERSION}; "
            "install the release that wrote it, or a later one."
        )
    data_key = _data_key(row)
    try:
        return row, cast("BinaryIO", store().open(row.object_name)), data_key
    except FileNotFoundError:
        raise DamagedError(f"the object of artifact {row} is missing from the store") from None
    except SuspiciousFileOperation:
        raise DamagedError(f"what lies in the store at the name of artifact {row} is not a plain file") from None
    except OSError as error:
        raise UnavailableError(f"Artifact {row} cannot be read: the store fails ({type(error).__name__}).") from error


def _data_key(row: Artifact) -> bytes:
    """The data key of a row that was not shredded."""
    try:
        return envelope.unwrap(row.key, associated_data=row.identity)
    except NotGenuineError:
        raise DamagedError(f"the wrapped key of artifact {row} does not verify") from None
    except KeyProviderError as error:
        raise UnavailableError(f"Artifact {row} cannot be read: {error}.") from error
