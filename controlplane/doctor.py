"""What can be wrong with an installation, and how to mend it: one function per check, one table of them.

A check answers OK, WARN (works, but not as it should in production), FAIL, or UNKNOWN where it cannot tell; it never
answers OK for what it did not look at. What it writes, it takes away again.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import metadata
from pathlib import Path

from celery import current_app
from django.conf import settings
from django.db import connection, transaction
from django.db.migrations.loader import MigrationLoader
from django.db.models import Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from packaging.requirements import Requirement

from controlplane import heartbeat
from governance import triggers as governance_triggers
from pipelines.models import StepRun, StepState
from security.access.selectors import live_grants
from security.access.table import SIGNING, roles_for
from security.errors import UnavailableError
from security.identity import second_factor
from security.identity.models import User
from security.log import keys as log_keys
from security.log import published, publishing, triggers, verification
from security.log import selectors as log
from security.log.checkpoints import Checkpoint
from security.log.models import AuditEvent, Delivery, StoredCheckpoint
from security.log.trust import PolicyError
from security.vault import envelope, keyring, shredding
from security.vault import services as vault
from security.vault.models import Artifact, SystemSecret, VaultFinding
from security.vault.providers.contract import KeyProviderError, KeyRef

LOG_ENTRIES = 1_000
FAILURES = 3  # in a row before somebody outside who does not answer is worth a word
SCRUB_AGE = timedelta(days=90)
MIN_FREE_BYTES = 2 * 2**30
SPACY_MODEL = "en_core_web_lg"
_BROKER_SECONDS = 3.0


class Status(StrEnum):
    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """One check's answer: what was seen, and what to do about it (empty when there is nothing to do)."""

    check: str
    status: Status
    detail: str
    mend: str = ""

    def as_json(self) -> dict[str, str]:
        return asdict(self)


Answer = tuple[Status, str, str]


def ok(detail: str) -> Answer:
    return Status.OK, detail, ""


def warn(detail: str, mend: str) -> Answer:
    return Status.WARN, detail, mend


def fail(detail: str, mend: str) -> Answer:
    return Status.FAIL, detail, mend


def examine() -> Iterator[Finding]:
    """Run every check in order; what a check did not foresee is its failure, told by type only."""
    for name, check in CHECKS.items():
        try:
            status, detail, mend = check()
        except Exception as error:
            detail = f"could not be checked ({type(error).__name__})"
            status, mend = Status.FAIL, "Mend what is reported above first; if nothing is, look into the server's log."
        yield Finding(name, status, detail, mend)


def packages() -> Answer:
    """Python itself is new enough, or this module would not have been imported."""
    wrong = [text for text in _requirements() if not _satisfied(Requirement(text))]
    if wrong:
        mend = f"Install them: {sys.executable} -m pip install -r requirements.txt"
        return fail(f"missing, or another release than asked for: {', '.join(wrong)}", mend)
    return ok(f"Python {'.'.join(map(str, sys.version_info[:3]))} with everything that requirements.txt asks for")


def secret_key() -> Answer:
    path = Path(settings.VAR) / "keys" / "secret_key"
    if os.environ.get("SECRET_KEY") or os.environ.get("SECRET_KEY_FILE"):
        return ok("SECRET_KEY is set from outside")
    if path.exists() and _is_private(path):
        return ok("made for this installation, readable by its owner only")
    return fail("the file var/keys/secret_key can be read by others", f"chmod 600 {path}, then replace it.")


def database() -> Answer:
    shown = "PostgreSQL" if connection.vendor == "postgresql" else connection.vendor
    try:
        connection.ensure_connection()
    except Exception as error:
        mend = "Check DATABASE_URL (host, port, name, user, password) and that the server runs and lets this host in."
        return fail(f"{shown} does not answer ({type(error).__name__})", mend)
    if settings.PRODUCTION and connection.vendor == "sqlite":
        return warn("SQLite, in production", "Set DATABASE_URL to a PostgreSQL database.")
    return ok(f"{shown} answers")


