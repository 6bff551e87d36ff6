"""Verify a Countersign export, or a single receipt, without trusting the server that made it.

    python verify_export.py --key VKEY                             in the unpacked folder
    python verify_export.py bundle.zip --key VKEY                  on the ZIP itself
    python verify_export.py bundle.zip --key VKEY --checkpoint F   and against a checkpoint that you kept (repeatable)
    python verify_export.py bundle.zip --key VKEY --witness VKEY --quorum 1
    python verify_export.py event.tlog-proof --key VKEY            a receipt

VKEY is the log's verifier key (C2SP signed-note), noted when the installation was set up or taken from a place that the
server cannot change. Python 3.11 or newer with the package ``cryptography``; no network. Exit status 0: everything
holds. 1: something does not. 2: everything agrees, but no --key was given, so who signed it is not shown.

1. Files: every file has the SHA-256 of the manifest, none is missing, none was added.
2. Signature: the checkpoint is signed by the log's key under its own origin, cosignatures of known witnesses verify and
   are enough, and it was signed for this log only.
3. Log: every entry shown is canonical JSON, its leaf hash at its place together with those of the hidden ones gives the
   root that was signed (RFC 9162), which proves inclusion and order of all; checkpoints that were kept are of this very
   tree: none is longer (rolled back), of the same size with another root (fork) or of another beginning (rewritten).
4. Export: the log holds this very export, and the model with the digest that the manifest names.
5. Evidence: every digest follows from its content and stands in the log; every report has the digest it should.
6. Decisions: subjects, votes, approvals and revocations have the digests that stand in the log, and the log has no
   other votes; each vote binds its review's subject and was cast by somebody who held the role at the time; each
   approval had passing gates, all evidence that stood, and enough different people, none of whom had run, registered or
   submitted what they decided on.
7. Statements: every signature that names one has its DSSE envelope here, signed by a key that the log announced, around
   an in-toto statement that says exactly what the signature says, of the digests that it binds.

Judged is the log up to the export; what is said of this model's decisions after it is told. Not shown by any single
file: that this log is the one that others saw, unless witnesses cosigned it or a checkpoint was kept. And what a hidden
entry says: a server that lies could hide a rejection or a revocation as an event of another system. With --whole,
hidden entries are an error; an export for somebody who may see all systems has none.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import math
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANIFEST, COSIGNED = "manifest.json", "cosigned"
FORMAT = "countersign-bundle@2"
MEMBERS = {"actor", "event", "id", "payload", "subject", "system", "time"}
CHAINED_MEMBERS = MEMBERS - {"id"} | {"index"}  # entries of logs that began before the tree
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_INTEGER = 2**53 - 1
MAX_NOTE_BYTES = 1_000_000
RECEIPT = "c2sp.org/tlog-proof@v1"
DECISIONS = ("review:", "vote:", "approval:", "condition:")
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT = "https://in-toto.io/Statement/v1"
PREDICATE = "urn:countersign:predicate:signature-v1"


class WrongError(Exception):
    """Something that does not hold; its text says what and where."""


# ------------------------------------------------------------------------------------- canonical JSON (RFC 8785)


def canonical(value: Any) -> str:
    """The RFC 8785 form of a JSON value. Raises WrongError for what has none."""
    if isinstance(value, dict):
        pairs = sorted(value.items(), key=lambda pair: pair[0].encode("utf-16-be"))
        return "{" + ",".join(f"{canonical(key)}:{canonical(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(canonical(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise WrongError(f"the whole number {value} is beyond what JSON can hold exactly")
        return str(value)
    return _number(value)


def _number(value: float) -> str:
    """A float as ECMAScript writes it (RFC 8785 section 3.2.2.3), from Python's shortest digits."""
    if not math.isfinite(value):
        raise WrongError("a number is not finite")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    rest = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def digest_of(value: Any) -> str:
    """SHA-256 of the canonical form."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def parse(data: bytes | str) -> Any:
    """JSON, refusing repeated names and numbers that are none."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise WrongError("an object has the same name twice")
        return dict(pairs)

    def refuse(text: str) -> None:
        raise WrongError(f"{text} is no JSON number")

    return json.loads(data, object_pairs_hook=unique, parse_constant=refuse)


# ------------------------------------------------------------------------------- the tree (RFC 9162 section 2.1)


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree, as the roots of its complete subtrees, the largest first."""

    def __init__(self) -> None:
        self.size = 0
        self.subtrees: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        if len(leaf) != 32:
            raise WrongError(f"the leaf hash of entry {self.size} has {len(leaf)} bytes, not 32")
        index = self.size
        while index & 1:
            leaf = node_hash(self.subtrees.pop(), leaf)
            index >>= 1
        self.subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self.subtrees:
            return EMPTY_ROOT
        top = self.subtrees[-1]
        for left in reversed(self.subtrees[:-1]):
            top = node_hash(left, top)
        return top


def root_from_proof(leaf: bytes, index: int, size: int, proof: Sequence[bytes]) -> bytes:
    """The root that an inclusion proof leads to (RFC 9162 section 2.1.3.2). Raises WrongError."""
    if not 0 <= index < size or any(len(step) != 32 for step in (leaf, *proof)):
        raise WrongError(f"there is no entry {index} in a log of {size}, or a hash of the proof has not 32 bytes")
    at, last = index, size - 1
    for step in proof:
        if last == 0:
            raise WrongError("the inclusion proof is too long")
        if at & 1 or at == last:
            leaf = node_hash(step, leaf)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            leaf = node_hash(leaf, step)
        at, last = at >> 1, last >> 1
    if last:
        raise WrongError("the inclusion proof is too short")
    return leaf


# ------------------------------------------------- signed notes and checkpoints (C2SP signed-note, tlog-checkpoint)


def unbase64(text: str, what: str) -> bytes:
    """Standard base64 in its canonical form. Raises WrongError."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise WrongError(f"{what} is not base64") from None
    if base64.b64encode(data).decode() != text:
        raise WrongError(f"{what} is not base64 in its canonical form")
    return data


