"""The default object store: plain files below one folder, each written whole or not at all.

The folder may be shared with other machines and other people's mistakes, so no component below it is followed if it is
a symbolic link, and what is not a plain file is refused: nothing is read from, or written to, anywhere else.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from django.core.exceptions import SuspiciousFileOperation
from django.core.files import File
from django.core.files.storage import FileSystemStorage

PARTIAL = ".partial-"
_WRITE_BACK_BYTES = 8 * 2**20
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a planted FIFO would make its reader wait for ever.
_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class ChunkedFile(File):  # type: ignore[type-arg]  # generic in the stubs only
    """A one-pass stream in the shapes that Django's storages take: pieces, or reads of a size."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        super().__init__(None)
        self._chunks = iter(chunks)
        self._held = bytearray()

    def chunks(self, chunk_size: int | None = None) -> Iterator[bytes]:
        return self._chunks

    def read(self, size: int = -1) -> bytes:
        """The next ``size`` bytes (all that is left when negative); fewer at the end."""
        while size < 0 or len(self._held) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._held += chunk
        end = len(self._held) if size < 0 else size
        part = bytes(self._held[:end])
        del self._held[:end]
        return part


class AtomicFileStorage(FileSystemStorage):
    """Writes to a temporary file, syncs it, and renames it into place; an error leaves nothing behind.

    Names are relative with ``/`` between components. Raises SuspiciousFileOperation for a name or a component that
    leads out of the store, and for what is not a plain file.
    """

    def _save(self, name: str, content: Any) -> str:
        with self._folder_of(name, create=True) as (folder, last):
            partial = f"{PARTIAL}{secrets.token_hex(8)}"
            descriptor, flushed = os.open(partial, _WRITE_FLAGS, 0o600, dir_fd=folder), 0
            try:
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    for chunk in content.chunks():
                        _write(file, chunk)
                        flushed = _start_writing_back(file.fileno(), flushed, file.tell())
                    os.fsync(file.fileno())
                os.rename(partial, last, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=folder)
                raise
            os.fsync(folder)
        return name

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            raise ValueError("objects are read as bytes, and written whole by save")
        with self._folder_of(name) as (folder, last):
            try:
                descriptor = os.open(last, _READ_FLAGS, dir_fd=folder)
            except OSError as error:
                raise _suspicious(error, name) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SuspiciousFileOperation(f"{name} is not a plain file")
        return File(os.fdopen(descriptor, "rb"), name=name)

    def exists(self, name: str) -> bool:
        try:
            return self._stat(name) is not None
        except FileNotFoundError:
            return False

    def size(self, name: str) -> int:
        return self._stat(name).st_size

    def delete(self, name: str) -> None:
        with suppress(FileNotFoundError), self._folder_of(name) as (folder, last):
            os.unlink(last, dir_fd=folder)

    def _stat(self, name: str) -> os.stat_result:
        with self._folder_of(name) as (folder, last):
            found = os.stat(last, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(found.st_mode):
            raise SuspiciousFileOperation(f"{name} is not a plain file")
        return found

    @contextmanager
    def _folder_of(self, name: str, *, create: bool = False) -> Iterator[tuple[int, str]]:
        """A descriptor of the folder that holds ``name``, each component opened below its parent, and the last part."""
        parts = PurePosixPath(name).parts
        if not parts or any(part in ("/", "..", ".") or "\0" in part for part in parts):
            raise SuspiciousFileOperation(f"{name!r} leads out of the store")
        root = Path(self.location)
        if create:
            root.mkdir(parents=True, exist_ok=True, mode=0o700)
        held = [os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
        try:
            for part in parts[:-1]:
                held.append(_step(held[-1], part, name, create=create))
            yield held[-1], parts[-1]
        finally:
            for descriptor in held:
                os.close(descriptor)


def _step(folder: int, part: str, name: str, *, create: bool) -> int:
    """Open the folder ``part`` below ``folder``, making it when asked to."""
    if create:
        with suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=folder)
            os.fsync(folder)
    try:
        return os.open(part, _FOLDER_FLAGS, dir_fd=folder)
    except OSError as error:
        raise _suspicious(error, name) from None


def _suspicious(error: OSError, name: str) -> Exception:
    """A symbolic link (ELOOP; ENOTDIR for one in a folder's place) or a device is no accident of the disk."""
    if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
        return SuspiciousFileOperation(f"{name} is not a plain file in a plain folder")
    return error


def _start_writing_back(descriptor: int, flushed: int, written: int) -> int:
    """Let the disk begin while encryption goes on, so that the sync at the end has little left; returns how far."""
    if written - flushed < _WRITE_BACK_BYTES or not hasattr(os, "posix_fadvise"):
        return flushed
    os.posix_fadvise(descriptor, flushed, written - flushed, os.POSIX_FADV_DONTNEED)
    return written


def _write(file: Any, chunk: bytes) -> None:
    """All of ``chunk``: an unbuffered write may take less."""
    rest = memoryview(chunk)
    while rest:
        rest = rest[file.write(rest) :]
