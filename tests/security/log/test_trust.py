"""Trust policies: the specification's example, and what it forbids."""

import pytest

from security.log.notes import COSIGNATURE, Signer
from security.log.trust import Policy, PolicyError

LOG = Signer.from_seed("countersign.example/log", b"l" * 32).verifier()
KEYS = {
    name: Signer.from_seed(f"{name.lower()}.example", name.encode().ljust(32), COSIGNATURE).verifier()
    for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")
}
W = {name: f"witness {name} {key.vkey()}\n" for name, key in KEYS.items()}
# C2SP tlog-policy, "Example policy", with keys
EXAMPLE = (
    f"log {LOG.vkey()}\n\n{W['X1']}{W['X2']}{W['X3']}group X-witnesses 2 X1 X2 X3\n\n"
    f"{W['Y1']}{W['Y2']}{W['Y3']}group Y-witnesses any Y1 Y2 Y3\n\n"
    "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
)


@pytest.mark.parametrize(
    ("present", "enough"),
    [
        ("", False),
        ("X1 X2", False),
        ("Y1 Y2 Y3", False),
        ("X1 Y1", False),
        ("X1 X3 Y2", True),
        ("X1 X2 X3 Y1 Y2 Y3", True),
    ],
)
def test_the_specifications_example(present, enough):
    policy = Policy.parse(EXAMPLE.encode())
    assert policy.logs == (LOG,)
    assert policy.verifiers == tuple(KEYS.values())
    assert policy.satisfied([KEYS[name] for name in present.split()]) is enough


def test_an_unknown_witness_makes_no_quorum():
    stranger = Signer.from_seed("x1.example", b"stranger".ljust(32), COSIGNATURE).verifier()
    policy = Policy.parse((W["X1"] + "quorum X1\n").encode())
    assert not policy.satisfied([stranger])
    assert policy.satisfied([KEYS["X1"], stranger])


def test_comments_blanks_tabs_and_urls_are_read():
    text = f"# who\n\n \t witness\tX1  {KEYS['X1'].vkey()}\thttps://w.example/prefix \n  # more\nquorum none"
    policy = Policy.parse(text.encode())
    assert policy.witnesses[0].url == "https://w.example/prefix"
    assert policy.satisfied([])


def test_names_are_octets():
    kelvin, k = f"witness \u212a {KEYS['X1'].vkey()}\n", f"witness K {KEYS['X2'].vkey()}\n"
    policy = Policy.parse((kelvin + k + "quorum K\n").encode())
    assert not policy.satisfied([KEYS["X1"]])
    assert policy.satisfied([KEYS["X2"]])
    latin = b"witness \xe9 " + KEYS["X1"].vkey().encode() + b"\nquorum \xe9\n"
    assert Policy.parse(latin).satisfied([KEYS["X1"]])


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "exactly one quorum"),
        ("quorum none\nquorum none\n", "line 2"),
        ("quorum X1\n" + W["X1"], "line 1: the quorum"),
        ("quorum\n", "line 1"),
        (W["X1"] + W["X1"] + "quorum none\n", "line 2: a witness with this key"),
        (W["X1"] + W["X2"].replace("X2", "X1", 1) + "quorum none\n", "a name of its own"),
        (W["X1"].replace("X1", "none", 1) + "quorum none\n", "a name of its own"),
        (f"log {LOG.vkey()}\nlog {LOG.vkey()}\nquorum none\n", "line 2: a log with this key"),
        (f"log {KEYS['X1'].vkey()}\nquorum none\n", "signature type 0x04"),
        (f"witness A {LOG.vkey()}\nquorum none\n", "signature type 0x01"),
        ("witness A junk\nquorum none\n", "line 1: a verifier key"),
        ("witness A\nquorum none\n", "form"),
        ("log\nquorum none\n", "form"),
        (W["X1"] + "group G any\nquorum G\n", "form"),
        (W["X1"] + "group G 0 X1\nquorum G\n", "1 to 1"),
        (W["X1"] + "group G 2 X1\nquorum G\n", "1 to 1"),
        (W["X1"] + "group G 01 X1\nquorum G\n", "1 to 1"),
        (W["X1"] + "group G any X1 X1\nquorum G\n", "only once"),
        (W["X1"] + "group G any X2\nquorum G\n", "lines before"),
        (W["X1"] + "group G any G\nquorum G\n", "lines before"),
        (W["X1"] + "group G any none\nquorum G\n", "lines before"),
        (W["X1"] + "group G any X1\ngroup H any X1\nquorum G\n", "only once"),
        ("quorum none\r\n", "control characters"),
        ("quorum none\n\x00", "control characters"),
        ("trust me\nquorum none\n", "begins with"),
    ],
)
def test_what_the_specification_forbids_is_refused_with_its_line(text, match):
    with pytest.raises(PolicyError, match=match):
        Policy.parse(text.encode())