@dataclass(frozen=True)
class Key:
    """A verifier key: type 1 signs as the log, type 4 cosigns with the time."""

    name: str
    id: bytes
    kind: int
    public: bytes

    @classmethod
    def parse(cls, vkey: str) -> Key:
        """The key of ``name+hex(key ID)+base64(type, key)``. Raises WrongError."""
        name, _, rest = vkey.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        data = unbase64(encoded, "the verifier key")
        if not name or len(data) != 33 or data[0] not in (1, 4):
            raise WrongError("a verifier key has the form name+key ID+key and holds an Ed25519 key")
        computed = hashlib.sha256(name.encode() + b"\n" + data).digest()[:4]
        if computed.hex() != stated:
            raise WrongError(f"the verifier key {name} does not have the ID that it names")
        return cls(name, computed, data[0], data[1:])

    def verify(self, text: str, signature: bytes) -> None:
        """Raises WrongError unless it is this key's signature over the text."""
        message = text.encode()
        if self.kind == 4:
            moment, signature = int.from_bytes(signature[:8], "big"), signature[8:]
            message = f"cosignature/v1\ntime {moment}\n".encode() + message
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise WrongError(f"the signature by {self.name} ({self.id.hex()}) does not verify") from None


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head, and the keys whose signatures were found on it and verified."""

    origin: str
    size: int
    root: bytes
    signed_by: tuple[Key, ...]


def open_checkpoint(note: bytes, keys: Sequence[Key]) -> Checkpoint:
    """Parse a checkpoint strictly. Every signature of a known key must verify, one of them the log's; or WrongError."""
    if len(note) > MAX_NOTE_BYTES:
        raise WrongError("the checkpoint is too long")
    head, empty, tail = _text(note).rpartition("\n\n")
    if not empty or not tail.endswith("\n") or re.search(r"[\x00-\x09\x0b-\x1f]", head + tail):
        raise WrongError("the checkpoint is no signed note")
    text = head + "\n"
    verified = [key for line in tail[:-1].split("\n") for key in _signed(line, text, keys)]
    lines = head.split("\n")
    if len(lines) < 3 or not all(lines) or not re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1], re.ASCII):
        raise WrongError("the signed text is no checkpoint")
    found = Checkpoint(lines[0], int(lines[1]), unbase64(lines[2], "the root hash"), tuple(verified))
    if len(found.root) != 32:
        raise WrongError("the root hash of the checkpoint has not 32 bytes")
    if not any(key.kind == 1 and key.name == found.origin for key in verified):
        known = ", ".join(f"{key.name} {key.id.hex()}" for key in keys if key.kind == 1)
        raise WrongError(
            f"the checkpoint of {found.origin} is not signed by the log's key ({known or 'none is known'})"
        )
    return found


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise WrongError("the checkpoint is not UTF-8") from None


def _signed(line: str, text: str, keys: Sequence[Key]) -> list[Key]:
    """The known key that a signature line is of, verified; none for an unknown one."""
    match = re.fullmatch(r"\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)", line)
    if match is None:
        raise WrongError("a signature line of the checkpoint is malformed")
    data = unbase64(match[2], f"the signature by {match[1]}")
    for key in keys:
        if (key.name, key.id) == (match[1], data[:4]):
            key.verify(text, data[4:])
            return [key]
    return []


# ----------------------------------------------------------------------------------------------------- the bundle


@dataclass
class Trust:
    """What the verifier was told from outside: keys of the log and of witnesses, checkpoints that were kept."""

    keys: list[Key] = field(default_factory=list)
    witnesses: list[Key] = field(default_factory=list)
    quorum: int = 0
    kept: dict[str, bytes] = field(default_factory=dict)
    whole: bool = False


class Folder:
    """An unpacked bundle."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        return sorted(str(p.relative_to(self.path).as_posix()) for p in self.path.rglob("*") if p.is_file())

    def open(self, name: str) -> IO[bytes]:
        path = (self.path / name).resolve()
        if not path.is_relative_to(self.path.resolve()):
            raise WrongError(f"{name} leads out of the folder")
        return path.open("rb")


class Zip:
    """A bundle as it was downloaded."""

    def __init__(self, path: Path) -> None:
        self.file = zipfile.ZipFile(path)

    def names(self) -> list[str]:
        return sorted(self.file.namelist())

    def open(self, name: str) -> IO[bytes]:
        return self.file.open(name)


class Bundle:
    """The files of one export and what has been read of them."""

    def __init__(self, source: Folder | Zip, trust: Trust) -> None:
        self.source, self.trust = source, trust
        self.manifest: dict[str, Any] = self.json(MANIFEST)
        self.checkpoint: Checkpoint | None = None
        self.cosigned: Checkpoint | None = None
        self.kept: dict[str, Checkpoint] = {}  # what the log must continue: by file, given or in the bundle
        self.events: dict[str, list[dict[str, Any]]] = {}  # event name → entries shown, up to the export
        self.later: list[dict[str, Any]] = []  # entries shown after it
        self.hidden: list[int] = []  # indices of entries of which only the leaf hash is here
        self.withheld = 0  # entries that commit to personal values, which are not here

    @property
    def keys(self) -> list[Key]:
        """The log's keys as they were given; without any, those that the bundle names itself."""
        if self.trust.keys:
            return self.trust.keys
        with self.source.open("log.vkey") as file:
            return [Key.parse(line) for line in _text(file.read()).splitlines() if line]

    @property
    def cosigners(self) -> set[Key]:
        """The known witnesses who cosigned the checkpoint of the bundle, or the one before it that the bundle has."""
        signed_by = [key for one in (self.checkpoint, self.cosigned) if one for key in one.signed_by]
        return {key for key in signed_by if key in self.trust.witnesses}

    def json(self, name: str) -> Any:
        with self.source.open(name) as file:
            return parse(file.read())

    def event(self, name: str, subject: str) -> dict[str, Any]:
        """The one event of that name about a subject."""
        found = [entry for entry in self.events.get(name, []) if entry["subject"] == subject]
        if len(found) != 1:
            raise WrongError(f"the log has {len(found)} events {name} about {subject}, where there must be one")
        return found[0]

    def event_with(self, name: str, member: str, value: str) -> dict[str, Any]:
        """The first event of that name whose payload has the value."""
        for entry in self.events.get(name, []):
            if entry["payload"].get(member) == value:
                return entry
        raise WrongError(f"the log has no event {name} with {member} {value}")


