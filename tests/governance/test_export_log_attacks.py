"""Attacks on the log in an export: by whoever can change files, by whoever has another key, and by the operator.

The operator holds the database and the log's key, so what they sign verifies; a checkpoint that somebody kept convicts.
"""

from __future__ import annotations

import json

import pytest

from governance.models import Approval
from governance.services.reviews import revoke
from security.log import keys, notes
from security.log import selectors as log
from tests.support.attackers import write
from tests.support.bundles import (
    event_lines,
    export,
    files_of,
    lines,
    remade,
    run_verify,
    signed,
    unpack,
    with_entry,
    with_lines,
)
from tests.support.people import PASSWORD


@pytest.fixture
def files(people, approved):
    write(5, system="other")
    return files_of(export(people.auditor, approved))


@pytest.fixture
def check(tmp_path):
    """Runs the verifier over changed files, their manifest made to fit."""

    def run(changed, *arguments, **options):
        folder = tmp_path / f"bundle-{len(list(tmp_path.iterdir()))}"
        return run_verify(unpack(remade(changed), folder), *arguments, **options)

    return run


@pytest.fixture
def keep(tmp_path):
    """Keeps the checkpoint of some files; returns the arguments that tell the verifier of it."""

    def write_it(note):
        path = tmp_path / f"kept-{len(list(tmp_path.iterdir()))}"
        path.write_bytes(note)
        return ("--checkpoint", str(path))

    return write_it


def refused(result, *words):
    assert result.returncode == 1, result.stdout
    assert result.stdout.endswith("found\n")
    for word in words:
        assert word in result.stdout, result.stdout


def test_the_files_as_they_are_verify_with_and_without_a_kept_checkpoint(files, check, keep):
    for arguments in ((), keep(files["checkpoint"])):
        result = check(files, *arguments)
        assert result.returncode == 0, result.stdout
    assert "is not shown" not in result.stdout


# ------------------------------------------------------------------------------------------------- without any key


def test_an_edited_event_is_caught_at_its_place(files, check):
    rows = lines(files)
    at = event_lines(rows, "vote:cast")[0]
    rows[at]["entry"] = rows[at]["entry"].replace('"decision":"approve"', '"decision":"reject"')
    refused(check(with_lines(files, rows)), f"entry {at} of the log was changed: it does not give its leaf hash")


def test_an_edited_event_with_its_hash_made_to_fit_is_caught_by_the_root(files, check):
    rows = lines(files)
    at = event_lines(rows, "vote:cast")[0]
    rows[at] = with_entry(rows[at], lambda entry: entry["payload"].update(decision="reject"))
    refused(check(with_lines(files, rows)), "do not give the root that was signed")


def test_a_changed_hidden_leaf_is_caught(files, check):
    rows = lines(files)
    next(row for row in rows if "entry" not in row)["leaf"] = "0" * 64
    refused(check(with_lines(files, rows)), "do not give the root that was signed")


@pytest.mark.parametrize("renumber", [False, True])
def test_a_removed_event_is_caught(files, check, renumber):
    rows = lines(files)
    del rows[event_lines(rows, "vote:cast")[0]]
    if renumber:
        rows = [{**row, "index": at} for at, row in enumerate(rows)]
    refused(check(with_lines(files, rows)), "log: the number of entries" if renumber else "log: the index of line")


def test_a_removed_event_with_another_in_its_place_is_caught(files, check):
    rows = lines(files)
    at = event_lines(rows, "vote:cast")[0]
    rows[at] = {**rows[at - 1], "index": at}
    refused(check(with_lines(files, rows)), "do not give the root that was signed")


@pytest.mark.parametrize("renumber", [False, True])
def test_a_reordered_pair_is_caught(files, check, renumber):
    rows = lines(files)
    one, other = event_lines(rows, "vote:cast")[:2]
    rows[one], rows[other] = rows[other], rows[one]
    if renumber:
        rows = [{**row, "index": at} for at, row in enumerate(rows)]
    refused(check(with_lines(files, rows)), "do not give the root" if renumber else "log: the index of line")


def test_a_cut_log_is_caught(files, check):
    refused(check(with_lines(files, lines(files)[:-1])), "the number of entries")


def test_an_event_that_was_hidden_afterwards_leaves_its_decision_without_one(files, check):
    rows = lines(files)
    at = event_lines(rows, "vote:cast")[0]
    del rows[at]["entry"]
    refused(check(with_lines(files, rows)), "decisions: ")


def test_an_edited_checkpoint_is_caught(files, check):
    changed = {**files, "checkpoint": files["checkpoint"].replace(b"\n", b"\nx", 1)}
    refused(check(changed), "signature: ", "does not verify")


