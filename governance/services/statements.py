"""The statement of a signature: signed by the server's key, kept in the vault, bound by the digest of the signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from django.utils import timezone

from governance import records
from governance.meanings import meaning
from governance.models import GrantAct, Review, Vote
from governance.services.signing import Proven
from security.identity.models import User
from security.log.services import timestamp
from security.signing import dsse, keys, statements
from security.vault import services as vault


def sign_vote(vote: Vote, *, acting_user: User) -> None:
    """Give a vote its statement and its digest, and store it, in the caller's transaction. Raises UnavailableError."""
    _state(vote, vote.review, records.vote_content(vote), acting_user)
    vote.digest = records.vote_digest(vote)
    vote.save(force_insert=True)


def signed_act(act: GrantAct, *, acting_user: User, proven: Proven) -> GrantAct:
    """An act on an approval (its kind, reason and condition given) as this person signs it now, stored likewise."""
    act.signer, act.printed_name, act.meaning = acting_user, acting_user.full_name, meaning(act.kind)
    act.subject_digest, act.signed_at = act.approval.subject_digest, timezone.now()
    act.reauthenticated_at, act.method = proven.at, proven.method
    _state(act, act.approval.review, records.act_content(act), acting_user)
    act.digest = records.act_digest(act)
    act.save(force_insert=True)
    return act


def _state(row: Vote | GrantAct, review: Review, content: Mapping[str, Any], acting_user: User) -> None:
    noun = "vote" if isinstance(row, Vote) else "grant-act"
    predicate = {"kind": noun, "system": review.system.slug, "signature": content, "at": timestamp(row.signed_at)}
    payload = statements.build(_subjects(review), statements.SIGNATURE, predicate)
    envelope = dsse.sign(payload, statements.PAYLOAD_TYPE, keys.signer()).to_bytes()
    stored = vault.put([envelope])
    row.statement = vault.keep(stored, acting_user=acting_user, system=review.system, media_type=dsse.MEDIA_TYPE)


def _subjects(review: Review) -> Iterator[tuple[str, str]]:
    """Everything that the subject of a review names, and that subject itself."""
    subject = review.subject
    yield "review-subject", review.subject_digest
    yield f"model/{subject['model']['name']}/v{subject['model']['number']}", subject["model"]["digest"]
    yield f"policy/{subject['policy']['tier']}", subject["policy"]["digest"]
    for row in subject["data"]:
        yield f"data/{row['kind']}", row["digest"]
    for row in subject["evidence"]:
        yield f"evidence/{row['kind']}", row["digest"]
