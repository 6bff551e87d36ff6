"""Forms with a file: one that announces too much is refused before any of it is read."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import FileUploadHandler

_FORM_BYTES = 2**20  # the fields beside the file, and what separates them


class SizeLimit(FileUploadHandler):
    """Stands first: compares the announced length, which the server never reads beyond, with the limit."""

    def handle_raw_input(self, *args: Any, **kwargs: Any) -> None:
        """``args``: the body, the environment, the announced length, … Raises RequestDataTooBig."""
        content_length = int(args[2])
        if content_length > settings.MODEL_UPLOAD_MAX_BYTES + _FORM_BYTES:
            raise RequestDataTooBig(f"A form with a file has at most {settings.MODEL_UPLOAD_MAX_BYTES:,} bytes.")

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:
        return raw_data  # to the handlers after this one

    def file_complete(self, file_size: int) -> None:
        return None
