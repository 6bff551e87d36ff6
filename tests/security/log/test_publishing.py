"""Telling the outside: witnesses over HTTP in a thread, a store, an authority; rollback and fork are noticed there."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from security.log import checkpoints, keys, published, publishing, selectors, timestamps, triggers
from security.log.models import AuditEvent, Cosignature, Delivery, Leaf, Node, StoredCheckpoint, TimestampAnswer
from security.log.notes import COSIGNATURE, Signer
from security.log.tasks import push as task
from tests.support import tsa
from tests.support.attackers import no_triggers, write
from tests.support.witness import StandIn, serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def witness():
    """Knows this log, and serves."""
    stand_in = StandIn("witness.example/w1", keys.signers()[0].verifier())
    with serving(stand_in) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
def policy(settings, tmp_path):
    """Writes the trust policy."""

    def write_policy(*witnesses, quorum="none"):
        lines = [f"witness w{n} {one.verifier.vkey()} {one.url}\n" for n, one in enumerate(witnesses, 1)]
        path = tmp_path / f"policy-{len(list(tmp_path.iterdir()))}"
        path.write_text("".join(lines) + f"quorum {quorum}\n")
        settings.LOG_POLICY = str(path)

    return write_policy


@pytest.fixture
def store(settings, tmp_path):
    """A folder outside."""
    place = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": tmp_path / "outside"}}
    settings.STORAGES = {**settings.STORAGES, "checkpoints": place}
    return tmp_path / "outside"


def roll_back(size):
    """A database administrator puts yesterday's tables back."""
    Cosignature.objects.filter(checkpoint__gt=size).delete()
    StoredCheckpoint.objects.filter(size__gt=size).delete()
    gone = list(Leaf.objects.filter(index__gte=size).values_list("event_id", flat=True))
    Leaf.objects.filter(index__gte=size).delete()
    AuditEvent.objects.filter(pk__in=gone).delete()
    for node in Node.objects.all():
        if (node.index + 1) << node.level > size:
            node.delete()


def later(seconds):
    return timezone.now() + timedelta(seconds=seconds)


def cosigned(size):
    found = published.of_size(size)
    return found.cosigned


# ----------------------------------------------------------------------------------------------------------- witnesses


def test_each_new_checkpoint_is_cosigned_and_the_cosignature_is_kept_and_served(witness, policy):
    policy(witness, quorum="w1")
    for more in (1, 5, 300):
        write(more)
        assert list(task().values()) == ["delivered"]
    size = selectors.head()[0]
    opened = checkpoints.open_signed(published.current().note, keys.verifiers()[0], [witness.verifier])
    assert (opened.checkpoint.size, [each.verifier for each in opened.cosigned]) == (size, [witness.verifier])
    assert Cosignature.objects.count() == 3
    assert [body.split(b"\n")[0] for body in witness.asked] == [b"old 0", b"old 1", b"old 6"]
    assert task() == {}  # nothing new, nobody is asked


def test_a_witness_gets_the_logs_own_signature_only(witness, policy):
    policy(witness)
    write(1)
    publishing.push()
    note = witness.asked[0].decode().split("\n\n", 2)[1:]
    assert len("\n\n".join(note).rstrip("\n").split("\n\n")[-1].splitlines()) == 1


def test_a_witness_that_is_away_is_asked_again_later_and_later(witness, policy, settings):
    policy(witness)
    write(1)
    witness.fail_with = 503
    start = timezone.now()
    pauses, moment = [], start
    for _ in range(12):
        publishing.push(moment)
        row = Delivery.objects.get()
        pauses.append((row.next_at - moment).total_seconds())
        assert publishing.push(moment + timedelta(seconds=1)) == {}
        moment = row.next_at
    assert pauses == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600]
    assert (row.failures, "503" in row.error, row.conflict) == (12, True, False)
    witness.fail_with = None
    assert list(publishing.push(moment).values()) == ["delivered"]
    row.refresh_from_db()
    assert (row.failures, row.error, row.size) == (0, "", selectors.head()[0])


