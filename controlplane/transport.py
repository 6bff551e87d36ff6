"""The filesystem transport with messages that appear whole.

kombu's own (5.7) writes a message under its final name, so a worker that looks at the wrong moment takes an empty file,
loses the message and ends with a JSON error. Here the file gets its name when it is complete.
"""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Puts a message by renaming it into place."""

    def _put(self, queue: Any, payload: Any, **_: Any) -> None:  # type: ignore[override]  # kombu's own two differ
        folder = Path(self.data_folder_out)
        name = f"{time.monotonic_ns() // 1_000_000}_{uuid.uuid4()}.{queue}.msg"
        partial = folder / f"{name}.partial"  # not a name that a reader takes
        partial.write_text(dumps(payload))  # type: ignore[no-untyped-call]  # kombu's is untyped
        partial.replace(folder / name)


class Transport(filesystem.Transport):
    """What ``filesystem://`` means in this installation."""

    Channel = Channel


def use() -> None:
    """Have kombu take this transport for ``filesystem://``."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