def same(what: str, found: Any, expected: Any) -> None:
    """Raise WrongError unless the two are equal."""
    if found != expected:
        raise WrongError(f"{what} is {_short(found)}, but should be {_short(expected)}")


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 70 else f"{text[:67]}…"


def sha256_of(file: IO[bytes]) -> str:
    """SHA-256 of what is left of a file."""
    digest = hashlib.sha256()
    while piece := file.read(1 << 20):
        digest.update(piece)
    return digest.hexdigest()


def urn(noun: str, key: str) -> str:
    return f"urn:countersign:{noun}:{key}"


# ----------------------------------------------------------------------------------------------------- the checks


def check_files(bundle: Bundle) -> Iterator[str]:
    """Every file as the manifest has it, and no other file."""
    same("the format of the manifest", bundle.manifest["format"], FORMAT)
    names = bundle.source.names()
    if len(names) != len(set(names)):
        raise WrongError("the ZIP holds two files of the same name")
    expected = bundle.manifest["files"]
    for name in sorted(set(expected) - set(names)):
        yield f"{name} is missing"
    for name in sorted(set(names) - set(expected) - {MANIFEST}):
        yield f"{name} was added: the manifest does not know it"
    for name in sorted(set(expected) & set(names)):
        with bundle.source.open(name) as file:
            digest = sha256_of(file)
        if digest != expected[name]["sha256"]:
            yield f"{name} was changed: its SHA-256 is {digest[:12]}…, not {expected[name]['sha256'][:12]}…"
    for digest in bundle.manifest["unavailable"]:
        yield f"the report {digest[:12]}… could not be read from the vault when this was exported"


def check_signature(bundle: Bundle) -> Iterator[str]:
    """The checkpoint of the bundle and those that were kept are the log's, and enough known witnesses cosigned."""
    trust = bundle.trust
    with bundle.source.open("checkpoint") as file:
        found = open_checkpoint(file.read(), [*bundle.keys, *trust.witnesses])
    same("the origin of the log", bundle.manifest["log"]["origin"], found.origin)
    same("the size of the log", bundle.manifest["log"]["size"], found.size)
    bundle.checkpoint = found
    if COSIGNED in bundle.manifest["files"]:
        with bundle.source.open(COSIGNED) as file:
            bundle.cosigned = open_checkpoint(file.read(), [*bundle.keys, *trust.witnesses])
        same("the origin of the cosigned checkpoint", bundle.cosigned.origin, found.origin)
        bundle.kept[COSIGNED] = bundle.cosigned
    if len(bundle.cosigners) < trust.quorum:
        yield f"{len(bundle.cosigners)} of the {trust.quorum} witnesses that are needed cosigned a checkpoint"
    for name, note in trust.kept.items():
        try:
            kept = open_checkpoint(note, bundle.keys)
            same("its origin", kept.origin, found.origin)
            bundle.kept[name] = kept
        except WrongError as wrong:
            yield f"the kept checkpoint {name}: {wrong}"


def check_log(bundle: Bundle) -> Iterator[str]:
    """The tree over all entries is the one that was signed, and continues every checkpoint that was kept."""
    if bundle.checkpoint is None:
        raise WrongError("no signed checkpoint says what the log should be")
    signed, export = bundle.checkpoint, bundle.manifest["log"]["export"]
    wanted = {kept.size for kept in bundle.kept.values()}
    roots, tree = {0: EMPTY_ROOT}, Tree()
    with bundle.source.open("log.jsonl") as file:
        for line in file:
            row = parse(line)
            same(f"the index of line {tree.size + 1} of the log", row["index"], tree.size)
            tree.append(_leaf(bundle, row, tree.size, export))
            if tree.size in wanted:
                roots[tree.size] = tree.root()
    same("the number of entries", tree.size, signed.size)
    if tree.root() != signed.root:
        raise WrongError(
            "the entries do not give the root that was signed: one was changed, moved, removed or added "
            f"({tree.root().hex()[:12]}… and not {signed.root.hex()[:12]}…)"
        )
    for name, kept in bundle.kept.items():
        yield from _continued(name, kept, signed, roots)
    if bundle.hidden and bundle.trust.whole:
        yield f"{len(bundle.hidden)} entries are hidden ({_ranges(bundle.hidden)})"


def _continued(name: str, kept: Checkpoint, signed: Checkpoint, roots: dict[int, bytes]) -> Iterator[str]:
    """What a checkpoint that was kept says against this one."""
    if kept.size > signed.size:
        yield (
            f"the log was rolled back: the kept checkpoint {name} has {kept.size} entries, this bundle {signed.size}"
        )
    elif kept.root != roots[kept.size]:
        kind = "forked: two signed checkpoints of the same size" if kept.size == signed.size else "rewritten"
        yield f"the log was {kind}: its first {kept.size} entries are not those of the kept checkpoint {name}"