# ---------------------------------------------------------------------------------------------- with another key


def test_a_checkpoint_signed_again_with_another_key_of_the_same_name_is_caught(files, check):
    """The whole log rewritten, every file made to fit, the key in the bundle exchanged as well."""
    rows = lines(files)
    at = event_lines(rows, "vote:cast")[0]
    rows[at] = with_entry(rows[at], lambda entry: entry["payload"].update(reason="forged"))
    thief = notes.Signer.generate(keys.verifiers()[0].name)
    forged = {**signed(files, rows, thief), "log.vkey": f"{thief.verifier().vkey()}\n".encode()}
    refused(check(forged), "is not signed by the log's key")
    told_nothing = check(forged, key=None)
    assert (told_nothing.returncode, "VERIFIED" in told_nothing.stdout) == (2, False)
    assert f"{thief.verifier().key_id:08x}" in told_nothing.stdout


def test_an_honest_log_signed_again_with_another_key_is_caught(files, check):
    thief = notes.Signer.generate(keys.verifiers()[0].name)
    refused(check(signed(files, lines(files), thief)), "is not signed by the log's key")


def test_the_checkpoint_of_another_log_is_caught(files, check):
    other = notes.Signer.generate("other.example/log")
    forged = signed(files, lines(files), other)
    refused(check(forged), "other.example/log is not signed by the log's key")
    refused(check(forged, key=other.verifier().vkey()), "the origin of the log")


# ------------------------------------------------------------------------------------------------ with the log's key


def rewritten(files):
    """The operator's own version: an event changed, everything made to fit and signed with the real key."""
    rows = lines(files)
    at = event_lines(rows, "user:created", "system:created", "role:granted", "run:created")[0]
    rows[at] = with_entry(rows[at], lambda entry: entry["payload"].update(changed=True))
    return signed(files, rows)


def test_a_fork_is_caught_by_a_checkpoint_of_the_same_size(files, check, keep):
    forged = rewritten(files)
    assert check(forged).returncode == 0  # alone it cannot be told, and the report says so
    assert "that this log is the one that others saw is not shown" in check(forged).stdout
    refused(check(forged, *keep(files["checkpoint"])), "forked: two signed checkpoints of the same size")


def test_a_rewritten_log_is_caught_by_an_earlier_checkpoint(people, approved, check, keep):
    kept = keep(log.latest().note.encode())
    write(20)
    later = files_of(export(people.auditor, approved))
    assert check(later, *kept).returncode == 0
    refused(check(rewritten(later), *kept), "rewritten: its first")


def test_a_rolled_back_log_is_caught_by_a_later_checkpoint(people, approved, files, check, keep):
    write(3)
    kept = keep(log.latest().note.encode())
    refused(check(files, *kept), "the log was rolled back")
    shorter = signed(files, lines(files)[:-1])
    manifest = json.loads(shorter["manifest.json"])
    manifest["log"]["export"] = manifest["log"]["size"] - 1
    shorter["manifest.json"] = json.dumps(manifest).encode()
    refused(check(shorter, *keep(files["checkpoint"])), "the log was rolled back")


def test_a_cosigned_checkpoint_of_another_tree_in_the_bundle_is_caught(files, check):
    other = rewritten(files)
    refused(check({**files, "cosigned": other["checkpoint"]}), "forked: two signed checkpoints of the same size")


def test_a_kept_checkpoint_that_the_log_did_not_sign_counts_for_nothing(files, check, keep):
    thief = notes.Signer.generate(keys.verifiers()[0].name)
    forged = signed(files, lines(files), thief)["checkpoint"]
    refused(check(files, *keep(forged)), "the kept checkpoint", "is not signed by the log's key")
    refused(check(files, *keep(b"note to self: 42\n")), "the kept checkpoint")


# ------------------------------------------------------------------------------------------------------ what is later


def test_a_revocation_after_the_export_in_the_same_log_is_told(people, approved, check, keep):
    """A bundle put together again with a newer log: judged up to its export, and what came after is said."""
    files = files_of(export(people.auditor, approved))
    revoke(acting_user=people.validator, approval=Approval.objects.get(), reason="It drifts.", password=PASSWORD)
    newer = files_of(export(people.auditor, approved))
    mixed = {**files, "log.jsonl": newer["log.jsonl"], "checkpoint": newer["checkpoint"]}
    manifest = json.loads(files["manifest.json"])
    manifest["log"]["size"] = json.loads(newer["manifest.json"])["log"]["size"]
    result = check({**mixed, "manifest.json": json.dumps(manifest).encode()})
    assert result.returncode == 0, result.stdout
    assert "after this export the log has 1 more decisions of the systems shown (approval:revoked)" in result.stdout
