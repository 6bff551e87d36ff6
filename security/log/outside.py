"""HTTP to places that the operator configured, as the protocols of the log need it: one POST, no redirects, bounded."""

from __future__ import annotations

from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from security.log.witness import MAX_ANSWER_BYTES, Answer

TIMEOUT_SECONDS = 10.0


class UnreachableError(Exception):
    """Nobody answered, or what answered spoke no HTTP."""


class _NoRedirects(HTTPRedirectHandler):
    """A checkpoint goes where the operator said, and nowhere else."""

    def redirect_request(self, *_: Any) -> None:
        return None


_opener = build_opener(_NoRedirects)


def post(url: str, body: bytes, content_type: str) -> Answer:
    """POST and read at most ``MAX_ANSWER_BYTES`` of the answer, whatever its status.

    Raises UnreachableError, and ValueError for an address that is not http or https.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"an address begins with http:// or https://, unlike {url[:80]!r}")
    request = Request(url, data=body, headers={"Content-Type": content_type}, method="POST")  # noqa: S310 - checked
    try:
        try:
            answer: Any = _opener.open(request, timeout=TIMEOUT_SECONDS)
        except HTTPError as error:
            answer = error
        with answer:
            content = answer.read(MAX_ANSWER_BYTES + 1)
            if len(content) > MAX_ANSWER_BYTES:
                raise UnreachableError("the answer is too long")
            if answer.length:  # what its Content-Length announced and did not come
                raise UnreachableError("the answer was cut off")
            return Answer(answer.status or 0, content, answer.headers.get_content_type())
    except (URLError, HTTPException, OSError) as error:
        raise UnreachableError(f"no answer ({type(error).__name__})") from error
