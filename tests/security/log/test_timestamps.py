"""RFC 3161: stamps of an authority made with openssl, and of one that is not trusted."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from security.log import timestamps
from security.log.timestamps import TimestampError
from tests.support.tsa import Authority

NOTE = b"countersign.example/log\n5\n...\n\n\xe2\x80\x94 a signature\n"

pytestmark = pytest.mark.skipif(not timestamps.available(), reason="rfc3161-client is not installed")


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def roots_of(authority):
    return x509.load_pem_x509_certificates(authority.roots.read_bytes())


def test_a_stamp_is_verified_here_and_by_openssl(authority):
    asked = timestamps.query(NOTE)
    answer = authority.answer(asked.as_bytes())
    stamp = timestamps.read(answer, NOTE, roots_of(authority), asked)
    assert abs(datetime.now(UTC) - stamp.time) < timedelta(minutes=1)
    assert stamp.answer == answer
    assert authority.verifies(NOTE, answer)
    assert not authority.verifies(NOTE + b" ", answer)


def test_a_stamp_of_something_else_is_refused(authority):
    answer = authority.answer(timestamps.query(NOTE).as_bytes())
    with pytest.raises(TimestampError, match="does not verify"):
        timestamps.read(answer, NOTE + b"x", roots_of(authority))


def test_an_old_answer_does_not_pass_for_a_new_one(authority):
    answer = authority.answer(timestamps.query(NOTE).as_bytes())
    timestamps.read(answer, NOTE, roots_of(authority))
    with pytest.raises(TimestampError, match=r"(?i)nonce"):
        timestamps.read(answer, NOTE, roots_of(authority), timestamps.query(NOTE))


def test_an_authority_that_is_not_trusted_is_refused(authority, tmp_path):
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    asked = timestamps.query(NOTE)
    with pytest.raises(TimestampError, match="does not verify"):
        timestamps.read(stranger.answer(asked.as_bytes()), NOTE, roots_of(authority), asked)


@pytest.mark.parametrize("answer", [b"", b"junk", b"\x30\x03\x02\x01\x00"])
def test_what_is_no_answer_is_refused(authority, answer):
    with pytest.raises(TimestampError):
        timestamps.read(answer, NOTE, roots_of(authority))


def test_a_flipped_bit_of_an_answer_is_refused(authority):
    asked = timestamps.query(NOTE)
    answer = authority.answer(asked.as_bytes())
    passed = []
    for bit in range(0, len(answer) * 8, 37):
        changed = bytearray(answer)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            stamp = timestamps.read(bytes(changed), NOTE, roots_of(authority), asked)
        except TimestampError:
            continue
        passed.append((bit, stamp.time))
    assert len(passed) < 20
    honest = timestamps.read(answer, NOTE, roots_of(authority), asked)
    assert all(time == honest.time for _, time in passed)  # only what no signature covers, such as a status text
