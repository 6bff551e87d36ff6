"""The one POST: over real HTTP to a witness in a thread, and to servers that misbehave."""

import socket
import threading
from contextlib import contextmanager

import pytest

from security.log import checkpoints, merkle, outside
from security.log.checkpoints import Checkpoint
from security.log.notes import Signer
from security.log.outside import UnreachableError
from security.log.witness import PATH, cosign
from tests.support.witness import StandIn, serving

LOG = Signer.from_seed("countersign.example/log", b"l" * 32)


@contextmanager
def raw_server(answer):
    """Answers every connection with these bytes."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                asked = b""
                while not asked.endswith(b"\r\n\r\nx"):
                    asked += connection.recv(65536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def test_a_checkpoint_is_cosigned_over_http():
    witness = StandIn("witness.example/w1", LOG.verifier())
    note = checkpoints.sign(Checkpoint(LOG.name, 1, merkle.leaf_hash(b"x")), LOG)
    with serving(witness) as url:
        found = cosign(
            note,
            0,
            witness.verifier,
            post=lambda body: outside.post(url + PATH, body, "text/plain"),
            prove=lambda old, new: [],
        )
    assert [each.verifier for each in found] == [witness.verifier]


def test_a_redirect_is_not_followed():
    answer = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    with raw_server(answer) as url:
        assert outside.post(url, b"x", "text/plain").status == 307


def test_an_endless_answer_is_cut_off():
    with raw_server(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 300_000) as url, pytest.raises(UnreachableError, match="long"):
        outside.post(url, b"x", "text/plain")


@pytest.mark.parametrize("answer", [b"", b"junk\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"])
def test_what_speaks_no_http_is_not_reached(answer):
    with raw_server(answer) as url, pytest.raises(UnreachableError):
        outside.post(url, b"x", "text/plain")


def test_nobody_there_is_not_reached():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(UnreachableError, match="no answer"):
        outside.post(f"http://127.0.0.1:{port}/", b"x", "text/plain")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "nowhere", ""])
def test_an_address_that_is_not_of_the_web_is_refused(url):
    with pytest.raises(ValueError, match="http"):
        outside.post(url, b"x", "text/plain")
