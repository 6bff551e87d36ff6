"""Taking the network and other programs away from this process, for good: a seccomp filter (Linux).

The kernel then answers every listed system call with EPERM, in all threads and whatever the process runs. Nothing can
be given back, so it is called in a child that does one job. It needs no privilege, in a container neither.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import sys
from collections.abc import Sequence

_SET_NO_NEW_PRIVS, _SET_MODE_FILTER, _ALL_THREADS = 38, 1, 1  # prctl(2), seccomp(2)
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # classic BPF: ld abs, jeq, jge, ret
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
_X32 = 0x40000000  # the second numbering of calls that x86-64 kernels may know

# machine → AUDIT_ARCH, number of seccomp(2), and the calls that are refused: sockets, other programs, other
# processes' memory, name spaces, keys of the kernel, and what could do any of these by another way (io_uring, bpf)
_MACHINES: dict[str, tuple[int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        317,
        (
            *(41, 42, 43, 44, 46, 49, 50, 53, 59, 62, 101, 165, 166, 200, 234, 246, 248, 249, 250, 272, 288, 298, 307),
            *(308, 310, 311, 321, 322, 323, 424, 425, 426, 427, 438),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        277,
        (
            *(39, 40, 97, 104, 117, 129, 130, 131, 198, 199, 200, 201, 202, 203, 206, 211, 217, 218, 219, 221, 241),
            *(242, 268, 269, 270, 271, 280, 281, 282, 424, 425, 426, 427, 438),
        ),
    ),
}


class IsolationError(RuntimeError):
    """This machine cannot isolate a process; nothing that needs it may run here."""


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction))]


def cut_off() -> None:
    """Refuse this process sockets and other programs from now on. Raises IsolationError where that cannot be had."""
    machine = _MACHINES.get(platform.machine())
    if sys.platform != "linux" or machine is None:
        raise IsolationError(f"no isolation is known for {sys.platform} on {platform.machine()}")
    architecture, seccomp, refused = machine
    rules = _rules(architecture, refused)
    program = _Program(len(rules), (_Instruction * len(rules))(*rules))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.syscall(
        seccomp, _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)
    ):
        raise IsolationError(f"the kernel refused the filter ({os.strerror(ctypes.get_errno())})")


def _rules(architecture: int, refused: Sequence[int]) -> list[_Instruction]:
    """Load the architecture (offset 4) and the call's number (offset 0) of seccomp_data, and compare."""
    count = len(refused)
    return [
        _Instruction(_LOAD, 0, 0, 4),
        _Instruction(_EQUAL, 0, count + 3, architecture),  # another architecture's calls: refused
        _Instruction(_LOAD, 0, 0, 0),
        _Instruction(_AT_LEAST, count + 1, 0, _X32),
        *(_Instruction(_EQUAL, count - place, 0, number) for place, number in enumerate(refused)),
        _Instruction(_RETURN, 0, 0, _ALLOW),
        _Instruction(_RETURN, 0, 0, _REFUSE),
    ]