def test_one_witness_that_is_away_does_not_keep_the_others_waiting(witness, policy):
    gone = StandIn("witness.example/w2", keys.verifiers()[0], seed=b"2" * 32)
    gone.url = "http://127.0.0.1:1"
    policy(gone, witness)
    write(1)
    outcomes = publishing.push()
    assert sorted(outcome == "delivered" for outcome in outcomes.values()) == [False, True]


def test_a_rolled_back_log_is_an_alarm_that_stays_and_an_event(witness, policy):
    policy(witness)
    write(10)
    publishing.push()
    with no_triggers():
        roll_back(4)
    write(2)
    publishing.push()
    row = Delivery.objects.get()
    assert (row.conflict, "cosigned 10 entries, but this log has 6" in row.error) == (True, True)
    refused = AuditEvent.objects.get(event="checkpoint:refused")
    assert "witness.example/w1" in refused.entry
    publishing.push(later(60))
    assert AuditEvent.objects.filter(event="checkpoint:refused").count() == 1
    assert Delivery.objects.get().conflict


def test_a_rewritten_log_that_has_grown_past_the_witness_is_refused(witness, policy):
    policy(witness)
    write(10)
    publishing.push()
    with no_triggers():
        roll_back(4)
    write(20)
    publishing.push()
    row = Delivery.objects.get()
    assert (row.conflict, "inconsistent" in row.error) == (True, True)
    assert witness.held[keys.verifiers()[0].name][0].size == 10
    assert cosigned(selectors.head()[0]) == 0


def test_a_witness_that_does_not_know_the_log_is_named(policy):
    stranger = StandIn("witness.example/w9", Signer.from_seed("other.example", b"o" * 32).verifier())
    with serving(stranger) as url:
        stranger.url = url
        policy(stranger)
        write(1)
        publishing.push()
    assert "does not know this log" in Delivery.objects.get().error


def test_while_the_quorum_is_missing_the_last_checkpoint_that_had_it_is_published(witness, policy):
    policy(witness, quorum="w1")
    write(3)
    publishing.push()
    witness.fail_with = 500
    write(4)
    publishing.push()
    assert published.current().checkpoint.size == 3
    assert published.current(covering=5).checkpoint.size == 7  # a receipt of a newer event has nothing better
    witness.fail_with = None
    publishing.push(later(60))
    assert published.current().checkpoint.size == 7


def test_a_cosignature_that_somebody_wrote_into_the_table_makes_no_quorum(witness, policy):
    policy(witness, quorum="w1")
    write(3)
    publishing.push()
    write(1)
    thief = Signer.from_seed(witness.verifier.name, b"t" * 32, COSIGNATURE)
    size = selectors.head()[0]
    line = thief.sign(published.of_size(size).checkpoint.text()).line()
    Cosignature.objects.create(checkpoint_id=size, name=thief.name, key_id="0" * 8, timestamp=1, line=line)
    assert published.current().checkpoint.size == 3


def test_the_database_keeps_what_others_signed(witness, policy):
    policy(witness)
    write(1)
    publishing.push()
    assert triggers.installed(connection)
    for attempt in (lambda: Cosignature.objects.update(line="x"), lambda: Cosignature.objects.all().delete()):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            attempt()


def test_two_workers_at_once_ask_a_witness_once(witness, policy):
    policy(witness)
    write(1)
    destination = next(publishing.destinations())
    size, now = selectors.head()[0], timezone.now()
    assert [publishing._claim(destination, size, now) for _ in range(2)] == [True, False]


def test_the_command_says_what_became_of_each(witness, policy, capsys):
    policy(witness)
    write(1)
    call_command("log_push")
    assert "witness.example/w1" in capsys.readouterr().out
    witness.fail_with = 500
    write(1)
    with pytest.raises(CommandError, match="tried again later"):
        call_command("log_push")