def _leaf(bundle: Bundle, row: dict[str, Any], index: int, export: int) -> bytes:
    """The leaf hash of one line; an entry that is shown is kept for the other checks."""
    if "entry" not in row:
        bundle.hidden.append(index)
        return bytes.fromhex(row["leaf"])
    entry = parse(row["entry"])
    named = set(entry) - {"commitment"}
    if (
        named not in (MEMBERS, CHAINED_MEMBERS)
        or canonical(entry) != row["entry"]
        or entry.get("index", index) != index
    ):
        raise WrongError(f"entry {index} of the log was changed: it has not the form in which it was written")
    entry["index"] = index
    bundle.withheld += "commitment" in entry
    if index <= export:
        bundle.events.setdefault(entry["event"], []).append(entry)
    else:
        bundle.later.append(entry)
    leaf = leaf_hash(row["entry"].encode())
    if leaf.hex() != row["leaf"]:
        raise WrongError(f"entry {index} of the log was changed: it does not give its leaf hash")
    return leaf


def _ranges(indices: list[int]) -> str:
    """``3-5, 8 and 2 more``: the first few runs of numbers."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    shown = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in runs[:5])
    return shown + (f" and {len(runs) - 5} more runs" if len(runs) > 5 else "")


def check_export(bundle: Bundle) -> Iterator[str]:
    """The log holds this very export, and the model was registered with the digest that the manifest names."""
    yield from ()
    about, at = bundle.manifest["subject"], bundle.manifest["log"]["export"]
    subject = urn("model-version", about["model_version"])
    own = [entry for entry in bundle.events.get("export:created", []) if entry["index"] == at]
    same(f"what entry {at} of the log says was exported", [entry["subject"] for entry in own], [subject])
    same("who asked for the export", urn("user", bundle.manifest["requested_by"]["id"]), own[0]["actor"])
    registered = bundle.event("model-version:registered", subject)
    same("the digest of the model", about["digest"], registered["payload"]["digest"])


def check_evidence(bundle: Bundle) -> Iterator[str]:
    """Digests of evidence, reports, specifications and policies."""
    unavailable = set(bundle.manifest["unavailable"])
    for row in bundle.json("evidence.json")["evidence"]:
        where = f"evidence {row['content']['kind']} {row['id']}"
        same(f"the digest of {where}", row["digest"], digest_of(row["content"]))
        recorded = bundle.event("evidence:recorded", urn("evidence", row["id"]))
        same(f"the digest of {where}", row["digest"], recorded["payload"]["digest"])
        report = row["content"]["report"]
        if report and report not in unavailable:
            yield from _named_by_digest(bundle, f"reports/{report}.json", report)
    for row in bundle.json("policy.json")["policies"]:
        same(f"the digest of the {row['tier']} policy", row["digest"], digest_of(row["content"]))
    for name in bundle.manifest["files"]:
        if name.startswith("pipelines/"):
            yield from _named_by_digest(bundle, name, Path(name).stem)


def _named_by_digest(bundle: Bundle, name: str, digest: str) -> Iterator[str]:
    if name not in bundle.manifest["files"]:
        yield f"{name} is missing"
        return
    with bundle.source.open(name) as file:
        if sha256_of(file) != digest:
            yield f"{name} does not have the digest that it is named by"


def check_decisions(bundle: Bundle) -> Iterator[str]:
    """Every review, vote, approval and revocation, alone and against the log."""
    reviews = bundle.json("decisions.json")["reviews"]
    version = bundle.manifest["subject"]["model_version"]
    submitted = {
        entry["subject"]
        for entry in bundle.events.get("review:submitted", [])
        if entry["payload"]["model_version"] == version
    }
    same("the reviews", sorted(urn("review", review["id"]) for review in reviews), sorted(submitted))
    for review in reviews:
        try:
            for check in (_check_review, _check_votes, _check_approval):
                check(bundle, review)
        except WrongError as wrong:
            yield f"review {review['id']}: {wrong}"


def _check_review(bundle: Bundle, review: dict[str, Any]) -> None:
    subject = review["subject"]
    _no_floats(subject)
    same("the subject's digest", review["subject_digest"], digest_of(subject))
    event = bundle.event("review:submitted", urn("review", review["id"]))
    same("the subject's digest in the log", event["payload"]["subject"], review["subject_digest"])
    same("who submitted it", urn("user", review["submitted_by"]), event["actor"])
    for member, none in (("reinstates", ""), ("environments", [])):
        same(f"what it says of {member}", review.get(member, none), event["payload"].get(member, none))
    same("the model's digest", subject["model"]["digest"], bundle.manifest["subject"]["digest"])
    same("the policy's digest", subject["policy"]["digest"], _policy(bundle, review)["digest"])
    known = {row["digest"] for row in bundle.json("evidence.json")["evidence"]}
    missing = [row["kind"] for row in subject["evidence"] if row["digest"] not in known]
    if missing:
        raise WrongError(f"the evidence that it binds is not in this bundle: {', '.join(missing)}")
    shown = {node["digest"] for node in bundle.json("lineage.json")["nodes"]}
    lost = [row["digest"][:12] for row in subject["data"] if row["digest"] not in shown]
    if lost:
        raise WrongError(f"the lineage does not show the data that it binds: {', '.join(lost)}")


def _check_votes(bundle: Bundle, review: dict[str, Any]) -> None:
    cast = [e for e in bundle.events.get("vote:cast", []) if e["subject"] == urn("review", review["id"])]
    same("the votes", sorted(v["content"]["id"] for v in review["votes"]), sorted(e["payload"]["vote"] for e in cast))
    for vote in review["votes"]:
        content = vote["content"]
        name = f"the vote of {content['printed_name']}"
        event = bundle.event_with("vote:cast", "vote", content["id"])
        same(f"{name}: its digest", vote["digest"], digest_of(content))
        same(f"{name}: its digest in the log", event["payload"]["digest"], vote["digest"])
        same(f"{name}: who cast it", urn("user", content["voter"]), event["actor"])
        same(f"{name}: its review", content["review"], review["id"])
        same(f"{name}: the digest that it binds", content["subject_digest"], review["subject_digest"])
        same(f"{name}: the environments", content.get("environments", []), review.get("environments", []))
        _check_role(bundle, review, content, event["index"])
    voters = [vote["content"]["voter"] for vote in review["votes"]]
    if len(voters) != len(set(voters)):
        raise WrongError("one person voted twice")


def _check_role(bundle: Bundle, review: dict[str, Any], content: dict[str, Any], before: int) -> None:
    """Whoever voted held the role they signed in: granted before, not revoked before, not run out."""
    voter = urn("user", content["voter"])
    revoked = {e["payload"]["grant"] for e in bundle.events.get("role:revoked", []) if e["index"] < before}
    for entry in bundle.events.get("role:granted", []):
        grant, ends = entry["payload"], entry["payload"]["expires"]
        covers = entry["subject"] == voter and grant["role"] == content["role"]
        if not covers or entry["system"] not in (review["system"], "") or entry["index"] > before:
            continue
        if entry["actor"] == voter:
            raise WrongError(f"{content['printed_name']} granted the role {content['role']} to themselves")
        lasted = not ends or datetime.fromisoformat(ends) > datetime.fromisoformat(content["signed_at"])
        if grant["grant"] not in revoked and lasted:
            return
    raise WrongError(f"{content['printed_name']} voted as {content['role']}, but the log grants them no such role")


def _check_approval(bundle: Bundle, review: dict[str, Any]) -> None:
    approval = review["approval"]
    if review.get("reinstates"):
        _check_reinstatement(bundle, review)
        return
    if approval is None:
        if _about(bundle, "review:approved", review):
            raise WrongError("the log says that it was approved, but the approval is missing")
        return
    content, policy = approval["content"], _policy(bundle, review)["content"]
    issued = bundle.event("approval:issued", urn("approval", content["id"]))
    same("the approval's digest", approval["digest"], digest_of(content))
    same("the approval's digest in the log", issued["payload"]["digest"], approval["digest"])
    same("the approval's review", content["review"], review["id"])
    same("the digest that the approval binds", content["subject_digest"], review["subject_digest"])
    same("the environments that it covers", content.get("environments", []), review.get("environments", []))
    _check_conditions(bundle, review)
    length = datetime.fromisoformat(content["valid_until"]) - datetime.fromisoformat(content["issued_at"])
    same("how long the approval holds", length, timedelta(days=policy["validity_days"]))
    _check_complete(bundle, review, issued["index"])
    _check_gates(bundle, review, policy)
    _check_people(bundle, review, policy, issued["index"])
    _check_revocation(bundle, review, approval)


def _check_reinstatement(bundle: Bundle, review: dict[str, Any]) -> None:
    """A suspended approval was reinstated by as many people, over as much evidence, as an approval takes."""
    told = [e for e in bundle.events.get("approval:reinstated", []) if e["payload"]["review"] == review["id"]]
    same("how often it reinstated", len(told), len(_about(bundle, "review:approved", review)))
    for entry in told:
        same("what it reinstated", entry["subject"], urn("approval", review["reinstates"]))
        _check_complete(bundle, review, entry["index"])
        policy = _policy(bundle, review)["content"]
        _check_gates(bundle, review, policy)
        _check_people(bundle, review, policy, entry["index"])


def _check_conditions(bundle: Bundle, review: dict[str, Any]) -> None:
    """The conditions are those that the votes signed, and one that is met was confirmed with a signature."""
    found = review.get("conditions", [])
    signed = [canonical(one) for vote in review["votes"] for one in vote["content"].get("conditions", [])]
    same("the conditions", sorted(canonical(row["signed"]) for row in found), sorted(signed))
    acts = {act["digest"]: act["content"] for act in review["approval"].get("acts", [])}
    for row in (row for row in found if row["state"] == "met"):
        digest = bundle.event("condition:met", urn("condition", row["id"]))["payload"]["act"]
        same("the condition that was confirmed", acts.get(digest, {}).get("condition"), row["id"])


def _check_complete(bundle: Bundle, review: dict[str, Any], before: int) -> None:
    """The review binds every result that stood when it was approved: none, above all no FAIL, was left out."""
    subject = review["subject"]
    about = _names_of(bundle, subject)
    found = [
        entry
        for entry in bundle.events.get("evidence:recorded", [])
        if entry["payload"]["subject"] in about and entry["index"] < before and entry["system"] == review["system"]
    ]
    replaced = {old for entry in found for old in _replaced(bundle, entry, found)}
    bound = {row["digest"] for row in subject["evidence"]}
    left_out = [e["payload"] for e in found if e["subject"] not in replaced and e["payload"]["digest"] not in bound]
    if left_out:
        listed = ", ".join(f"{row['kind']} {row['verdict']} {row['digest'][:12]}…" for row in left_out)
        raise WrongError(f"it was approved with evidence left out that stood at the time: {listed}")


def _names_of(bundle: Bundle, subject: dict[str, Any]) -> set[str]:
    """What the log calls the artifacts that a review is about: by id, in older entries by digest.

    The ids come from the events of the results that the review binds, and from the lineage for artifacts without any.
    """
    digests = {subject["model"]["digest"], *(row["digest"] for row in subject["data"])}
    digests |= {row["subject"] for row in subject["evidence"]}
    bound = {row["digest"] for row in subject["evidence"]}
    recorded = bundle.events.get("evidence:recorded", [])
    names = {entry["payload"]["subject"] for entry in recorded if entry["payload"]["digest"] in bound}
    nodes = [node for node in bundle.json("lineage.json")["nodes"] if node["digest"] in digests]
    return digests | names | {node["id"].rpartition(":")[2] for node in nodes}


def _replaced(bundle: Bundle, new: dict[str, Any], found: list[dict[str, Any]]) -> Iterator[str]:
    """The results that a newer one rightly replaces: the same check on the same subject, a FAIL under its seed only.

    Events from before this was recorded say nothing of it. Of those the bundle's word is taken, but never for a FAIL.
    """
    told = new["payload"]
    if "supersedes" not in told:
        claims = {row["id"]: row["superseded_by"] for row in bundle.json("evidence.json")["evidence"]}
        for old in found:
            newer, was = claims.get(old["subject"].rpartition(":")[2]), old["payload"]
            if newer and urn("evidence", newer) == new["subject"] and was["verdict"] != "fail":
                yield from [old["subject"]] if _same_check(was, told, ("kind", "subject")) else []
        return
    for old in found:
        if old["subject"].rpartition(":")[2] not in told["supersedes"]:
            continue
        was = old["payload"]
        if _same_check(was, told, ("kind", "subject", "basis")) and (
            was["verdict"] != "fail" or was["seed"] == told["seed"]
        ):
            yield old["subject"]


def _same_check(old: dict[str, Any], new: dict[str, Any], members: tuple[str, ...]) -> bool:
    return all(name in old and old[name] == new[name] for name in members)


def _check_gates(bundle: Bundle, review: dict[str, Any], policy: dict[str, Any]) -> None:
    """The policy's rules, judged again over the evidence that the review binds."""
    verdicts = {row["digest"]: row["content"]["verdict"] for row in bundle.json("evidence.json")["evidence"]}
    for rule in policy["evidence"]:
        found = [verdicts[row["digest"]] for row in review["subject"]["evidence"] if row["kind"] == rule["kind"]]
        passed = "pass" in found if rule["subjects"] == "any" else all(verdict == "pass" for verdict in found)
        good = {"exist": bool(found), "pass": bool(found) and passed, "pass-if-present": not found or passed}
        if not good[rule["must"]]:
            raise WrongError(
                f"it was approved although the gate {rule['kind']} did not pass ({', '.join(found) or 'none'})"
            )


