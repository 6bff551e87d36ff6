"""The key that signs statements, apart from the log's so that no signature of one is one of the other.

It stands in a file of mode 0600 as a C2SP signer key (``security.log.keys`` keeps the log's in the same way), is made
at first use and never replaced; its public half stands in ``.pub`` beside it. Each key is announced in the audit log
before it signs anything, so that whoever trusts the log's key knows this one too.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from security.canonical import urn
from security.errors import UnavailableError
from security.log import keys as log_keys
from security.log import notes
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.services import record

NAME = "/statements"


def signer() -> notes.Signer:
    """The key, made at first use and announced in the caller's transaction. Raises UnavailableError."""
    path = Path(settings.STATEMENT_KEY)
    try:
        if not path.exists():
            _create(path)
        found = _read(path, log_keys.private(path))
    except (OSError, ValueError, log_keys.LogKeyError) as error:
        raise UnavailableError(f"The key for signatures cannot be used ({error}); nothing was signed.") from error
    _announce(found.verifier())
    return found


def _announce(verifier: notes.Verifier) -> None:
    subject = urn("statement-key", f"{verifier.key_id:08x}")
    vkey = verifier.vkey()
    if not AuditEvent.objects.filter(event=Event.STATEMENT_KEY_ANNOUNCED, subject=subject).exists():
        record(Event.STATEMENT_KEY_ANNOUNCED, acting_user=None, subject=subject, payload={"vkey": vkey})


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> notes.Signer:
    found = notes.Signer.parse(path.read_text())
    if found.algorithm != notes.ED25519:
        raise log_keys.LogKeyError(f"{path.name} does not hold an Ed25519 key")
    return found


def _create(path: Path) -> None:
    """Write a new key, never over an existing one: whoever comes second uses that of the first."""
    made = notes.Signer.generate(log_keys.verifiers()[0].name + NAME)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    log_keys.write_once(path, f"{made.secret_key()}\n", 0o600)
    found = _read(path, log_keys.private(path))
    log_keys.write_once(log_keys.public_path(path), f"{found.verifier().vkey()}\n", 0o644)
