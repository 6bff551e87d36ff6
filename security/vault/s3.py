"""Objects in S3 (or what speaks it), through django-storages. Needs requirements-aws.txt.

Differs from ``S3Storage`` where the vault has other needs: an upload is one pass in the caller's thread and memory of
one part; an opened object is read by ranges as it is asked for and never fetched as a whole into a temporary file; and
the service's errors are OSError, so that callers need not know it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files import File
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

PART_BYTES = 16 * 2**20  # at most 10,000 parts: objects of up to 156 GiB
_ABSENT = 404


class S3ObjectStorage(S3Storage):  # type: ignore[misc]  # django-storages publishes no types
    """One bucket, or a folder in it (``location``). An object appears only once its upload is complete."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("transfer_config", TransferConfig(use_threads=False, multipart_chunksize=PART_BYTES))
        options.setdefault("file_overwrite", False)
        options.setdefault("default_acl", None)
        super().__init__(**options)

    def _open(self, name: str, mode: str = "rb") -> Any:
        if mode != "rb":
            raise ValueError("objects are read as bytes, and written whole by save")
        key = self._normalize_name(clean_name(name))
        return File(cast("BinaryIO", _ObjectReader(self.bucket.Object(key))), name=name)

    def _save(self, name: str, content: Any) -> str:
        with _as_os_errors():
            return str(super()._save(name, content))

    def exists(self, name: str) -> bool:
        with _as_os_errors():
            return bool(super().exists(name))

    def size(self, name: str) -> int:
        with _as_os_errors():
            return int(super().size(name))

    def delete(self, name: str) -> None:
        with _as_os_errors():
            super().delete(name)

    def listdir(self, name: str) -> tuple[list[str], list[str]]:
        with _as_os_errors():
            folders, files = super().listdir(name)
        return list(folders), list(files)

    def get_modified_time(self, name: str) -> Any:
        with _as_os_errors():
            return super().get_modified_time(name)


class _ObjectReader(io.RawIOBase):
    """An object as a seekable file: one request from wherever reading begins, another one after a jump."""

    def __init__(self, item: Any) -> None:
        super().__init__()
        self._item, self._position = item, 0
        self._body: Any = None
        with _as_os_errors():
            self._size = int(item.content_length)
            self._version = item.e_tag

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if start + offset != self._position:
            self._position = start + offset
            self._drop()
        return self._position

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        if self._position >= self._size or not len(view):
            return 0
        with _as_os_errors():
            if self._body is None:  # IfMatch: never the end of another object behind the beginning of this one
                self._body = self._item.get(Range=f"bytes={self._position}-", IfMatch=self._version)["Body"]
            part = self._body.read(len(view))
        view[: len(part)] = part
        self._position += len(part)
        return len(part)

    def close(self) -> None:
        self._drop()
        super().close()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """FileNotFoundError for what is not there, OSError for everything else that the service says or does not say."""
    try:
        yield
    except ClientError as error:
        if error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") == _ABSENT:
            raise FileNotFoundError("there is no such object in the store") from None
        raise OSError(f"the store answers {error.response.get('Error', {}).get('Code')}") from None
    except BotoCoreError as error:
        raise OSError(f"the store does not answer ({type(error).__name__})") from None
