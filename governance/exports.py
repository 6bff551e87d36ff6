"""One ZIP that proves a model version's history to somebody who trusts nobody, this server included.

It holds lineage, evidence, decisions, policies, pipeline specifications and the whole audit log, with a manifest of
SHA-256 digests and a script that checks all of it offline (``governance/offline/verify_export.py``).
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from governance import lineage, records
from governance.models import Approval, PolicyVersion, Review, Vote
from governance.selectors import evidence, people
from governance.selectors.evidence import MODEL_VERSION_RELATED
from pipelines.models import Evidence, ModelVersion, PipelineVersion
from pipelines.selectors.lineage import Lineage
from security.access import selectors as access
from security.access.models import AISystem
from security.access.table import Action
from security.canonical import canonical_json, urn
from security.errors import MissingError, UnavailableError
from security.identity.models import User
from security.log import keys as log_keys
from security.log import published, sequencer
from security.log import selectors as log
from security.log.events import Event
from security.log.models import AuditEvent, Leaf
from security.log.services import record, timestamp
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.stream import DamagedError

FORMAT = "countersign-bundle@2"
VERIFIER = Path(__file__).parent / "offline" / "verify_export.py"
_DEPTH = 1000
_READINGS = 5
_PIECE_BYTES = 256 * 1024

README = """Countersign: {model} v{number} of {system}
{rule}

Made on {time} for {name}.
Everything here can be checked without the server that made it:

    python verify_export.py --key VKEY         (in this folder; Python 3.11 or newer with the package cryptography)

VKEY is the verifier key of the log, which you noted when you were told it: not from this bundle.

manifest.json    SHA-256 of every file, who asked and when
checkpoint       size and Merkle root of the audit log, signed by its key (C2SP tlog-checkpoint)
cosigned         the newest such checkpoint that witnesses cosigned, where there is one
log.vkey         the key that the log says it has; compare it with the one you noted
lineage.json     source files, data sets, steps, model, evidence, reviews, votes, approval; who built what
evidence.json    every result of every check, with the content that its digest is the digest of
reports/         the reports of those checks, named by their SHA-256
statements/      every signature as a DSSE envelope around an in-toto statement, named by its SHA-256
decisions.json   what was submitted, what each vote binds, what was issued or revoked
policy.json      the policies that were applied
pipelines/       the specifications that were run, named by their SHA-256
log.jsonl        the whole audit log in order; events of systems that {name} may not see are leaf hashes only,
                 except the roles of the people who voted here; values that an entry only commits to, and that may
                 have to be erased, stay on the server
