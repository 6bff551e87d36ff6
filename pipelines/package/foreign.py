"""What kind of file somebody sent, by its content and never by its name.

Only skops and ONNX go on. Everything else is refused with its reason, above all what runs code when it is opened:
pickle in all its disguises. This looks at the first bytes only; the step that opens the file looks at all of it.
"""

from __future__ import annotations

import pickletools
from typing import Literal

from pipelines.steps.contract import StepError

Format = Literal["skops", "onnx"]
HEAD_BYTES = 64 * 1024
MEDIA_TYPES: dict[Format, str] = {"skops": "application/x-skops", "onnx": "application/x-onnx"}

_ZIP = b"PK\x03\x04"
_NAME_LENGTH, _NAME = slice(26, 28), 30  # of a ZIP's local file header
_RUNS_CODE = "opening one runs code in it. Save the model with skops.io.dump or as ONNX"
_COMPRESSED = f"a compressed file, as joblib writes its pickles, and {_RUNS_CODE}"
_SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"\x78\x01", _COMPRESSED),
    (b"\x78\x5e", _COMPRESSED),
    (b"\x78\x9c", _COMPRESSED),
    (b"\x78\xda", _COMPRESSED),
    (b"\x1f\x8b", _COMPRESSED),
    (b"BZh", _COMPRESSED),
    (b"\xfd7zXZ", _COMPRESSED),
    (b"]\x00\x00", _COMPRESSED),
    (b"\x04\x22\x4d\x18", _COMPRESSED),
    (b"\x28\xb5\x2f\xfd", _COMPRESSED),
    (
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file, in which Keras keeps code (Lambda layers). Save the model as ONNX",
    ),
    (b"\x93NUMPY", "a NumPy array, not a model"),
    (b"GGUF", "a GGUF file: weights of a language model, which is not run here"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"#!", "a program"),
)
_ONNX_VERSIONS = range(3, 20)


def sniff(head: bytes) -> Format:
    """``skops`` or ``onnx``, from the first ``HEAD_BYTES`` of a file. Raises StepError that says what it is instead."""
    if not head:
        raise StepError("the file is empty")
    if _is_pickle(head):
        raise StepError(f"this is a pickle, whatever its name says: {_RUNS_CODE}")
    for signature, what in _SIGNATURES:
        if head.startswith(signature):
            raise StepError(f"this is {what}")
    if head.startswith(_ZIP):
        if _first_member(head).endswith((".pkl", ".pickle", ".joblib")):
            raise StepError(f"this is a ZIP with a pickle, as PyTorch writes it: {_RUNS_CODE}")
        return "skops"
    if head[0] == 0x08 and len(head) > 2 and head[1] in _ONNX_VERSIONS:  # field 1 of ModelProto: ir_version
        return "onnx"
    raise StepError("this is neither a skops nor an ONNX file. Save the model with skops.io.dump or as ONNX")


def _first_member(head: bytes) -> str:
    length = int.from_bytes(head[_NAME_LENGTH], "little")
    return head[_NAME : _NAME + length].decode("latin-1").lower()


def _is_pickle(head: bytes) -> bool:
    """Whether the bytes read as pickle: protocol 2 and later say so, earlier ones end in a well-formed STOP."""
    if head[0] == 0x80 and len(head) > 1 and head[1] <= 5:
        return True
    if head.startswith(_ZIP):
        return False
    count = 0
    try:
        for operation, _, _ in pickletools.genops(head):  # reads the instructions and runs none
            count += 1
            if operation.name == "STOP":
                return count > 1
    except Exception:  # pickletools raises many kinds: all of them mean that it is none
        return False
    return False