def migrations() -> Answer:
    loader = MigrationLoader(connection)
    missing = sorted(set(loader.graph.nodes) - set(loader.applied_migrations))  # in the middle of an app's, too
    if missing:
        names = ", ".join(f"{app}.{name}" for app, name in missing[:3])
        return fail(f"{len(missing)} migrations are not applied ({names})", "Run manage.py migrate.")
    return ok("all applied")


def append_only() -> Answer:
    if not triggers.installed(connection):
        return fail(
            "the triggers that make the audit log append-only are gone",
            "Find out who dropped them, run manage.py verify_log with a head that was noted before, then put them back "
            "with manage.py doctor --restore-triggers.",
        )
    return ok("the audit log refuses changes")


def broker() -> Answer:
    if settings.BROKER_URL == settings.EMBEDDED_QUEUE:
        folder = Path(str(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]))
        if not _writable(folder):
            return fail("the queue's folder cannot be written", f"Let the server's user write {folder}.")
        if settings.PRODUCTION:
            return warn("the filesystem transport, in production", "Set BROKER_URL to a Redis or RabbitMQ server.")
        return ok("filesystem transport, writable")
    try:
        with current_app.connection_for_write(connect_timeout=_BROKER_SECONDS) as link:
            link.ensure_connection(max_retries=0, timeout=_BROKER_SECONDS)
            return ok(f"{link.transport.driver_name or 'broker'} answers")
    except Exception as error:
        mend = "Check BROKER_URL and that the broker runs and lets this host in. Runs wait meanwhile; none is lost."
        return fail(f"the broker does not answer ({type(error).__name__})", mend)


def worker() -> Answer:
    if names := heartbeat.alive():
        return ok(f"{len(names)} on this machine: {', '.join(names)}")
    if settings.CELERY_WORKER_ENABLE_REMOTE_CONTROL:
        answers = current_app.control.inspect(timeout=_BROKER_SECONDS).ping() or {}
        if answers:
            return ok(f"{len(answers)} answered: {', '.join(sorted(answers))}")
        return fail("no worker answers", "Start one: celery -A controlplane.celery worker (or manage.py up).")
    busy = StepRun.objects.filter(state=StepState.RUNNING, lease_expires_at__gt=timezone.now())
    if busy.exists():
        return ok("a step's lease is being renewed, so a worker runs elsewhere")
    return Status.UNKNOWN, "no sign of life here; one on another machine would not be seen", "Start it: manage.py up."


def reaper() -> Answer:
    patience = timezone.now() - timedelta(seconds=settings.ENGINE_LEASE_SECONDS + 6 * settings.ENGINE_REAP_SECONDS)
    overdue = StepRun.objects.filter(state=StepState.RUNNING, lease_expires_at__lt=patience).count()
    if overdue:
        mend = "The clock (celery beat) does not run: start it, or manage.py up, which does."
        return fail(f"{overdue} steps of dead workers were not taken back", mend)
    return ok("nothing is left lying")


def keys() -> Answer:
    """The keyring's file where it is used, and one wrapped key of every key-encryption key in use, really opened."""
    used = {**_one_row_per_key(SystemSecret), **_one_row_per_key(Artifact)}
    path, new = Path(settings.VAULT_KEYRING), settings.VAULT_KEY_PROVIDER
    if any(settings.VAULT_KEY_PROVIDERS.get(name, {}).get("KIND") == "keyring" for name in _names(used)):
        try:
            keyring.load(path)
        except keyring.KeyringError as error:
            mend = f"Restore {path} from its backup, mode 0600. Without it nothing in the vault can be read."
            return fail(str(error), mend)
    for row in used.values():
        try:
            envelope.unwrap_uncached(row.key, associated_data=row.identity)
        except KeyProviderError as error:
            mend = "Merge the keys from the keyring's backup, or make the provider answer; until then reading fails."
            return fail(str(error), mend)
    if not used and settings.VAULT_KEY_PROVIDERS[new]["KIND"] == "keyring":
        return ok("the vault is empty; the keyring is made with the first artifact")
    try:
        present = envelope.current()
    except KeyProviderError as error:
        return fail(str(error), f"Make provider {new!r} answer, or name another as VAULT_KEY_PROVIDER.")
    return ok(f"{present.provider} wraps with {present.key_id} {present.version}".strip() + f"; {len(used)} keys open")