def _check_people(bundle: Bundle, review: dict[str, Any], policy: dict[str, Any], issued: int) -> None:
    """Enough different people for each role, no rejection, and no builder among those who count."""
    votes = [vote["content"] for vote in review["votes"]]
    if any(vote["decision"] != "approve" for vote in votes):
        raise WrongError("it was approved although somebody rejected it")
    builders = _builders(bundle, review, issued)
    counted = [vote for vote in votes if urn("user", vote["voter"]) not in builders]
    for step in policy["approvals"]:
        people = {vote["voter"] for vote in counted if vote["role"] == step["role"]}
        if len(people) < step["people"]:
            listed = ", ".join(
                f"{v['printed_name']} {builders[urn('user', v['voter'])]}" for v in votes if v not in counted
            )
            also = f"; does not count: {listed}" if listed else ""
            raise WrongError(f"{len(people)} of {step['people']} independent people signed as {step['role']}{also}")


def _builders(bundle: Bundle, review: dict[str, Any], before: int) -> dict[str, str]:
    """Who had a hand in the model before entry ``before``, from the log, by way of the runs in the lineage."""
    graph = bundle.json("lineage.json")
    version = urn("model-version", bundle.manifest["subject"]["model_version"])
    runs = {urn("run", bundle.event("model-version:registered", version)["payload"]["run"])}
    runs |= {urn("run", node["facts"]["run"]) for node in graph["nodes"] if node["kind"] == "step"}
    runs |= {part["subject"] for part in graph["builders"] if part["kind"] == "ran"}
    specs = {urn("pipeline-version", n["facts"]["pipeline_version"]) for n in graph["nodes"] if n["kind"] == "step"}
    specs |= {part["subject"] for part in graph["builders"] if part["kind"] == "registered"}
    specs |= {spec for run in runs for spec in _specs(bundle, bundle.event("run:created", run))}
    sources: Iterable[tuple[str, str, str]] = (
        *(("run:created", run, "created a run of it") for run in runs),
        *(("pipeline-version:registered", spec, "registered its pipeline") for spec in specs),
        ("model-version:registered", version, "built it"),
        ("review:submitted", urn("review", review["id"]), "submitted it"),
    )
    entries = [(bundle.event(name, subject), text) for name, subject, text in sources]
    retried = [entry for entry in bundle.events.get("run:retried", []) if entry["subject"] in runs]
    entries += [(entry, "retried a run of it") for entry in retried]
    served = {entry["actor"] for entry, _ in entries if entry["index"] < before}
    made = [entry for entry in bundle.events.get("token:created", []) if urn("user", entry["payload"]["for"]) in served]
    entries += [(entry, "made a token for a service that built it") for entry in made if not _own(entry)]
    return {entry["actor"]: text for entry, text in entries if entry["index"] < before}


