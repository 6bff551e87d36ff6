"""Receipts: read, checked, and forged."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from security.log import checkpoints, merkle, notes
from security.log.checkpoints import Checkpoint, CheckpointError
from security.log.merkle import ProofError
from security.log.notes import COSIGNATURE, NoteError, Signer
from security.log.proofs import Receipt, ReceiptError

ORIGIN = "countersign.example/log"
LOG = Signer.from_seed(ORIGIN, b"l" * 32)
WITNESSES = [Signer.from_seed(f"w{n}.example", bytes([n]) * 32, COSIGNATURE) for n in range(3)]
ENTRIES = [b'{"index":%d}' % index for index in range(21)]


def tree(entries):
    frontier, nodes = merkle.Frontier(), {}
    for entry in entries:
        for node in frontier.append(merkle.leaf_hash(entry)):
            nodes[node.level, node.index] = node.hash
    return frontier, lambda level, index: nodes[level, index]


def receipt(index=13, entries=ENTRIES, signer=LOG, cosigners=()):
    frontier, read = tree(entries)
    text = Checkpoint(ORIGIN, len(entries), frontier.root()).text()
    note = notes.sign(text, signer, *cosigners)
    return Receipt(index, tuple(merkle.inclusion_proof(index, len(entries), read)), note, entries[index])


def verifiers(signers):
    return [signer.verifier() for signer in signers]


def test_a_receipt_is_one_file_that_proves_its_entry():
    text = receipt().text()
    read = Receipt.parse(text)
    assert read.extra == ENTRIES[13]
    opened = read.verify(read.extra, LOG.verifier())
    assert opened.checkpoint.size == len(ENTRIES)
    assert read.text() == text
    lines = text.split("\n")
    assert lines[:3] == ["c2sp.org/tlog-proof@v1", f"extra {base64.b64encode(ENTRIES[13]).decode()}", "index 13"]
    assert lines[3 + len(read.hashes)] == ""
    assert lines[4 + len(read.hashes)] == ORIGIN


def test_the_only_entry_needs_no_hashes():
    only = Receipt.parse(receipt(0, ENTRIES[:1]).text())
    assert only.hashes == ()
    only.verify(ENTRIES[0], LOG.verifier())


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=200),
)
def test_every_receipt_is_read_back(index, hashes, extra):
    made = Receipt(index, tuple(hashes), receipt().checkpoint, extra)
    assert Receipt.parse(made.text()) == made


def test_another_entry_or_place_does_not_pass():
    made = receipt()
    with pytest.raises(ProofError):
        made.verify(ENTRIES[12], LOG.verifier())
    with pytest.raises(ProofError):
        Receipt(12, made.hashes, made.checkpoint, made.extra).verify(ENTRIES[13], LOG.verifier())


def test_a_receipt_signed_by_another_key_does_not_pass():
    thief = Signer.from_seed(ORIGIN, b"t" * 32)
    with pytest.raises(NoteError, match="known keys"):
        receipt(signer=thief).verify(ENTRIES[13], LOG.verifier())


def test_a_receipt_of_another_log_does_not_pass():
    other = Signer.from_seed("other.example", b"o" * 32)
    foreign = checkpoints.sign(Checkpoint("other.example", 1, merkle.leaf_hash(b"x")), other)
    with pytest.raises(NoteError):
        Receipt(0, (), foreign).verify(b"x", LOG.verifier())
    mixed = notes.sign(Checkpoint("other.example", 1, merkle.leaf_hash(b"x")).text(), LOG)
    with pytest.raises(CheckpointError):
        Receipt(0, (), mixed).verify(b"x", LOG.verifier())


def test_a_quorum_counts_each_witness_once():
    twice = receipt(cosigners=[WITNESSES[0], WITNESSES[0], WITNESSES[1]])
    known = verifiers(WITNESSES)
    assert len(twice.verify(ENTRIES[13], LOG.verifier(), known, quorum=2).cosigned) >= 2
    with pytest.raises(ReceiptError, match="2 of the 3 witnesses"):
        twice.verify(ENTRIES[13], LOG.verifier(), known, quorum=3)
    with pytest.raises(ReceiptError, match="0 of the 1 witnesses"):
        receipt().verify(ENTRIES[13], LOG.verifier(), known, quorum=1)
    with pytest.raises(ReceiptError, match="0 of the 1 witnesses"):  # unknown witnesses count for nothing
        twice.verify(ENTRIES[13], LOG.verifier(), [], quorum=1)


def test_every_single_bit_of_a_receipt_matters():
    text = receipt(2, ENTRIES[:4]).text().encode()
    for bit in range(len(text) * 8):
        changed = bytearray(text)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            read = Receipt.parse(bytes(changed).decode())
            read.verify(read.extra or b"", LOG.verifier())
        except (UnicodeDecodeError, ReceiptError, NoteError, CheckpointError, ProofError):
            continue
        pytest.fail(f"bit {bit} was changed and nothing said so")


GOOD = receipt().text()


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "begins with"),
        (GOOD.replace("@v1", "@v2", 1), "begins with"),
        ("\n" + GOOD, "begins with"),
        (GOOD.replace("index 13", "index 013"), "index N"),
        (GOOD.replace("index 13", "index -1"), "index N"),
        (GOOD.replace("index 13\n", ""), "index N"),
        (GOOD.replace("extra ", "extra !"), "extra is not base64"),
        (GOOD.replace("index 13\n", "index 13\n" + "A" * 43 + "=\n" * 1 + ("A" * 43 + "=\n") * 63), "at most 63"),
        (GOOD.replace("index 13\n", "index 13\nnot base64\n"), "hash of the proof"),
        (GOOD.split("\n\n")[0], "empty line"),
    ],
)
def test_what_is_no_receipt_is_refused(text, match):
    with pytest.raises(ReceiptError, match=match):
        Receipt.parse(text)