def _one_row_per_key(model: type[Artifact] | type[SystemSecret]) -> dict[KeyRef, Artifact | SystemSecret]:
    """For each key-encryption key in use one row whose key it wrapped."""
    place = Window(RowNumber(), partition_by=["provider", "key_id", "key_version"], order_by="pk")
    rows = model.objects.exclude(key_id="").annotate(place=place).filter(place=1)
    return {row.key.ref: row for row in rows}


def _names(used: Iterable[KeyRef]) -> set[str]:
    return {ref.provider for ref in used}


def vault_store() -> Answer:
    content = os.urandom(4096)
    try:
        stored = vault.put(iter([content]))
    except (UnavailableError, OSError) as error:
        return fail(f"cannot be written: {error}", f"Let the server's user write {settings.VAULT_ROOT}, and make room.")
    try:
        good = vault.store().exists(stored.object_name) and vault.store().size(stored.object_name) == stored.object_size
    finally:
        vault.discard(stored)
    return (
        ok("written, found and removed again")
        if good
        else fail("does not give back what it took", "Check the storage.")
    )


def shredding_done() -> Answer:
    """A restored database does not know what was shredded since its backup; the marks in the store do."""
    if left := shredding.unfinished():
        return fail(
            f"{len(left)} artifacts were shredded and have a key again",
            "Run manage.py vault_shred --reapply before anybody works with this installation.",
        )
    return ok("what was shredded has no key")


def scrubbed() -> Answer:
    """What scrubs found and what they have not looked at yet."""
    found = VaultFinding.objects.filter(closed_at=None)
    if count := found.count():
        first = found.earliest("opened_at")
        return fail(
            f"{count} artifacts are damaged or missing (the first: {first.artifact_id}, {first.detail})",
            "Put the objects back from a backup, or make the same content again (run its pipeline); then manage.py "
            "vault_scrub.",
        )
    everything, long_ago = Artifact.objects.count(), timezone.now() - SCRUB_AGE
    stale = Artifact.objects.filter(created_at__lt=long_ago).exclude(verified_at__gte=long_ago).count()
    if stale:
        mend = "Raise VAULT_SCRUB_BYTES_PER_SECOND or VAULT_SCRUB_SECONDS, see that the clock (celery beat) runs."
        return warn(f"{stale} of {everything} artifacts were not verified for {SCRUB_AGE.days} days", mend)
    return ok(f"no damage is known; all {everything} artifacts are younger or verified within {SCRUB_AGE.days} days")


def artifact() -> Answer:
    """The newest artifact is read and verified; a new one would need a system to belong to."""
    newest = Artifact.objects.filter(shredded_at=None).order_by("-created_at").first()
    if newest is None:
        return Status.UNKNOWN, "the vault holds no artifact yet", ""
    size = sum(len(chunk) for chunk in vault.chunks_of(newest))
    return ok(f"the newest ({size:,} bytes) was decrypted and has its digest")


def log_key() -> Answer:
    path = Path(settings.LOG_KEY)
    last = log.latest()
    if last is None and not path.exists():
        return ok("nothing is signed yet; the key is made with the first checkpoint")
    restore = f"Restore {path} and {log_keys.public_path(path).name} from their backup; a log keeps its key."
    try:
        private = log_keys.load(path) if path.exists() else None
        public = log_keys.verifiers()
        if last is not None:
            log.signed(last)
    except (log_keys.LogKeyError, ValueError) as error:
        return fail(str(error), restore)
    if private is None:
        return ok("public keys only: another process signs, and the last checkpoint verifies")
    if tuple(signer.verifier() for signer in private) != public:
        return fail("the log's public keys are not those of its key", restore)
    return ok(f"0600, signs as {public[0].name}, and the last checkpoint verifies")