def _own(entry: dict[str, Any]) -> bool:
    """Whether a token was made by the one it acts for."""
    return bool(entry["actor"] == urn("user", entry["payload"]["for"]))


def _specs(bundle: Bundle, created: dict[str, Any]) -> set[str]:
    """The pipeline version of a run by its digest in the log, whatever the lineage of the bundle shows."""
    digest = created["payload"]["version"]
    found = {
        entry["subject"]
        for entry in bundle.events.get("pipeline-version:registered", [])
        if entry["payload"]["digest"] == digest and entry["system"] == created["system"]
    }
    if not found:
        raise WrongError(f"the log does not say who registered the pipeline {digest[:12]}… that a run of it followed")
    return found


def _check_revocation(bundle: Bundle, review: dict[str, Any], approval: dict[str, Any]) -> None:
    revoked = _about(bundle, "approval:revoked", approval["content"], "approval")
    revocation = approval["revocation"]
    if bool(revoked) != bool(revocation):
        raise WrongError("the log and the bundle do not agree on whether the approval was revoked")
    if revoked:
        same("the revocation's digest", digest_of(revocation), revoked[0]["payload"]["digest"])
    _check_acts(bundle, review, approval)


def _check_acts(bundle: Bundle, review: dict[str, Any], approval: dict[str, Any]) -> None:
    """What people did to the approval is what the log says they signed, and nothing is left out."""
    subject = urn("approval", approval["content"]["id"])
    conditions = {urn("condition", row["id"]) for row in review.get("conditions", [])}
    told = [e for name in sorted(bundle.events) for e in bundle.events[name] if e["subject"] in {subject, *conditions}]
    signed = {e["payload"]["act"]: e for e in told if "act" in e["payload"]}
    acts = approval.get("acts", [])
    same("the acts on the approval", sorted(act["digest"] for act in acts), sorted(signed))
    for act in acts:
        content, name = act["content"], f"the {act['content']['kind']} of {act['content']['printed_name']}"
        same(f"{name}: its digest", act["digest"], digest_of(content))
        same(f"{name}: who did it", urn("user", content["signer"]), signed[act["digest"]]["actor"])
        same(f"{name}: its approval", content["approval"], approval["content"]["id"])
        same(f"{name}: the digest that it binds", content["subject_digest"], approval["content"]["subject_digest"])


