"""Asking a witness to cosign a checkpoint (C2SP tlog-witness, ``add-checkpoint``). Pure: the transport is handed in."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from security.log import notes
from security.log.checkpoints import Checkpoint
from security.log.notes import NoteError, Verified, Verifier

PATH = "/add-checkpoint"
MAX_PROOF = 63
MAX_ANSWER_BYTES = 256 * 1024
SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


class WitnessError(Exception):
    """No cosignature this time; asking later can help (unreachable, overloaded, answers nonsense)."""


class ConflictingLogError(WitnessError):
    """The witness holds a checkpoint that this log does not continue: the log was rolled back, rewritten or forked."""


class UnknownLogError(WitnessError):
    """The witness does not know this log or its key: its operator has to be told the log's verifier key."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; ``content_type`` without parameters, ``body`` at most ``MAX_ANSWER_BYTES`` long."""

    status: int
    body: bytes = b""
    content_type: str = ""


Post = Callable[[bytes], Answer]
Prove = Callable[[int, int], Sequence[bytes]]


def request(old: int, proof: Sequence[bytes], note: str) -> bytes:
    """The body of ``add-checkpoint``: old size, consistency proof, empty line, checkpoint. Raises ValueError."""
    if len(proof) > MAX_PROOF or (old == 0 and proof):
        raise ValueError("a consistency proof has at most 63 hashes, and none from the empty tree")
    lines = [f"old {old}", *(base64.b64encode(each).decode() for each in proof), "", note]
    return "\n".join(lines).encode()


def cosign(note: str, known: int, witness: Verifier, *, post: Post, prove: Prove) -> tuple[Verified, ...]:
    """Have a signed checkpoint cosigned; returns the witness's verified cosignatures, at least one.

    ``known`` is the size that the witness cosigned last as far as we know (0: never); it corrects us once if that is
    wrong. ``prove(old, new)`` makes consistency proofs. Raises ConflictingLogError, UnknownLogError, WitnessError.
    """
    size = Checkpoint.parse(notes.parse(note).text).size
    if known > size:
        raise ConflictingLogError(f"the witness has cosigned {known} entries, but this log has {size}")
    answer = _ask(note, known, size, post, prove)
    if answer.status == 409:
        held = _held(answer)
        if held > size:
            raise ConflictingLogError(f"the witness has cosigned {held} entries, but this log has {size}")
        if held == known:
            raise WitnessError("the witness says that it holds another size and names the same")
        answer = _ask(note, held, size, post, prove)
    return _cosignatures(answer, note, witness)


def _ask(note: str, old: int, size: int, post: Post, prove: Prove) -> Answer:
    proof = prove(old, size) if 0 < old < size else ()
    return post(request(old, proof, note))


def _held(answer: Answer) -> int:
    """The size in a 409's body (tlog-witness, "add-checkpoint")."""
    match = _SIZE.fullmatch(answer.body)
    if match is None or answer.content_type != SIZE_TYPE:
        raise WitnessError("the witness answered 409 without the size that it holds")
    return int(match[1])


def _cosignatures(answer: Answer, note: str, witness: Verifier) -> tuple[Verified, ...]:
    """The verified cosignatures of an answer; the meaning of each status is tlog-witness's."""
    if answer.status == 422:
        raise ConflictingLogError("the witness found this checkpoint to be inconsistent with one that it holds")
    if answer.status in (403, 404):
        raise UnknownLogError(f"the witness does not know this log or its key ({answer.status})")
    if answer.status != 200:
        raise WitnessError(f"the witness answered {answer.status}")
    try:
        lines = notes.parse_signatures(answer.body.decode())
        opened = notes.open(notes.Note(notes.parse(note).text, lines), [witness])
    except (UnicodeDecodeError, NoteError) as error:
        raise WitnessError(f"the witness's answer does not hold its cosignature: {error}") from error
    if any(not each.timestamp for each in opened.verified):
        raise WitnessError("the witness's cosignature names no time")
    return opened.verified