def test_a_policy_that_cannot_be_read_is_said(settings, tmp_path):
    settings.LOG_POLICY = str(tmp_path / "policy")
    write(1)
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("log_push")
    (tmp_path / "policy").write_text("quorum everybody\n")
    with pytest.raises(CommandError, match="line 1"):
        call_command("log_push")


# --------------------------------------------------------------------------------------------------------------- store


def test_every_checkpoint_that_was_pushed_lies_in_the_store(store):
    sizes = []
    for more in (1, 4):
        write(more)
        publishing.push()
        sizes.append(selectors.head()[0])
    folder = store / publishing.store_folder(keys.verifiers()[0].name)
    assert sorted(int(path.name) for path in folder.iterdir()) == sizes
    for path in folder.iterdir():
        assert checkpoints.open_signed(path.read_bytes(), keys.verifiers()[0]).checkpoint.size == int(path.name)


def test_a_rollback_and_a_fork_show_against_the_store(store):
    write(10)
    publishing.push()
    with no_triggers():
        roll_back(4)
    write(2)
    publishing.push()
    assert "the store holds a checkpoint of 10 entries, but this log has 6" in Delivery.objects.get().error
    write(10 - selectors.head()[0])
    publishing.push(later(3600))
    row = Delivery.objects.get()
    assert (row.conflict, row.error) == (True, "the store holds another checkpoint of 10 entries")


def test_a_store_that_is_away_is_tried_again(store):
    store.write_text("a file where the folder should be")
    write(1)
    publishing.push()
    assert Delivery.objects.get().failures == 1
    store.unlink()
    publishing.push(later(60))
    assert Delivery.objects.get().failures == 0


# --------------------------------------------------------------------------------------------------------- time-stamps


@pytest.mark.skipif(not timestamps.available(), reason="rfc3161-client is not installed")
def test_a_checkpoint_is_stamped_at_most_so_often_and_openssl_verifies_it(settings, tmp_path):
    (tmp_path / "tsa").mkdir()
    authority = tsa.Authority(tmp_path / "tsa")
    with tsa.serving(authority) as url:
        settings.LOG_TIMESTAMP_URL, settings.LOG_TIMESTAMP_ROOTS = url, str(authority.roots)
        write(1)
        assert publishing.push() == {"time-stamps": "delivered"}
        write(1)
        assert publishing.push() == {}
        assert publishing.push(later(3601)) == {"time-stamps": "delivered"}
    stamped = TimestampAnswer.objects.select_related("checkpoint").order_by("checkpoint")
    assert [row.checkpoint_id for row in stamped] == [1, 2]
    for row in stamped:
        assert authority.verifies(row.checkpoint.note.encode(), bytes(row.answer))
    assert not authority.verifies(stamped[0].checkpoint.note.encode(), bytes(stamped[1].answer))


@pytest.mark.skipif(not timestamps.available(), reason="rfc3161-client is not installed")
def test_an_authority_that_is_not_trusted_stamps_nothing(settings, tmp_path):
    for name in ("tsa", "other"):
        (tmp_path / name).mkdir()
    authority, other = tsa.Authority(tmp_path / "tsa"), tsa.Authority(tmp_path / "other")
    with tsa.serving(authority) as url:
        settings.LOG_TIMESTAMP_URL, settings.LOG_TIMESTAMP_ROOTS = url, str(other.roots)
        write(1)
        publishing.push()
    assert not TimestampAnswer.objects.exists()
    assert "does not verify" in Delivery.objects.get().error


def test_without_the_package_the_doctor_can_say_why(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(timestamps, "_client", None)
    settings.LOG_TIMESTAMP_URL, settings.LOG_TIMESTAMP_ROOTS = "http://127.0.0.1:1/", str(tmp_path / "roots")
    write(1)
    publishing.push()
    assert "requirements-timestamps.txt" in Delivery.objects.get().error