def _about(bundle: Bundle, name: str, row: dict[str, Any], noun: str = "review") -> list[dict[str, Any]]:
    return [entry for entry in bundle.events.get(name, []) if entry["subject"] == urn(noun, row["id"])]


def _policy(bundle: Bundle, review: dict[str, Any]) -> dict[str, Any]:
    for row in bundle.json("policy.json")["policies"]:
        if row["id"] == review["policy_version"]:
            return dict(row)
    raise WrongError("its policy is not in this bundle")


def _no_floats(value: Any) -> None:
    if isinstance(value, float):
        raise WrongError("a signed subject holds a fractional number, which it never does")
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _no_floats(item)


def check_statements(bundle: Bundle) -> Iterator[str]:
    """The envelopes of the signatures, against the keys that the log announced."""
    keys = [Key.parse(entry["payload"]["vkey"]) for entry in bundle.events.get("statement-key:announced", [])]
    for content in _signatures(bundle):
        digest = content.get("statement", "")
        if not digest or digest in bundle.manifest["unavailable"]:
            continue
        name, found = f"statements/{digest}.json", f"the statement of {content['printed_name']}"
        wrong = list(_named_by_digest(bundle, name, digest))
        yield from wrong
        if not wrong:
            try:
                _check_statement(_opened(bundle.json(name), keys), content)
            except WrongError as error:
                yield f"{found}: {error}"


def _signatures(bundle: Bundle) -> Iterator[dict[str, Any]]:
    """The content of every vote, and of every act on an approval."""
    for review in bundle.json("decisions.json")["reviews"]:
        acts = review["approval"].get("acts", []) if review["approval"] else []
        yield from (row["content"] for row in [*review["votes"], *acts])


def _opened(envelope: dict[str, Any], keys: Sequence[Key]) -> dict[str, Any]:
    """The statement in a DSSE envelope that one of the keys signed. Raises WrongError."""
    same("the type of the payload", envelope["payloadType"], PAYLOAD_TYPE)
    payload, kind = unbase64(envelope["payload"], "the payload"), PAYLOAD_TYPE.encode()
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    known = {f"{key.name}+{key.id.hex()}": key for key in keys if key.kind == 1}
    signed = [(known[one["keyid"]], one["sig"]) for one in envelope["signatures"] if one["keyid"] in known]
    if not signed:
        raise WrongError("no key that the log announced signed it")
    for key, signature in signed:
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(unbase64(signature, "the signature"), message)
        except (InvalidSignature, ValueError):
            raise WrongError(f"the signature by {key.name} ({key.id.hex()}) does not verify") from None
    statement = parse(payload)
    if canonical(statement).encode() != payload:
        raise WrongError("it is not in canonical form")
    return dict(statement)


def _check_statement(statement: dict[str, Any], content: dict[str, Any]) -> None:
    same("its type", (statement["_type"], statement["predicateType"]), (STATEMENT, PREDICATE))
    said = {name: value for name, value in content.items() if name != "statement"}
    same("what it says", statement["predicate"]["signature"], said)
    bound = {one["digest"]["sha256"] for one in statement["subject"] if one["name"] == "review-subject"}
    same("the digest that it binds", bound, {content["subject_digest"]})


# ------------------------------------------------------------------------------------------------------ the report


def verify(bundle: Bundle) -> tuple[list[str], list[str]]:
    """``(lines of the report, what is wrong)``."""
    checks: list[tuple[str, Callable[[Bundle], Iterator[str]]]] = [
        ("files", check_files),
        ("signature", check_signature),
        ("log", check_log),
        ("export", check_export),
        ("evidence", check_evidence),
        ("decisions", check_decisions),
        ("statements", check_statements),
    ]
    lines: list[str] = []
    wrong: list[str] = []
    for name, check in checks:
        found: list[str] = []
        try:
            found.extend(check(bundle))
        except WrongError as error:
            found.append(str(error))
        except Exception as error:  # whatever cannot be read is not verified
            found.append(f"cannot be read ({type(error).__name__}: {_short(error)})")
        lines.extend(f"WRONG  {name}: {text}" for text in found)
        lines.extend([] if found else [f"ok     {name}: {_summary(bundle, name)}"])
        wrong.extend(found)
    return lines, wrong


