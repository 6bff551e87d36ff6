"""Files from outside: only below the allowed roots, never through a symlink, read once."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import BinaryIO


class SourceError(Exception):
    """The file may not or cannot be read; the message names the path as it was given."""


def open_source(given: str, roots: Sequence[Path]) -> BinaryIO:
    """Open ``given`` (relative to a root, or absolute inside one) for reading.

    Every component is opened relative to its parent with ``O_NOFOLLOW``, so neither ``..`` nor a symlink planted
    between check and use leads out of the root. Raises SourceError.
    """
    shown = given[:200]
    if "\0" in given or not given.strip():
        raise SourceError("The path is empty or holds a NUL byte; give a path below one of the allowed roots.")
    outside = True
    for root in roots:
        parts = _parts_below(given, root)
        if parts is None:
            continue
        outside = False
        try:
            return _open_below(root, parts)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            raise SourceError(f"{shown!r} leads through a file or a symbolic link; give the real path.") from None
        except OSError as error:
            raise SourceError(f"{shown!r} cannot be read: {_reason(error)}.") from None
    if outside:
        raise SourceError(f"{shown!r} lies outside the allowed roots; put the file below one of them (SOURCE_ROOTS).")
    raise SourceError(f"There is no file {shown!r} below the allowed roots.")


def _parts_below(given: str, root: Path) -> tuple[str, ...] | None:
    """The components of ``given`` below ``root``; None when it lies outside."""
    path = PurePosixPath(given)
    if path.is_absolute():
        try:
            path = path.relative_to(root.as_posix())
        except ValueError:
            return None
    return None if ".." in path.parts or not path.parts else path.parts


def _open_below(root: Path, parts: tuple[str, ...]) -> BinaryIO:
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in parts[:-1]:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = inner
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IsADirectoryError("not a regular file")
    return os.fdopen(descriptor, "rb")


def _reason(error: OSError) -> str:
    if error.errno == 40:  # ELOOP: O_NOFOLLOW met a symlink
        return "it is a symbolic link; give the real path"
    return {
        IsADirectoryError: "it is not a regular file",
        PermissionError: "the server may not read it",
    }.get(type(error), f"{type(error).__name__}")
