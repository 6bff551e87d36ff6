"""The embedded queue under a reader that never waits."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from kombu import Connection
from kombu.transport.virtual.base import Empty

from controlplane import transport

MESSAGES = 3_000
WRITER = """
import sys
from tests.controlplane.test_transport import MESSAGES, connect
with connect(sys.argv[1]) as link:
    channel = link.channel()
    for n in range(MESSAGES):
        channel._put("work", {"n": n})
"""


def connect(folder: str) -> Any:
    transport.use()
    options = {"data_folder_in": folder, "data_folder_out": folder, "control_folder": f"{folder}/control"}
    return Connection("filesystem://localhost//", transport_options=options)


def test_a_reader_in_a_hurry_sees_every_message_whole(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    with connect(str(tmp_path)) as link, subprocess.Popen([sys.executable, "-c", WRITER, tmp_path], cwd=root) as writer:
        reader, seen, last_chance = link.channel(), [], False
        while not last_chance or len(seen) < MESSAGES:
            try:
                seen.append(reader._get("work")["n"])
            except Empty:
                if last_chance:
                    break
                last_chance = writer.poll() is not None
                time.sleep(0.001)
    assert writer.returncode == 0
    assert sorted(seen) == list(range(MESSAGES))