verify_export.py the check; take it from a release that you trust if you do not trust this file
"""


@dataclass
class _Manifest:
    """What is said about the bundle, completed file by file."""

    head: dict[str, Any]
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    unavailable: list[str] = field(default_factory=list)

    def content(self) -> dict[str, Any]:
        return {**self.head, "files": self.files, "unavailable": self.unavailable}


@dataclass(frozen=True)
class _Contents:
    """All that was read in the transaction of the export; the log and what the vault holds are streamed later."""

    manifest: _Manifest
    documents: dict[str, bytes]
    stored: dict[str, Artifact]
    visible: frozenset[str]
    also: frozenset[int]
    size: int
    made_at: datetime


def model_bundle(*, acting_user: User, model_version: ModelVersion) -> Iterator[bytes]:
    """The bundle of one model version, piece by piece.

    Access, the audit event and everything that can fail for the person happen in this call, before the first byte.
    Nothing is numbered by others until all is read, and what is committed meanwhile makes it read again, so that
    documents and log show one moment. Raises DeniedError, MissingError, UnavailableError.
    """
    version = ModelVersion.objects.select_related(*MODEL_VERSION_RELATED).get(pk=model_version.pk)
    system = version.model.system
    if not access.allowed(acting_user, Action.VIEW, system):
        raise MissingError("There is no such model version, or you have no role in its system.")
    access.require(acting_user, Action.EXPORT, system)
    with transaction.atomic():
        event = record(
            Event.EXPORT_CREATED,
            acting_user=acting_user,
            subject=urn("model-version", version.pk),
            system=system.slug,
            payload={"digest": version.artifact.digest},
        )
        if event is None:
            raise RuntimeError("an export cannot be part of another transaction's batch of events")
        contents = _at_one_moment(acting_user, version, event)
    return _stream(contents)


def bundle_name(model_version: ModelVersion) -> str:
    """A file name for the bundle."""
    model = model_version.model
    return f"countersign-{model.system.slug}-{model.name}-v{model_version.number}.zip"


def _at_one_moment(acting_user: User, version: ModelVersion, event: AuditEvent) -> _Contents:
    """Documents and log of the same moment: the log is numbered up to this export, and all is read again if
    somebody committed an event of this system in between."""
    for _ in range(_READINGS):
        sequencer.number_all()
        contents = _gather(acting_user, version, event, timezone.now())
        if not log.waits(system=version.model.system.slug):
            return contents
    raise UnavailableError("So much happens in this system that no moment could be read; try again in a minute.")


def _gather(acting_user: User, version: ModelVersion, event: AuditEvent, now: datetime) -> _Contents:
    model, signed = version.model, published.newest()
    own = Leaf.objects.get(event_id=event.pk).index
    found = evidence.found(version)
    rows = list(
        Evidence.objects.filter(subject__in=found.ancestry.artifacts)
        .select_related("subject", "report", "step_run")
        .order_by("created_at")
    )
    graph = lineage.graph(version.artifact, "up", _DEPTH)
    reports = {row.report.digest: row.report for row in rows if row.report is not None}
    if version.training_report is not None:
        reports[version.training_report.digest] = version.training_report
    about = {"system": model.system.slug, "model": model.name, "number": version.number}
    manifest = _Manifest(
        {
            "format": FORMAT,
            "created_at": timestamp(now),
            "requested_by": {"id": str(acting_user.pk), "name": acting_user.full_name},
            "subject": {**about, "model_version": str(version.pk), "digest": version.artifact.digest},
            "log": {"origin": signed.checkpoint.origin, "size": signed.checkpoint.size, "export": own},
        }
    )
    title = README.format(**about, rule="=" * 60, time=timestamp(now), name=acting_user.full_name)
    documents = {
        "README.txt": title.encode(),
        "verify_export.py": VERIFIER.read_bytes(),
        **_signatures(signed),
        "lineage.json": _json({**graph.as_json(), "builders": _builders(version)}),
        "evidence.json": _json({"evidence": [_evidence(row) for row in rows]}),
        **_decisions(version),
        **_pipelines(graph),
    }
    also, size = _roles_of_voters(version) | _keys_of_statements(), signed.checkpoint.size
    named = {f"reports/{digest}.json": report for digest, report in reports.items()} | _statements(version)
    return _Contents(manifest, documents, named, _visible(acting_user), also, size, now)


def _signatures(signed: published.Published) -> dict[str, bytes]:
    """The checkpoint of the log as it is exported, the newest one that witnesses cosigned, and the log's keys."""
    documents = {
        "checkpoint": signed.note.encode(),
        "log.vkey": "".join(f"{key.vkey()}\n" for key in log_keys.verifiers()).encode(),
    }
    cosigned = published.cosigned()
    return documents if cosigned is None else {**documents, "cosigned": cosigned.note.encode()}


def _roles_of_voters(version: ModelVersion) -> frozenset[int]:
    """Numbers of the events that gave or took roles of the people who voted, whatever system they belong to."""
    voters = Vote.objects.filter(review__model_version=version).values_list("voter_id", flat=True)
    subjects = {urn("user", voter) for voter in voters}
    roles = AuditEvent.objects.filter(event__in=(Event.ROLE_GRANTED, Event.ROLE_REVOKED), subject__in=subjects)
    return frozenset(index for index in roles.values_list("leaf__index", flat=True) if index is not None)


def _keys_of_statements() -> frozenset[int]:
    """Numbers of the events that announced the keys which sign statements; they belong to no system."""
    announced = AuditEvent.objects.filter(event=Event.STATEMENT_KEY_ANNOUNCED)
    return frozenset(index for index in announced.values_list("leaf__index", flat=True) if index is not None)


def _statements(version: ModelVersion) -> dict[str, Artifact]:
    """The envelopes of every signature on the version, by their names in the bundle."""
    of_votes = Q(votes__review__model_version=version)
    found = Artifact.objects.filter(of_votes | Q(grantacts__approval__model_version=version)).distinct()
    return {f"statements/{artifact.digest}.json": artifact for artifact in found}


def _evidence(row: Evidence) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "digest": row.digest,
        "content": evidence.content_of(row),
        "summary": row.summary,
        "created_at": timestamp(row.created_at),
        "superseded_by": str(row.superseded_by_id or ""),
    }


def _builders(version: ModelVersion) -> list[dict[str, Any]]:
    parts = people.parts_of([version])[version.pk]
    names = dict(User.objects.filter(pk__in={part.user for part in parts}).values_list("pk", "full_name"))
    return [
        {
            "user": str(part.user),
            "name": names[part.user],
            "kind": part.kind,
            "subject": urn(*part.subject),
            "at": timestamp(part.at),
            "text": part.text,
        }
        for part in parts
    ]


