"""Every signature has a signed statement that says the same, and nobody can part or change the two."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.db import DatabaseError, connection, transaction
from securesystemslib.dsse import Envelope as OracleEnvelope
from securesystemslib.signer import SSlibKey

from governance import records
from governance.meanings import MEANINGS, meaning
from governance.models import Approval, Decision, GrantAct, Vote
from governance.selectors.people import ACTION_OF_ROLE
from governance.services.reviews import revoke
from security.canonical import digest_of, sha256
from security.errors import InvalidError, UnavailableError
from security.log.models import AuditEvent
from security.log.notes import Verifier
from security.signing import dsse, statements
from security.vault import services as vault
from tests.support.bundles import changed, export, files_of, remade, run_verify, unpack
from tests.support.people import PASSWORD
from tests.support.reviews import sign


def announced() -> Verifier:
    """The key as the audit log has it."""
    event = AuditEvent.objects.get(event="statement-key:announced")
    return Verifier.parse(json.loads(event.entry)["payload"]["vkey"])


def statement_of(row: Vote | GrantAct) -> dict:
    """The statement, its envelope verified by securesystemslib with the key from the log."""
    envelope = json.loads(vault.read(row.statement))
    public = Ed25519PublicKey.from_public_bytes(announced().public)
    OracleEnvelope.from_dict(envelope).verify([SSlibKey.from_crypto(public, keyid=dsse.keyid(announced()))], 1)
    return statements.parse(dsse.Envelope.parse(vault.read(row.statement)).payload, statements.SIGNATURE)


def test_every_role_and_decision_has_a_meaning():
    assert {(decision, role) for decision in Decision.values for role in ACTION_OF_ROLE} < set(MEANINGS)
    with pytest.raises(InvalidError, match="has no meaning"):
        meaning("approve", "auditor")


@pytest.mark.parametrize("decision", Decision.values)
def test_a_vote_has_a_statement_of_exactly_what_was_signed(people, review, decision):
    vote = sign(people.validator, review, decision)
    found = statement_of(vote)
    said = found["predicate"]["signature"]
    content = records.vote_content(vote)
    assert said == {name: value for name, value in content.items() if name != "statement"}
    assert said["meaning"] == vote.meaning == MEANINGS[decision, "validator"]
    assert content["statement"] == vote.statement.digest == sha256(vault.read(vote.statement))
    assert vote.digest == digest_of(content)
    bound = {one["name"]: one["digest"]["sha256"] for one in found["subject"]}
    assert bound["review-subject"] == review.subject_digest
    assert bound["model/tiny/v1"] == review.model_version.artifact.digest
    assert {row["digest"] for row in review.subject["evidence"]} <= {
        one["digest"]["sha256"] for one in found["subject"]
    }


def test_a_revocation_is_signed_too(people, approved):
    approval = Approval.objects.get()
    revoke(acting_user=people.validator, approval=approval, reason="It drifts.", password=PASSWORD)
    act = GrantAct.objects.get()
    assert statement_of(act)["predicate"]["signature"]["reason"] == "It drifts."
    event = AuditEvent.objects.get(event="approval:revoked")
    assert json.loads(event.entry)["payload"]["act"] == act.digest == records.act_digest(act)


def test_the_key_is_announced_once_and_kept_private(people, approved, settings):
    assert announced().name.endswith("/statements")
    path = Path(settings.STATEMENT_KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert Verifier.parse(path.with_name(path.name + ".pub").read_text()) == announced()


def test_without_a_key_that_is_private_nothing_is_signed(people, review, settings, tmp_path):
    settings.STATEMENT_KEY = tmp_path / "statement_key"
    settings.STATEMENT_KEY.write_text("anybody reads this")
    settings.STATEMENT_KEY.chmod(0o644)
    with pytest.raises(UnavailableError, match=r"can be read by others.*nothing was signed"):
        sign(people.validator, review)
    assert not Vote.objects.exists()
    assert not AuditEvent.objects.filter(event="vote:cast").exists()


@pytest.mark.parametrize("statement", ["UPDATE {} SET reason = 'x'", "DELETE FROM {}"])
def test_the_database_refuses_to_change_an_act(people, approved, statement):
    revoke(acting_user=people.validator, approval=Approval.objects.get(), reason="It drifts.", password=PASSWORD)
    with pytest.raises(DatabaseError, match="insert-only"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement.format("governance_grantact"))


# -------------------------------------------------------------------------------------------------------- in a bundle


@pytest.fixture
def files(people, approved) -> dict[str, bytes]:
    revoke(acting_user=people.validator, approval=Approval.objects.get(), reason="It drifts.", password=PASSWORD)
    return files_of(export(people.auditor, approved))


def checked(files: dict[str, bytes], folder: Path) -> str:
    """What the verifier says of a bundle that was changed and put together again."""
    result = run_verify(unpack(remade(files), folder))
    assert result.returncode == 1, result.stdout
    return result.stdout


def test_a_bundle_carries_the_statements_and_the_verifier_checks_them(files, tmp_path):
    result = run_verify(unpack(files, tmp_path / "bundle"))
    assert result.returncode == 0, result.stdout
    assert "3 of 3 signatures have a statement" in result.stdout


def test_a_flipped_byte_in_an_envelope_is_found(files, tmp_path):
    name = next(name for name in files if name.startswith("statements/"))
    at = files[name].index(b"payload") + 40
    flipped = files[name][:at] + bytes([files[name][at] ^ 1]) + files[name][at + 1 :]
    assert "does not have the digest that it is named by" in checked({**files, name: flipped}, tmp_path / "bundle")


def test_the_statement_of_another_is_found(files, tmp_path):
    """Even where the vote's digest is not looked at: a signature cannot be moved to another record."""
    first, second = sorted(name for name in files if name.startswith("statements/"))[:2]

    def swap(document):
        for review in document["reviews"]:
            for row in [*review["votes"], *review["approval"]["acts"]]:
                if row["content"]["statement"] in first:
                    row["content"]["statement"] = Path(second).stem

    said = checked(changed(files, "decisions.json", swap), tmp_path / "bundle")
    assert "WRONG  statements: the statement of" in said
    assert "what it says is" in said


def test_a_missing_envelope_is_found(files, tmp_path):
    name = next(name for name in files if name.startswith("statements/"))
    rest = {key: content for key, content in files.items() if key != name}
    assert f"{name} is missing" in checked(rest, tmp_path / "bundle")


def test_an_envelope_by_a_key_that_the_log_does_not_announce_is_found(people, approved, tmp_path, monkeypatch):
    monkeypatch.setattr("governance.exports._keys_of_statements", frozenset)
    result = run_verify(unpack(files_of(export(people.auditor, approved)), tmp_path / "bundle"))
    assert "no key that the log announced signed it" in result.stdout
    assert result.returncode == 1


def test_an_act_that_is_left_out_is_found(files, tmp_path):
    def leave_out(document):
        document["reviews"][0]["approval"]["acts"] = []

    assert "the acts on the approval" in checked(changed(files, "decisions.json", leave_out), tmp_path / "bundle")