def _summary(bundle: Bundle, name: str) -> str:
    manifest, signed = bundle.manifest, bundle.checkpoint
    if name == "files":
        return f"{len(manifest['files'])} files have the digests of the manifest"
    if name == "signature" and signed is not None:
        return f"{signed.origin} signed {signed.size} entries with " + ", ".join(
            f"{key.name} {key.id.hex()}" for key in signed.signed_by
        )
    if name == "log" and signed is not None:
        return f"{signed.size} entries ({signed.size - len(bundle.hidden)} shown) give the root {signed.root.hex()}"
    if name == "export":
        about, asked = manifest["subject"], manifest["requested_by"]["name"]
        return f"{about['model']} v{about['number']} of {about['system']}, asked for by {asked}"
    if name == "evidence":
        return f"{len(bundle.json('evidence.json')['evidence'])} results recomputed and found in the log"
    return _summary_of_signatures(bundle, name)


def _summary_of_signatures(bundle: Bundle, name: str) -> str:
    if name == "statements":
        stated = [bool(content.get("statement")) for content in _signatures(bundle)]
        return f"{sum(stated)} of {len(stated)} signatures have a statement, and it says what they say"
    reviews = bundle.json("decisions.json")["reviews"]
    return f"{len(reviews)} reviews, {sum(len(r['votes']) for r in reviews)} votes recomputed and found in the log"


def _notes(bundle: Bundle) -> Iterator[str]:
    """What is not wrong and has to be known."""
    if bundle.hidden:
        yield (
            f"{len(bundle.hidden)} entries of the log are hidden ({_ranges(bundle.hidden)}); that none of them is a "
            "vote or a revocation of this model is shown only by an export that hides nothing (--whole)"
        )
    if bundle.withheld:
        yield f"{bundle.withheld} entries shown commit to personal values, which no bundle holds"
    later = [entry for entry in bundle.later if entry["event"].startswith(DECISIONS)]
    if later:
        names = ", ".join(sorted({entry["event"] for entry in later}))
        yield f"after this export the log has {len(later)} more decisions of the systems shown ({names})"
    if bundle.cosigners and bundle.checkpoint and bundle.cosigned and bundle.cosigned.size < bundle.checkpoint.size:
        yield f"witnesses saw the first {bundle.cosigned.size} entries; those after are signed by the log alone"
    if not bundle.cosigners and not set(bundle.kept) - {COSIGNED}:
        yield (
            "that this log is the one that others saw is not shown; give a checkpoint that was kept (--checkpoint) or "
            "the key of a witness (--witness)"
        )


def verify_receipt(text: str, trust: Trust) -> str:
    """Check a receipt (C2SP tlog-proof) whose extra line is the entry; returns what it proves. Raises WrongError."""
    head, empty, note = text.partition("\n\n")
    match = re.fullmatch(
        rf"{re.escape(RECEIPT)}\nextra ([A-Za-z0-9+/=]+)\nindex (0|[1-9][0-9]{{0,18}})((?:\n[A-Za-z0-9+/=]+){{0,63}})",
        head,
    )
    if not empty or match is None:
        raise WrongError("it is no receipt with its entry in the extra line")
    entry, index = unbase64(match[1], "extra"), int(match[2])
    proof = [unbase64(line, "a hash of the proof") for line in match[3].split("\n")[1:]]
    signed = open_checkpoint(note.encode(), [*trust.keys, *trust.witnesses])
    cosigners = {key for key in signed.signed_by if key in trust.witnesses}
    if len(cosigners) < trust.quorum:
        raise WrongError(f"{len(cosigners)} of the {trust.quorum} witnesses that are needed cosigned the checkpoint")
    if root_from_proof(leaf_hash(entry), index, signed.size, proof) != signed.root:
        raise WrongError(f"the entry is not number {index} of the log that was signed")
    return f"entry {index} of {signed.size} of {signed.origin}: {entry.decode(errors='replace')}"


def main(arguments: list[str] | None = None) -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description="Verify a Countersign export or receipt offline.")
    parser.add_argument(
        "bundle", nargs="?", default=str(Path(__file__).parent), help="ZIP, folder (default: here), receipt"
    )
    parser.add_argument("--key", action="append", default=[], metavar="VKEY", help="the log's verifier key")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="a witness's verifier key")
    parser.add_argument("--quorum", type=int, default=0, help="how many of the witnesses must have cosigned")
    parser.add_argument("--checkpoint", action="append", default=[], metavar="FILE", help="a checkpoint that was kept")
    parser.add_argument("--whole", action="store_true", help="hidden entries are an error")
    given = parser.parse_args(arguments)
    write, path = sys.stdout.write, Path(given.bundle)
    try:
        keys, witnesses = ([Key.parse(text) for text in texts] for texts in (given.key, given.witness))
        kept = {name: Path(name).read_bytes() for name in given.checkpoint}
        trust = Trust(keys, witnesses, given.quorum, kept, given.whole)
        if path.is_file() and path.read_bytes()[: len(RECEIPT)] == RECEIPT.encode():
            write(f"ok     {verify_receipt(path.read_text(), trust)}\nVERIFIED\n")
            return 0
        bundle = Bundle(Folder(path) if path.is_dir() else Zip(path), trust)
        lines, wrong = verify(bundle)
    except WrongError as wrong_one:
        write(f"WRONG  {wrong_one}\nNOT VERIFIED\n")
        return 1
    except Exception as error:  # a cut ZIP, no manifest, no such file
        write(f"WRONG  bundle: cannot be read ({type(error).__name__}: {_short(error)})\nNOT VERIFIED\n")
        return 1
    write("".join(f"{line}\n" for line in [*lines, *(f"note   {text}" for text in _notes(bundle))]))
    if wrong:
        write(f"NOT VERIFIED: {len(wrong)} found\n")
        return 1
    if not trust.keys:
        names = " and ".join(f"{key.name} {key.id.hex()}" for key in bundle.keys if key.kind == 1)
        write(
            "AGREES WITH ITSELF, but who signed it is not shown: give the log's key with --key; "
            f"it claims to be {names}\n"
        )
        return 2
    write("VERIFIED\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