def sequencer() -> Answer:
    """Whether what was recorded gets its number."""
    signed, waiting = log.progress()
    late = timezone.now() - timedelta(seconds=settings.LOG_LATE_SECONDS)
    if waiting and AuditEvent.objects.filter(leaf__isnull=True, time__lt=late).exists():
        mend = "Start manage.py log_sequencer (manage.py up runs one), and read its messages."
        return fail(f"{waiting:,} events wait for their number, some for over {settings.LOG_LATE_SECONDS:.0f} s", mend)
    return ok(f"{signed:,} entries signed, {waiting:,} wait")


def outside() -> Answer:
    """Whether somebody outside would notice another version of the log."""
    try:
        expected = [each.name for each in publishing.destinations()]
        quorum = published.policy().quorum
    except (PolicyError, OSError) as error:
        return fail(f"the trust policy cannot be read: {error}", f"Mend {settings.LOG_POLICY} (C2SP tlog-policy).")
    if not expected:
        return warn(
            "nobody outside keeps checkpoints, so a second version of the log would not show",
            "Name a witness (LOG_POLICY) or a store elsewhere (LOG_STORE_BACKEND); meanwhile keep checkpoints by hand.",
        )
    rows = {row.destination: row for row in Delivery.objects.filter(destination__in=expected)}
    if told := [f"{row.destination}: {row.error}" for row in rows.values() if row.conflict]:
        return fail(
            f"somebody outside holds a log that this one does not continue ({'; '.join(told)})",
            "Stop writing, keep the database, run manage.py verify_log --expect with the checkpoint that they hold.",
        )
    if behind := [f"{row.destination}: {row.error}" for row in rows.values() if row.failures > FAILURES]:
        return warn(f"not delivered ({'; '.join(behind)})", "It is tried again; manage.py log_push tries now.")
    return ok(f"{len(rows)} of {len(expected)} have been told; the quorum is {quorum}")


def audit_log() -> Answer:
    """The newest entries, from the last checkpoint that is at least so far back."""
    before = StoredCheckpoint.objects.filter(size__lte=max(log.head()[0] - LOG_ENTRIES, 0)).order_by("-size").first()
    since = None
    try:
        if before is not None:
            signed = log.signed(before)
            since = Checkpoint(log_keys.verifiers()[0].name, signed.size, signed.root)
        found = verification.verify(since=since)
    except (log_keys.LogKeyError, ValueError) as error:
        return fail(str(error), "See the check of the log's key; then run manage.py verify_log.")
    if found.damage is not None:
        damage = found.damage
        mend = "Stop writing, keep the database, run manage.py verify_log, compare with a backup."
        return fail(f"entry {damage.index}: {damage.kind}, {damage.detail}", mend)
    return ok(f"the last {found.entries:,} of {found.size:,} entries hold together (verify_log walks all)")


def clock() -> Answer:
    now = datetime.now(UTC)
    newest = AuditEvent.objects.order_by("-time").values_list("time", flat=True).first()
    if newest is not None and newest > now + timedelta(seconds=5):
        ahead = (newest - now).total_seconds()
        return fail(
            f"the last audit event lies {ahead:.0f} s in the future", "Set the clock; run NTP on every machine."
        )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            off = abs((cursor.fetchone()[0] - datetime.now(UTC)).total_seconds())
        if off > 2:
            return fail(f"{off:.0f} s apart from the database's", "Run NTP on both machines.")
    return ok(now.strftime("%Y-%m-%d %H:%M:%S UTC"))


def disk() -> Answer:
    folders = {"vault": settings.VAULT_ROOT, "scratch": settings.ENGINE_SCRATCH, "var": settings.VAR}
    free = {name: shutil.disk_usage(_existing(Path(folder))).free for name, folder in folders.items()}
    name, least = min(free.items(), key=lambda item: item[1])
    if least < MIN_FREE_BYTES:
        return fail(
            f"{least / 2**30:.1f} GiB free for {name}", "Make room: at least 2 GiB, better ten times a data set."
        )
    return ok(f"{least / 2**30:.0f} GiB free where least is ({name})")


def sources() -> Answer:
    missing = [str(root) for root in settings.SOURCE_ROOTS if not (Path(root).is_dir() and os.access(root, os.R_OK))]
    if missing:
        return fail(f"cannot be read: {', '.join(missing)}", "Make the folders, or mend SOURCE_ROOTS.")
    return ok(", ".join(str(root) for root in settings.SOURCE_ROOTS))