def _decisions(version: ModelVersion) -> dict[str, bytes]:
    reviews = list(
        Review.objects.filter(model_version=version)
        .select_related("system", "policy_version", "approval")
        .prefetch_related("votes__statement", "conditions", "approval__acts__statement")
        .order_by("submitted_at")
    )
    policies = {review.policy_version_id: review.policy_version for review in reviews}
    return {
        "decisions.json": _json({"reviews": [_review(review) for review in reviews]}),
        "policy.json": _json({"policies": [_policy(row) for row in policies.values()]}),
    }


def _review(review: Review) -> dict[str, Any]:
    votes = [{"content": records.vote_content(vote), "digest": vote.digest} for vote in review.votes.all()]
    approval: Approval | None = getattr(review, "approval", None)
    return {
        **records.review_content(review),
        "votes": votes,
        "conditions": [records.condition_content(one) for one in review.conditions.all()],
        "approval": _approval(approval) if approval else None,
    }


def _approval(approval: Approval) -> dict[str, Any]:
    content = records.approval_content(approval)
    revocation = records.revocation_content(approval) if approval.revoked_at else None
    acts = [{"content": records.act_content(act), "digest": act.digest} for act in approval.acts.all()]
    return {"content": content, "digest": records.approval_digest(approval), "revocation": revocation, "acts": acts}


def _policy(row: PolicyVersion) -> dict[str, Any]:
    return {
        "id": str(row.pk),
        "tier": row.tier,
        "number": row.number,
        "digest": row.digest,
        "published_at": timestamp(row.published_at),
        "content": row.content,
    }


def _pipelines(graph: Lineage) -> dict[str, bytes]:
    """The specifications of every run in the lineage."""
    keys = {node.facts["pipeline_version"] for node in graph.nodes if node.kind == "step"}
    found = PipelineVersion.objects.filter(pk__in=keys).values_list("digest", "canonical")
    return {f"pipelines/{digest}.json": canonical.encode() for digest, canonical in found}


def _visible(user: User) -> frozenset[str]:
    """The systems whose events the person may read; the empty name stands for what belongs to no system."""
    slugs = access.visible(user, Action.VIEW_LOG, AISystem.objects.all()).values_list("slug", flat=True)
    return frozenset(slugs) | ({""} if access.allowed(user, Action.VIEW_LOG) else frozenset())


def _log_lines(contents: _Contents) -> Iterator[bytes]:
    for index, entry, system, leaf in log.entries(0, contents.size):
        line: dict[str, Any] = {"index": index, "leaf": leaf.hex()}
        if system in contents.visible or index in contents.also:
            line["entry"] = entry
        yield json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _stream(contents: _Contents) -> Iterator[bytes]:
    """The ZIP, written to a sink that is emptied as it fills; the manifest comes last."""
    sink = _Sink()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, pieces in _files(contents):
            digest, size = hashlib.sha256(), 0
            with archive.open(_entry(name, contents.made_at), "w", force_zip64=True) as file:
                for piece in pieces:
                    file.write(piece)
                    digest.update(piece)
                    size += len(piece)
                    if sink.filled > _PIECE_BYTES:
                        yield sink.take()
            contents.manifest.files[name] = {"sha256": digest.hexdigest(), "bytes": size}
        archive.writestr(_entry("manifest.json", contents.made_at), _json(contents.manifest.content()))
    yield sink.take()


def _files(contents: _Contents) -> Iterator[tuple[str, Iterable[bytes]]]:
    for name, content in contents.documents.items():
        yield name, [content]
    for name, artifact in contents.stored.items():
        try:
            yield name, [vault.read(artifact)]
        except (DamagedError, UnavailableError, ValueError):
            contents.manifest.unavailable.append(artifact.digest)
    yield "log.jsonl", _log_lines(contents)


def _entry(name: str, made_at: datetime) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, made_at.timetuple()[:6])
    info.compress_type, info.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
    return info


def _json(value: Any) -> bytes:
    return canonical_json(value)


class _Sink(io.RawIOBase):
    """Keeps what the ZIP writer wrote until it is taken; cannot seek, so the writer does not try to."""

    def __init__(self) -> None:
        super().__init__()
        self._pieces: list[bytes] = []
        self.filled = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        piece = bytes(data)
        self._pieces.append(piece)
        self.filled += len(piece)
        return len(piece)

    def take(self) -> bytes:
        """Everything written since the last time."""
        taken = b"".join(self._pieces)
        self._pieces, self.filled = [], 0
        return taken
