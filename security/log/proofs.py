"""Receipts: proofs that an entry is in the log, in one file that is checked offline (C2SP tlog-proof v1). Pure.

``extra`` holds the entry itself, so that nothing else is needed. It is not trusted: its leaf hash is what the proof
must lead from.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass

from security.log import checkpoints, merkle, notes

MARK = "c2sp.org/tlog-proof@v1"
MAX_HASHES = 63
MAX_BYTES = 2_000_000
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class ReceiptError(ValueError):
    """A text that is no receipt, or a receipt that does not hold."""


@dataclass(frozen=True)
class Receipt:
    """An inclusion proof with the signed checkpoint that it leads to; ``extra`` None where there is none."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def text(self) -> str:
        """The file: header, extra, index, hashes, an empty line, the checkpoint as it is (tlog-proof, "Format")."""
        extra = [] if self.extra is None else [f"extra {_base64(self.extra)}"]
        lines = [MARK, *extra, f"index {self.index}", *(_base64(each) for each in self.hashes), "", self.checkpoint]
        return "\n".join(lines)

    @classmethod
    def parse(cls, text: str) -> Receipt:
        """The receipt of a file. Raises ReceiptError unless the file is exactly what ``text`` writes."""
        if len(text) > MAX_BYTES:
            raise ReceiptError(f"the receipt is over {MAX_BYTES} characters")
        head, separator, checkpoint = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or lines.pop(0) != MARK:
            raise ReceiptError(f"a receipt begins with the line {MARK}, and an empty line stands before its checkpoint")
        extra = _from_base64(lines.pop(0)[6:], "extra") if lines and lines[0].startswith("extra ") else None
        index = lines.pop(0).removeprefix("index ") if lines and lines[0].startswith("index ") else ""
        if not _DECIMAL.fullmatch(index):
            raise ReceiptError("a receipt has the line “index N”, N a decimal number without leading zeros")
        if len(lines) > MAX_HASHES:
            raise ReceiptError(f"a proof has at most {MAX_HASHES} hashes, not {len(lines)}")
        hashes = tuple(_from_base64(line, "a hash of the proof") for line in lines)
        return cls(int(index), hashes, checkpoint, extra)

    def verify(
        self,
        entry: bytes,
        log: notes.Verifier | Sequence[notes.Verifier],
        witnesses: Sequence[notes.Verifier] = (),
        quorum: int = 0,
    ) -> checkpoints.SignedCheckpoint:
        """Check the receipt of an entry; returns the checkpoint that holds it (tlog-proof, "Verifying a tlog proof").

        1. The leaf hash is that of the entry.
        2. The checkpoint is signed by the log, under its own origin.
        3. At least ``quorum`` of the known witnesses cosigned it, each counted once.
        4. The inclusion proof leads from the leaf to the checkpoint's root.
        Raises ReceiptError, notes.NoteError, checkpoints.CheckpointError or merkle.ProofError.
        """
        opened = checkpoints.open_signed(self.checkpoint, log, witnesses)
        cosigners = {each.verifier for each in opened.cosigned}
        if len(cosigners) < quorum:
            raise ReceiptError(f"{len(cosigners)} of the {quorum} witnesses that are needed cosigned the checkpoint")
        found = opened.checkpoint
        merkle.verify_inclusion(merkle.leaf_hash(entry), self.index, found.size, self.hashes, found.root)
        return opened


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(text: str, what: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptError(f"{what} is not base64") from error
    if _base64(data) != text:
        raise ReceiptError(f"{what} is not base64 in its canonical form")
    return data