def static_files() -> Answer:
    if not settings.PRODUCTION:
        return ok("served from the source folders")
    if not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
        return fail("not collected", "Run manage.py collectstatic --no-input.")
    return ok("collected")


def https() -> Answer:
    if settings.HTTPS:
        return ok("cookies and redirects are for HTTPS")
    if settings.PRODUCTION:
        return fail("off, in production", "Put a TLS proxy in front and set COUNTERSIGN_HTTPS=1.")
    hosts = sorted(set(settings.ALLOWED_HOSTS) - {"localhost", "127.0.0.1", "[::1]", "testserver"})
    if hosts:
        mend = "Put a TLS proxy in front and set COUNTERSIGN_HTTPS=1."
        return warn(f"off, though the pages answer as {', '.join(hosts)}", mend)
    return ok("off; the pages answer on this machine only")


def second_factors() -> Answer:
    """Whether whoever can sign or administer could do it with a stolen password alone."""
    signers = User.objects.filter(pk__in=live_grants().filter(role__in=_signing_roles()).values("user"))
    bare = [user.username for user in signers.order_by("username") if not second_factor.is_enrolled(user)]
    if not settings.REQUIRE_MFA:
        mend = "Set COUNTERSIGN_REQUIRE_MFA=1 (it is on by itself with COUNTERSIGN_PRODUCTION=1)."
        return warn("NOT asked of those who sign: a password alone approves a model. For demonstrations only", mend)
    if bare:
        mend = "They enrol one under Settings, Second factor; until then they can read, and sign nothing."
        return warn(f"asked, but not yet enrolled: {', '.join(bare[:10])}", mend)
    return ok(f"asked, and enrolled by all {signers.count()} who can sign or administer")


def _signing_roles() -> set[str]:
    return {role.value for action in SIGNING for role in roles_for(action)}


def language_model() -> Answer:
    if importlib.util.find_spec(SPACY_MODEL) is None:
        mend = f"Only if specs ask for names and places: install the wheel of {SPACY_MODEL}, see docs/operations.md."
        return ok(f"{SPACY_MODEL} is not installed (optional). {mend}")
    return ok(f"{SPACY_MODEL} is installed")


def host_name() -> Answer:
    """Leases and logs name their worker by it."""
    name = socket.gethostname()
    return (
        ok(name) if name and name != "localhost" else warn("the host is called localhost", "Give each worker a name.")
    )


CHECKS: dict[str, Callable[[], Answer]] = {
    "packages": packages,
    "secret key": secret_key,
    "database": database,
    "migrations": migrations,
    "append-only log": append_only,
    "broker": broker,
    "worker": worker,
    "reaper": reaper,
    "keyring": keys,
    "vault": vault_store,
    "shredding": shredding_done,
    "scrub": scrubbed,
    "artifact": artifact,
    "log key": log_key,
    "sequencer": sequencer,
    "audit log": audit_log,
    "witnesses": outside,
    "clock": clock,
    "disk": disk,
    "sources": sources,
    "static files": static_files,
    "https": https,
    "second factors": second_factors,
    "language model": language_model,
    "host name": host_name,
}


def restore_triggers() -> None:
    """Put the append-only triggers back; harmless when they are there."""
    with transaction.atomic():
        triggers.install(connection)
        governance_triggers.install(connection)


def _requirements() -> list[str]:
    """The lines of requirements.txt that name a package."""
    lines = (Path(settings.BASE_DIR) / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _satisfied(wanted: Requirement) -> bool:
    try:
        return wanted.specifier.contains(metadata.version(wanted.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _is_private(path: Path) -> bool:
    return not stat.S_IMODE(path.stat().st_mode) & 0o077


def _writable(folder: Path) -> bool:
    probe = folder / f".doctor-{os.getpid()}-{time.monotonic_ns()}"
    try:
        probe.touch(exist_ok=False)
        probe.unlink()
    except OSError:
        return False
    return True


def _existing(path: Path) -> Path:
    """The path, or its nearest ancestor that exists."""
    return path if path.exists() else _existing(path.parent)
