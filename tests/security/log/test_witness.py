"""The witness protocol against a witness that keeps to the specification, and against ones that do not."""

import pytest

from security.log import checkpoints, merkle, notes
from security.log.checkpoints import Checkpoint
from security.log.notes import Signer
from security.log.witness import Answer, ConflictingLogError, UnknownLogError, WitnessError, cosign, request
from tests.support.witness import StandIn

ORIGIN = "countersign.example/log"
LOG = Signer.from_seed(ORIGIN, b"l" * 32)


class Log:
    """A log in memory: a checkpoint and a proof of any of its sizes."""

    def __init__(self, entries):
        self.nodes, frontier, self.roots = {}, merkle.Frontier(), [merkle.EMPTY_ROOT]
        for entry in entries:
            for node in frontier.append(merkle.leaf_hash(entry)):
                self.nodes[node.level, node.index] = node.hash
            self.roots.append(frontier.root())

    def note(self, size):
        return checkpoints.sign(Checkpoint(ORIGIN, size, self.roots[size]), LOG)

    def prove(self, old, new):
        return merkle.consistency_proof(old, new, lambda level, index: self.nodes[level, index])

    def cosigned(self, size, witness, *, known=0, post=None):
        return cosign(self.note(size), known, witness.verifier, post=post or witness.add_checkpoint, prove=self.prove)


@pytest.fixture
def log():
    return Log(b"entry %d" % index for index in range(40))


@pytest.fixture
def forked():
    return Log(b"other %d" % index if index == 7 else b"entry %d" % index for index in range(40))


@pytest.fixture
def witness():
    return StandIn("witness.example/w1", LOG.verifier())


def test_a_growing_log_is_cosigned_again_and_again(log, witness):
    known = 0
    for size in (1, 2, 7, 8, 31, 32, 40):
        (verified,) = log.cosigned(size, witness, known=known)
        assert verified.verifier == witness.verifier
        assert witness.held[ORIGIN][0].size == size
        known = size
    whole = notes.merge(notes.parse(log.note(40)), [verified.signature])
    assert len(notes.open(whole, [LOG.verifier(), witness.verifier]).verified) == 2


def test_the_request_is_the_specifications():
    body = request(20852014, [b"\x01" * 32], "checkpoint\n\n— line\n")
    assert body.decode() == "old 20852014\n" + "AQEB" * 10 + "AQE=\n\ncheckpoint\n\n— line\n"
    assert request(0, [], "note\n").decode() == "old 0\n\nnote\n"


@pytest.mark.parametrize(("old", "proof"), [(5, [b"x" * 32] * 64), (0, [b"x" * 32])])
def test_a_request_that_the_specification_forbids_is_not_made(old, proof):
    with pytest.raises(ValueError, match="63"):
        request(old, proof, "note\n")


def test_who_does_not_know_how_far_the_witness_is_is_told(log, witness):
    log.cosigned(10, witness)
    log.cosigned(30, witness, known=0)
    assert [body.split(b"\n")[0] for body in witness.asked] == [b"old 0", b"old 0", b"old 10"]


def test_the_same_checkpoint_can_be_cosigned_anew(log, witness):
    log.cosigned(10, witness)
    assert log.cosigned(10, witness, known=10)


def test_a_rolled_back_log_is_refused(log, witness):
    log.cosigned(30, witness)
    for known in (0, 30):
        with pytest.raises(ConflictingLogError, match="cosigned 30 entries, but this log has 20"):
            log.cosigned(20, witness, known=known)


def test_a_fork_is_refused_at_the_same_size_and_later(log, forked, witness):
    log.cosigned(20, witness)
    with pytest.raises(ConflictingLogError, match="inconsistent"):
        forked.cosigned(20, witness, known=20)
    with pytest.raises(ConflictingLogError, match="inconsistent"):
        forked.cosigned(40, witness, known=20)
    assert witness.held[ORIGIN][0].root == log.roots[20]


def test_a_witness_that_does_not_know_the_log_is_named(log):
    stranger = StandIn("witness.example/w2", Signer.from_seed("other.example", b"o" * 32).verifier())
    with pytest.raises(UnknownLogError, match="404"):
        log.cosigned(5, stranger)
    wrong_key = StandIn("witness.example/w3", Signer.from_seed(ORIGIN, b"t" * 32).verifier())
    with pytest.raises(UnknownLogError, match="403"):
        log.cosigned(5, wrong_key)


def test_an_answer_that_is_no_cosignature_of_this_checkpoint_is_refused(log, witness):
    other = StandIn("witness.example/w1", LOG.verifier(), seed=b"x" * 32)
    of_another_size = witness.signer.sign(notes.parse(log.note(6)).text).line().encode()
    plain = Signer(witness.signer.name, witness.signer.key).sign(notes.parse(log.note(5)).text).line().encode()
    timeless = Signer(witness.signer.name, witness.signer.key, notes.COSIGNATURE, clock=lambda: 0.0)
    without_time = timeless.sign(notes.parse(log.note(5)).text).line().encode()
    for answer in (
        Answer(200),
        Answer(200, b"thanks\n"),
        Answer(200, b"\xff\n"),
        Answer(200, of_another_size),
        Answer(200, plain),
        Answer(200, without_time),
        other.add_checkpoint(request(0, [], log.note(5))),
        Answer(409, b"many\n", "text/x.tlog.size"),
        Answer(409, b"0\n", "text/x.tlog.size"),
        Answer(409, b"3\n", "text/html"),
        Answer(500),
        Answer(302),
    ):
        with pytest.raises(WitnessError) as caught:
            log.cosigned(5, witness, post=lambda body, answer=answer: answer)
        assert type(caught.value) is WitnessError


def test_a_witness_that_keeps_changing_its_mind_ends_the_exchange(log, witness):
    answers = iter([Answer(409, b"3\n", "text/x.tlog.size"), Answer(409, b"4\n", "text/x.tlog.size")])
    with pytest.raises(WitnessError, match="409"):
        log.cosigned(5, witness, post=lambda body: next(answers))
