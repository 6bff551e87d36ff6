"""Envelopes and statements against securesystemslib, and what an attacker does to them."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OracleEnvelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import CryptoSigner, SSlibKey

from security.log.notes import COSIGNATURE, Signer
from security.signing import dsse, statements
from security.signing.dsse import Envelope, EnvelopeError
from security.signing.statements import StatementError

KEY = Signer.from_seed("countersign.test/statements", b"k" * 32)
OTHER = Signer.from_seed("countersign.test/other", b"o" * 32)
PAYLOAD = statements.build([("model", "ab" * 32)], statements.SIGNATURE, {"kind": "vote"})


def oracle_key(signer: Signer) -> SSlibKey:
    public = Ed25519PublicKey.from_public_bytes(signer.verifier().public)
    return SSlibKey.from_crypto(public, keyid=dsse.keyid(signer.verifier()))


def signed(payload: bytes = PAYLOAD, signer: Signer = KEY) -> Envelope:
    return dsse.sign(payload, statements.PAYLOAD_TYPE, signer)


def test_the_encoding_is_that_of_the_specification():
    """The example of the DSSE protocol."""
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(st.binary(max_size=300), st.text(max_size=40))
def test_the_encoding_is_that_of_securesystemslib(payload, kind):
    assert dsse.pae(kind, payload) == OracleEnvelope(payload, kind, {}).pae()


def test_securesystemslib_verifies_what_we_sign():
    found = OracleEnvelope.from_dict(json.loads(signed().to_bytes()))
    assert list(found.verify([oracle_key(KEY)], 1)) == [dsse.keyid(KEY.verifier())]
    with pytest.raises(VerificationError):
        OracleEnvelope.from_dict(json.loads(signed().to_bytes())).verify([oracle_key(OTHER)], 1)


def test_we_verify_what_securesystemslib_signs():
    made = OracleEnvelope(PAYLOAD, statements.PAYLOAD_TYPE, {})
    made.sign(CryptoSigner(KEY.key, oracle_key(KEY)))
    found = Envelope.parse(json.dumps(made.to_dict()).encode())
    assert dsse.verify(found, statements.PAYLOAD_TYPE, [KEY.verifier()]) == (KEY.verifier(),)


@pytest.mark.parametrize("at", range(0, len(PAYLOAD), 17))
def test_a_flipped_byte_of_the_payload_is_refused(at):
    changed = bytearray(PAYLOAD)
    changed[at] ^= 1
    envelope = Envelope(bytes(changed), statements.PAYLOAD_TYPE, signed().signatures)
    with pytest.raises(EnvelopeError, match="does not verify"):
        dsse.verify(envelope, statements.PAYLOAD_TYPE, [KEY.verifier()])


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_a_flipped_byte_of_the_signature_is_refused(at):
    ((name, value),) = signed().signatures
    changed = bytearray(value)
    changed[at] ^= 1
    envelope = Envelope(PAYLOAD, statements.PAYLOAD_TYPE, ((name, bytes(changed)),))
    with pytest.raises(EnvelopeError, match="does not verify"):
        dsse.verify(envelope, statements.PAYLOAD_TYPE, [KEY.verifier()])


def test_a_signature_over_another_type_is_refused():
    envelope = dsse.sign(PAYLOAD, "text/plain", KEY)
    with pytest.raises(EnvelopeError, match="holds text/plain"):
        dsse.verify(envelope, statements.PAYLOAD_TYPE, [KEY.verifier()])
    relabelled = Envelope(PAYLOAD, statements.PAYLOAD_TYPE, envelope.signatures)
    with pytest.raises(EnvelopeError, match="does not verify"):
        dsse.verify(relabelled, statements.PAYLOAD_TYPE, [KEY.verifier()])


def test_an_unknown_key_signs_nothing():
    for known in ([], [OTHER.verifier()]):
        with pytest.raises(EnvelopeError, match="no known key"):
            dsse.verify(signed(), statements.PAYLOAD_TYPE, known)


def test_a_key_under_the_name_of_another_is_refused():
    ((_, value),) = signed(signer=OTHER).signatures
    posing = Envelope(PAYLOAD, statements.PAYLOAD_TYPE, ((dsse.keyid(KEY.verifier()), value),))
    with pytest.raises(EnvelopeError, match="does not verify"):
        dsse.verify(posing, statements.PAYLOAD_TYPE, [KEY.verifier()])


def test_a_note_of_the_log_is_no_signature_of_an_envelope():
    note = KEY.sign(PAYLOAD.decode() + "\n").value
    posing = Envelope(PAYLOAD, statements.PAYLOAD_TYPE, ((dsse.keyid(KEY.verifier()), note),))
    with pytest.raises(EnvelopeError, match="does not verify"):
        dsse.verify(posing, statements.PAYLOAD_TYPE, [KEY.verifier()])
    assert Signer.from_seed("x", b"k" * 32, COSIGNATURE).verifier().key_id != KEY.verifier().key_id


def test_an_envelope_reads_back_as_it_was_written():
    assert Envelope.parse(signed().to_bytes()) == signed()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"nonsense", b'"x"', b"\xff", b"[" * 100_000, b"{}",
        b'{"payload":"!","payloadType":"x","signatures":[]}',
        b'{"payload":"eA=","payloadType":"x","signatures":[]}',
        b'{"payload":"eB==","payloadType":"x","signatures":[]}',
        b'{"payload":"","payloadType":7,"signatures":[]}',
        b'{"payload":"","payloadType":"x","signatures":[{}]}',
        b'{"payload":"","payloadType":"x","signatures":3}',
        b'{"payload":"","payloadType":"x","signatures":[],"more":1}',
        b" " * 1_000_001,
    ],
)  # fmt: skip
def test_what_is_no_envelope_is_refused(data):
    with pytest.raises(EnvelopeError):
        Envelope.parse(data)


def test_a_statement_speaks_of_digests():
    found = statements.parse(PAYLOAD, statements.SIGNATURE)
    assert found["subject"] == [{"name": "model", "digest": {"sha256": "ab" * 32}}]
    for wrong in ([], [("model", "AB" * 32)], [("model", "ab")]):
        with pytest.raises(StatementError, match="at least one SHA-256"):
            statements.build(wrong, statements.SIGNATURE, {})


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"{", "no JSON"),
        (b'{ "a": 1}', "canonical"),
        (b"[]", "canonical"),
        (PAYLOAD.replace(b"v1", b"v0.1", 1), "no in-toto Statement v1"),
        (PAYLOAD.replace(b"signature-v1", b"something-v1"), "not of the type"),
    ],
)
def test_what_is_no_such_statement_is_refused(payload, why):
    with pytest.raises(StatementError, match=why):
        statements.parse(payload, statements.SIGNATURE)
