"""The offline verifier's own parts against independent ones: canonical JSON, tree, notes, receipts."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from governance.offline import verify_export
from security.log import checkpoints, merkle, notes
from security.log.checkpoints import Checkpoint
from security.log.notes import COSIGNATURE, Signer
from security.log.proofs import Receipt

# --------------------------------------------------------------------------------------------- its canonical JSON

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_the_verifiers_canonical_json_is_that_of_an_independent_library(value):
    assert verify_export.canonical(value).encode() == rfc8785.dumps(value)


@pytest.mark.parametrize("text", ['{"a":1,"a":2}', "NaN", "[1e999]", "[9007199254740993]"])
def test_the_verifier_refuses_what_has_no_canonical_form(text):
    with pytest.raises(verify_export.WrongError):
        verify_export.canonical(verify_export.parse(text))


# -------------------------------------------------------------------------------------------------- its tree and notes

LOG = Signer.from_seed("countersign.example/log", b"l" * 32)
WITNESS = Signer("w.example", Signer.from_seed("w.example", b"w" * 32).key, COSIGNATURE)
KEYS = [verify_export.Key.parse(signer.verifier().vkey()) for signer in (LOG, WITNESS)]


@given(st.lists(st.binary(max_size=40), max_size=80))
def test_its_tree_is_that_of_the_package(entries):
    tree = verify_export.Tree()
    for entry in entries:
        tree.append(verify_export.leaf_hash(entry))
    assert tree.root() == merkle.root_of(map(merkle.leaf_hash, entries))


def signed(*signers, size=5):
    return notes.sign(Checkpoint(LOG.name, size, b"r" * 32).text(), *signers).encode()


def test_it_opens_what_the_package_signs():
    found = verify_export.open_checkpoint(signed(LOG, WITNESS), KEYS)
    assert (found.origin, found.size, found.root, found.signed_by) == (LOG.name, 5, b"r" * 32, tuple(KEYS))
    assert verify_export.open_checkpoint(signed(LOG, WITNESS), KEYS[:1]).signed_by == (KEYS[0],)


def test_it_refuses_every_changed_bit_of_a_checkpoint_as_the_package_does():
    note = signed(LOG, WITNESS)
    for bit in range(len(note) * 8):
        data = bytearray(note)
        data[bit // 8] ^= 1 << bit % 8
        ours = opens(lambda data=bytes(data): verify_export.open_checkpoint(data, KEYS))
        theirs = opens(lambda data=bytes(data): checkpoints.open_signed(data, LOG.verifier(), [WITNESS.verifier()]))
        assert ours == theirs
        if ours:  # then a signature line has become that of an unknown key
            assert len(verify_export.open_checkpoint(bytes(data), KEYS).signed_by) == 1


def opens(attempt):
    try:
        attempt()
    except (verify_export.WrongError, notes.NoteError, checkpoints.CheckpointError):
        return False
    return True


@pytest.mark.parametrize("by", [WITNESS, Signer.from_seed(LOG.name, b"t" * 32), Signer.from_seed("x", b"l" * 32)])
def test_it_refuses_a_checkpoint_that_the_log_did_not_sign(by):
    with pytest.raises(verify_export.WrongError, match="is not signed by the log's key"):
        verify_export.open_checkpoint(signed(by), KEYS)


def test_it_refuses_the_logs_signature_under_another_name():
    note = notes.sign(Checkpoint("other.example", 5, b"r" * 32).text(), LOG).encode()
    with pytest.raises(verify_export.WrongError, match=r"other\.example is not signed"):
        verify_export.open_checkpoint(note, KEYS)


@pytest.mark.parametrize("vkey", ["", "a+b", LOG.verifier().vkey()[:-4], LOG.verifier().vkey().replace("log+", "lag+")])
def test_it_refuses_a_bad_key(vkey):
    with pytest.raises(verify_export.WrongError):
        verify_export.Key.parse(vkey)


# ------------------------------------------------------------------------------------------------------------ receipts

ENTRIES = [b'{"n":%d}' % n for n in range(21)]


def receipt(index=13, signer=LOG, *cosigners):
    frontier, nodes = merkle.Frontier(), {}
    for entry in ENTRIES:
        for node in frontier.append(merkle.leaf_hash(entry)):
            nodes[node.level, node.index] = node.hash
    proof = merkle.inclusion_proof(index, 21, lambda level, at: nodes[level, at])
    note = notes.sign(Checkpoint(LOG.name, 21, frontier.root()).text(), signer, *cosigners)
    return Receipt(index, tuple(proof), note, ENTRIES[index]).text()


def trust(quorum=0):
    return verify_export.Trust(KEYS[:1], KEYS[1:], quorum)


@pytest.mark.parametrize("index", range(21))
def test_every_receipt_is_verified(index):
    assert f"entry {index} of 21" in verify_export.verify_receipt(receipt(index, LOG, WITNESS), trust(1))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (receipt().replace("index 13", "index 12"), "not number 12"),
        (receipt().replace("index 13", "index 21"), "no entry 21"),
        (receipt(signer=Signer.from_seed(LOG.name, b"t" * 32)), "not signed by the log's key"),
        (receipt().replace("extra eyJuIjoxM30=", "extra eyJuIjoxMn0="), "not number 13"),
        (receipt().replace("extra eyJuIjoxM30=\n", ""), "no receipt with its entry"),
        (receipt().replace("index 13", "index 013"), "no receipt"),
        ("c2sp.org/tlog-proof@v1\n", "no receipt"),
    ],
)
def test_a_forged_receipt_is_refused(text, match):
    with pytest.raises(verify_export.WrongError, match=match):
        verify_export.verify_receipt(text, trust())


def test_a_receipt_without_the_witnesses_that_are_needed_is_refused():
    with pytest.raises(verify_export.WrongError, match="0 of the 1"):
        verify_export.verify_receipt(receipt(), trust(1))


def test_the_command_takes_a_receipt(tmp_path, capsys):
    path = tmp_path / "event.tlog-proof"
    path.write_text(receipt())
    assert verify_export.main([str(path), "--key", LOG.verifier().vkey()]) == 0
    assert capsys.readouterr().out.endswith("VERIFIED\n")
    path.write_text(receipt().replace("index 13", "index 12"))
    assert verify_export.main([str(path), "--key", LOG.verifier().vkey()]) == 1
