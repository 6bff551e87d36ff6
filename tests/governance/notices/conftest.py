"""A receiver of webhooks on this machine, and reviews to be told of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

import pytest

from governance.services.reviews import submit
from tests.support.models import make_model_version


class Received(NamedTuple):
    headers: dict[str, str]
    body: str


class Receiver:
    """Keeps what it is sent and answers ``status``."""

    def __init__(self) -> None:
        self.status, self.got = 204, list[Received]()
        self.host = self.url = ""


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    kept = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            kept.got.append(Received(dict(self.headers), body))
            self.send_response(kept.status)
            if 300 <= kept.status < 400:
                self.send_header("Location", kept.url)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    kept.host = f"127.0.0.1:{server.server_port}"
    kept.url = f"http://{kept.host}/hook"
    settings.WEBHOOK_HOSTS = [kept.host]
    yield kept
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def review(people: Any) -> Any:
    return submit(acting_user=people.engineer, model_version=make_model_version(people.system, people.engineer))
