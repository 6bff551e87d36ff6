"""Checkpoints: the specification's example, strictness, and one log's head passed off as another's."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigstore._internal.rekor.checkpoint import LogCheckpoint, SignedNote

from security.log import checkpoints, notes
from security.log.checkpoints import Checkpoint, CheckpointError
from security.log.merkle import EMPTY_ROOT
from security.log.notes import COSIGNATURE, NoteError, Signer

ORIGIN = "countersign.example/log"
# C2SP tlog-checkpoint v1.0.0, its example's note text
SPEC = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"

LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)


@pytest.fixture
def log():
    return Signer.from_seed(ORIGIN, b"l" * 32)


@pytest.fixture
def witness():
    return Signer("witness.example/w1", Signer.from_seed("w", b"w" * 32).key, COSIGNATURE)


def test_the_specifications_example_is_read_and_written():
    found = Checkpoint.parse(SPEC)
    assert (found.origin, found.size, found.root.hex()[:8]) == ("example.com/behind-the-sofa", 20852163, "0ac5186a")
    assert found.text() == SPEC


@given(LINES, st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32), st.lists(LINES, max_size=3))
def test_every_checkpoint_is_read_back_as_it_was(origin, size, root, extensions):
    checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@given(st.integers(1, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_sigstore_reads_the_same_from_it(size, root):
    signed = checkpoints.sign(Checkpoint(ORIGIN, size, root), Signer.from_seed(ORIGIN, b"l" * 32))
    theirs = LogCheckpoint.from_text(SignedNote.from_text(signed).note)
    assert (theirs.origin, theirs.log_size, theirs.log_hash) == (ORIGIN, size, root.hex())


ROOT = base64.b64encode(b"r" * 32).decode()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "each on a line"),
        (f"{ORIGIN}\n5\n", "each on a line"),
        (f"{ORIGIN}\n5\n{ROOT}", "each on a line"),
        (f"\n5\n{ROOT}\n", "origin"),
        (f"{ORIGIN}\n05\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n+5\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n-5\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n 5\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n5.0\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n\u0665\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n9999999999999999999\n{ROOT}\n", "cannot have"),
        (f"{ORIGIN}\n99999999999999999999\n{ROOT}\n", "decimal"),
        (f"{ORIGIN}\n5\n!{ROOT}\n", "base64"),
        (f"{ORIGIN}\n5\n{ROOT[:-4]}\n", "32 bytes"),
        (f"{ORIGIN}\n5\n{ROOT[:-2]}J=\n", "canonical"),
        (f"{ORIGIN}\n0\n{ROOT}\n", "empty tree"),
        (f"{ORIGIN}\n5\n{ROOT}\n\n", "extension"),
        (f"{ORIGIN}\n5\n{ROOT}\n\nmore\n", "extension"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text, match):
    with pytest.raises(CheckpointError, match=match):
        Checkpoint.parse(text)


def test_the_empty_log_has_a_checkpoint():
    assert Checkpoint.parse(Checkpoint(ORIGIN, 0, EMPTY_ROOT).text()).size == 0


def test_a_signed_checkpoint_opens_with_its_cosignatures(log, witness):
    checkpoint = Checkpoint(ORIGIN, 5, b"r" * 32)
    note = notes.parse(checkpoints.sign(checkpoint, log))
    cosigned = notes.merge(note, [witness.sign(checkpoint.text())])
    opened = checkpoints.open_signed(str(cosigned), log.verifier(), [witness.verifier()])
    assert opened.checkpoint == checkpoint
    assert [each.verifier.name for each in opened.cosigned] == ["witness.example/w1"]
    assert checkpoints.open_signed(str(cosigned), log.verifier()).cosigned == ()


def test_a_checkpoint_signed_by_witnesses_alone_is_refused(log, witness):
    note = notes.sign(Checkpoint(ORIGIN, 5, b"r" * 32).text(), witness)
    with pytest.raises(CheckpointError, match="only by witnesses"):
        checkpoints.open_signed(note, log.verifier(), [witness.verifier()])


def test_the_checkpoint_of_another_log_does_not_pass(log):
    other = Signer.from_seed("other.example/log", b"o" * 32)
    foreign = notes.sign(Checkpoint("other.example/log", 5, b"r" * 32).text(), log)
    with pytest.raises(CheckpointError, match=r"of the log other\.example/log"):
        checkpoints.open_signed(foreign, log.verifier())
    crossed = notes.sign(Checkpoint(ORIGIN, 5, b"r" * 32).text(), other)
    with pytest.raises(CheckpointError, match=ORIGIN):
        checkpoints.open_signed(crossed, [log.verifier(), other.verifier()])


def test_a_key_signs_for_its_own_log_only(log):
    with pytest.raises(CheckpointError, match="does not sign for"):
        checkpoints.sign(Checkpoint("other.example/log", 5, b"r" * 32), log)


def test_a_new_key_can_take_over_under_the_same_name(log):
    successor = Signer.from_seed(ORIGIN, b"n" * 32)
    note = checkpoints.sign(Checkpoint(ORIGIN, 5, b"r" * 32), successor)
    assert checkpoints.open_signed(note, [log.verifier(), successor.verifier()]).checkpoint.size == 5
    with pytest.raises(NoteError, match="known keys"):
        checkpoints.open_signed(note, log.verifier())
