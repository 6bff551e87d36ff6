"""Signed notes: the specifications' own examples, strict parsing, and forgeries."""

import base64
import hashlib
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from security.log import notes
from security.log.notes import COSIGNATURE, NoteError, Signer, Verifier

# C2SP signed-note v1.0.0, "Example"
SPEC_VKEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
SPEC_NOTE = (
    "This is an example message.\n\n"
    "— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
)
# golang.org/x/mod/sumdb/note, the example of its package documentation
GO_SKEY = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)

NAMES = st.text(st.characters(exclude_characters="+", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1)
TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\n")).map(lambda text: text + "\n")
SEEDS = st.binary(min_size=32, max_size=32)


@pytest.fixture
def log():
    return Signer.from_seed("countersign.example/log", bytes(range(32)))


@pytest.fixture
def witness():
    return Signer("witness.example/w1", Signer.from_seed("w", b"w" * 32).key, COSIGNATURE, clock=lambda: 1679315147.9)


def refuse(note, *verifiers, match):
    with pytest.raises(NoteError, match=match):
        notes.open(note, verifiers)


# ---------------------------------------------------------------------------------------------------- the examples


def test_the_specifications_example_opens():
    opened = notes.open(SPEC_NOTE, [Verifier.parse(SPEC_VKEY)])
    assert opened.text == "This is an example message.\n"
    assert [each.verifier.name for each in opened.verified] == ["example.com/foo"]
    assert str(opened) == SPEC_NOTE
    assert Verifier.parse(SPEC_VKEY).vkey() == SPEC_VKEY


def test_the_go_packages_example_is_signed_byte_for_byte():
    signer = Signer.parse(GO_SKEY)
    assert signer.verifier().vkey() == GO_VKEY
    assert signer.secret_key() == GO_SKEY
    assert notes.sign(GO_TEXT, signer) == GO_TEXT + "\n" + GO_LINE
    assert notes.open(notes.sign(GO_TEXT, signer).encode(), [Verifier.parse(GO_VKEY)]).text == GO_TEXT


def test_the_cosignature_is_over_the_lines_of_tlog_cosignature(witness):
    """c2sp.org/tlog-cosignature, "Ed25519 signed message", written out by hand."""
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    signature = witness.sign(text)
    public = witness.key.public_key().public_bytes_raw()
    assert signature.key_id.to_bytes(4, "big") == hashlib.sha256(b"witness.example/w1\n\x04" + public).digest()[:4]
    assert signature.value[:8] == (1679315147).to_bytes(8, "big")
    Ed25519PublicKey.from_public_bytes(public).verify(
        signature.value[8:], b"cosignature/v1\ntime 1679315147\n" + text.encode()
    )
    (verified,) = notes.open(notes.sign(text, witness), [witness.verifier()]).verified
    assert verified.timestamp == 1679315147


def test_openssl_verifies_what_was_signed(log, tmp_path):
    text = "countersign.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    note = notes.sign(text, log)
    encoded = note.splitlines()[-1].split(" ")[2]
    (tmp_path / "text").write_text(text)
    (tmp_path / "signature").write_bytes(base64.b64decode(encoded)[4:])
    (tmp_path / "key.pem").write_bytes(
        log.key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
    command += ["-in", "text", "-sigfile", "signature"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    (tmp_path / "text").write_text(text.replace("0", "1"))
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 1


@given(SEEDS, NAMES, TEXTS)
def test_what_is_signed_opens_and_is_written_the_same_again(seed, name, text):
    signer = Signer.from_seed(name, seed)
    note = notes.sign(text, signer)
    opened = notes.open(note.encode(), [Verifier.parse(signer.verifier().vkey())])
    assert (opened.text, str(opened)) == (text, note)
    assert Signer.parse(signer.secret_key()).verifier() == signer.verifier()


# -------------------------------------------------------------------------------------------------------- forgeries


def test_unknown_signatures_are_ignored_and_known_ones_must_verify(log, witness):
    stranger = Signer.from_seed("stranger.example", b"s" * 32)
    note = notes.sign("text\n", stranger, log, witness)
    assert [each.verifier for each in notes.open(note, [log.verifier()]).verified] == [log.verifier()]
    spoiled = notes.sign("text\n", log) + notes.sign("other\n", witness).split("\n\n")[1]
    assert notes.open(spoiled, [log.verifier()]).text == "text\n"
    refuse(spoiled, log.verifier(), witness.verifier(), match="witness.example/w1 .* does not verify")


def test_a_note_signed_by_nobody_known_is_refused(log):
    refuse(SPEC_NOTE, log.verifier(), match="not signed by any of the known keys")
    refuse(SPEC_NOTE, match="none")


def test_a_note_signed_again_with_another_key_of_the_same_name_is_refused(log):
    """The name can be copied; the key ID follows from the key."""
    thief = Signer.from_seed(log.name, b"t" * 32)
    refuse(notes.sign("text\n", thief), log.verifier(), match="not signed by any")


def test_a_key_id_that_was_made_to_collide_is_of_no_use(log):
    """signed-note, "Signatures": a collision of key IDs only earns a signature verification failure."""
    thief = Signer.from_seed(log.name, b"t" * 32)
    claimed = notes.Signature(log.name, log.verifier().key_id, thief.key.sign(b"text\n"))
    refuse("text\n\n" + claimed.line(), log.verifier(), match="does not verify")


def test_a_signature_of_one_type_does_not_pass_for_the_other(log):
    cosigner = Signer(log.name, log.key, COSIGNATURE)
    assert cosigner.verifier().key_id != log.verifier().key_id
    refuse(notes.sign("text\n", log), cosigner.verifier(), match="not signed by any")
    value = log.sign("text\n").value
    forged = notes.Signature(log.name, cosigner.verifier().key_id, value)
    refuse("text\n\n" + forged.line(), cosigner.verifier(), match="malformed")


def test_the_time_of_a_cosignature_cannot_be_moved(witness):
    note = notes.parse(notes.sign("text\n", witness))
    (signature,) = note.signatures
    later = (1679315148).to_bytes(8, "big") + signature.value[8:]
    moved = notes.Note(note.text, (notes.Signature(signature.name, signature.key_id, later),))
    refuse(moved, witness.verifier(), match="does not verify")
    beyond = notes.Note(note.text, (notes.Signature(signature.name, signature.key_id, b"\xff" * 8 + later[8:]),))
    refuse(beyond, witness.verifier(), match="malformed")


def test_every_single_bit_of_a_signed_note_matters(log):
    note = notes.sign("countersign.example/log\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n", log).encode()
    for bit in range(len(note) * 8):
        changed = bytearray(note)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NoteError):
            notes.open(bytes(changed), [log.verifier()])


# ---------------------------------------------------------------------------------------------------- strict parsing

LINE = SPEC_NOTE.split("\n\n")[1]


@pytest.mark.parametrize(
    ("note", "match"),
    [
        ("", "no empty line"),
        ("text\n", "no empty line"),
        ("text\n\n", "no empty line"),
        ("text\n" + LINE, "no empty line"),
        ("text\n\n" + LINE.rstrip(), "does not end in a newline"),
        ("text\n\n" + LINE + "junk\n", "has the form"),
        ("text\n\n" + LINE.replace("— ", "- "), "has the form"),
        ("text\n\n" + LINE.replace("— ", "—"), "has the form"),
        ("text\n\n— example.com/foo\n", "has the form"),
        ("text\n\n—  abcd\n", "key name"),
        ("text\n\n— a+b AAAAAAAA\n", "key name"),
        ("text\n\n— a\u2003b AAAAAAAA\n", "key name"),
        ("text\n\n— name AAA\n", "not base64"),
        ("text\n\n— name AAAAAA==\n", "too short"),
        ("text\n\n— name AAAAAAB=\n", "canonical form"),
        ("text\n\n— name AAAA AAAA\n", "not base64"),
        ("text\n\n— name AAAA_-AA\n", "not base64"),
        ("te\rxt\n\n" + LINE, "control character"),
        ("te\0xt\n\n" + LINE, "control character"),
        ("te\txt\n\n" + LINE, "control character"),
        ("text\r\n\r\n" + LINE, "no empty line"),
        (b"\xff\n\n" + LINE.encode(), "UTF-8"),
        ("text\n\n" + LINE * 101, "over 100 signatures"),
        ("x" * 1_000_001, "over 1000000 bytes"),
    ],
)
def test_what_is_no_note_is_refused(note, match):
    with pytest.raises(NoteError, match=match):
        notes.parse(note)


def test_sixteen_signatures_are_accepted_as_the_specification_demands(log):
    assert len(notes.parse("text\n\n" + LINE * 16).signatures) == 16


def test_the_text_ends_at_the_last_empty_line(log):
    text = "first\n\nsecond\n\n"
    assert notes.open(notes.sign(text, log), [log.verifier()]).text == text


@pytest.mark.parametrize("text", ["no newline", "tab\t\n", "", "\ud800\n"])
def test_a_text_that_no_note_can_hold_is_not_signed(log, text):
    with pytest.raises(NoteError):
        notes.sign(text, log)


def test_a_note_without_signers_is_not_made():
    with pytest.raises(NoteError, match="at least one"):
        notes.sign("text\n")


@pytest.mark.parametrize(
    "vkey",
    [
        "",
        "example.com/foo",
        "example.com/foo+530d903a",
        "example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        "example.com/foo+530d903a+Aeky",
        "example.com/foo+530d903a+",
        "+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
    ],
)
def test_a_bad_verifier_key_is_refused(vkey):
    with pytest.raises(NoteError):
        Verifier.parse(vkey)


@pytest.mark.parametrize("skey", ["", GO_VKEY, GO_SKEY.replace("c74f", "c74e"), GO_SKEY[:-4]])
def test_a_bad_signers_key_is_refused(skey):
    with pytest.raises(NoteError):
        Signer.parse(skey)


def test_a_signers_secret_is_in_no_text_form_of_it(log):
    secret = base64.b64encode(bytes(range(32))).decode().rstrip("=")[:40]
    assert secret not in repr(log) + str(log)
    assert log.secret_key().startswith("PRIVATE+KEY+countersign.example/log+")


def test_further_signatures_are_added_once(log, witness):
    note = notes.parse(notes.sign("text\n", log))
    cosigned = notes.merge(notes.merge(note, [witness.sign("text\n")]), [witness.sign("text\n")])
    assert len(cosigned.signatures) == 2
    assert len(notes.open(str(cosigned), [log.verifier(), witness.verifier()]).verified) == 2
