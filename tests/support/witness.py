"""A witness as C2SP tlog-witness describes it: over HTTP, in a thread, refusing what does not continue its log."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from security.log import merkle, notes
from security.log.checkpoints import Checkpoint, CheckpointError
from security.log.merkle import ProofError
from security.log.notes import COSIGNATURE, NoteError, Signer, Verifier
from security.log.witness import Answer


class StandIn:
    """One witness: the logs that it knows by origin, and the newest checkpoint that it cosigned of each."""

    def __init__(self, name: str, *logs: Verifier, seed: bytes = b"w" * 32) -> None:
        self.signer = Signer(name, Signer.from_seed(name, seed).key, COSIGNATURE, clock=time.time)
        self.logs = {log.name: log for log in logs}
        self.held: dict[str, tuple[Checkpoint, str]] = {}
        self.asked: list[bytes] = []
        self.fail_with: int | None = None
        self._lock = threading.Lock()

    @property
    def verifier(self) -> Verifier:
        return self.signer.verifier()

    def add_checkpoint(self, body: bytes) -> Answer:
        """The rules of the specification's section "add-checkpoint", in its order."""
        self.asked.append(body)
        if self.fail_with:
            return Answer(self.fail_with)
        head, _, note = body.decode().partition("\n\n")
        first, *proof = head.split("\n")
        match = re.fullmatch(r"old (0|[1-9][0-9]*)", first)
        try:
            parsed = notes.parse(note)
            hashes = [base64.b64decode(line, validate=True) for line in proof]
            checkpoint = Checkpoint.parse(parsed.text)
        except (NoteError, CheckpointError, ValueError):
            return Answer(400)
        if match is None or len(proof) > 63:
            return Answer(400)
        log = self.logs.get(checkpoint.origin)
        if log is None:
            return Answer(404)
        try:
            notes.open(parsed, [log])
        except NoteError:
            return Answer(403)
        with self._lock:
            return self._checked(int(match[1]), hashes, checkpoint, note)

    def _checked(self, old: int, proof: list[bytes], new: Checkpoint, note: str) -> Answer:
        if old > new.size:
            return Answer(400)
        last = self.held[new.origin][0] if new.origin in self.held else None
        size = last.size if last else 0
        if old != size:
            return Answer(409, f"{size}\n".encode(), "text/x.tlog.size")
        if last is None or size == 0:
            if proof:
                return Answer(422)
        else:
            try:
                merkle.verify_consistency(size, new.size, proof, last.root, new.root)
            except ProofError:
                return Answer(422)
        line = self.signer.sign(new.text()).line()
        self.held[new.origin] = (new, note + line)
        return Answer(200, line.encode(), "text/plain; charset=utf-8")

    def checkpoint(self, origin_hash: str) -> Answer:
        """The monitoring prefix: what it cosigned last of a log."""
        for origin, (_, note) in self.held.items():
            if hashlib.sha256(origin.encode()).hexdigest() == origin_hash:
                return Answer(200, note.encode(), "text/plain; charset=utf-8")
        return Answer(404)


@contextmanager
def serving(witness: StandIn) -> Iterator[str]:
    """The witness's URL prefix while it serves in a thread."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._send(witness.add_checkpoint(body) if self.path == "/prefix/add-checkpoint" else Answer(404))

        def do_GET(self) -> None:
            match = re.fullmatch(r"/prefix/([0-9a-f]{64})/checkpoint", self.path)
            self._send(witness.checkpoint(match[1]) if match else Answer(404))

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.content_type:
                self.send_header("Content-Type", answer.content_type)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/prefix"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
