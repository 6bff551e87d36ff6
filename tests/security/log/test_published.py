"""What the log shows: tiles to a stock monitor, receipts and proofs, and to whom."""

from __future__ import annotations

import base64
import gzip

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from governance.offline import verify_export
from security.access.services import grant_role
from security.access.table import Role
from security.canonical import urn
from security.log import checkpoints, keys, merkle, selectors, tiles
from security.log.checkpoints import Checkpoint
from security.log.events import Event
from security.log.models import AuditEvent
from security.log.proofs import Receipt
from security.log.tiles import Tile
from tests.support.api import Api
from tests.support.attackers import write
from tests.support.models import store
from tests.support.people import People

pytestmark = pytest.mark.django_db


@pytest.fixture
def chief(people: People):
    """An auditor of all systems."""
    user = people.make("carla", "Carla Chief")
    grant_role(acting_user=people.admin, user=user, role=Role.AUDITOR)
    return user


def fetched(user, path, **headers):
    """A GET below the log's prefix, as a monitor sends it; without a user nobody asks."""
    token = Api(user).headers if user else {}
    return Client().get(f"/log/{path}", headers={**token, **headers})


def log_key():
    return keys.verifiers()[0]


# ----------------------------------------------------------------------------------------------- a stock monitor


class Monitor:
    """Knows the address, the key, tlog-checkpoint and tlog-tiles, and nothing of Countersign."""

    def __init__(self, user, key) -> None:
        self.headers, self.key, self.kept = Api(user).headers, key, None

    def get(self, path) -> bytes:
        answer = Client().get(f"/log/{path}", headers=self.headers)
        assert answer.status_code == 200, (path, answer.content)
        return answer.content

    def follow(self) -> Checkpoint:
        """Verify the newest checkpoint, all of its tiles and entries, and that it continues the one seen last."""
        new = checkpoints.open_signed(self.get("checkpoint"), self.key).checkpoint
        files = {tile: self.get(tile.path()) for tile in tiles.tiles_of(new.size)}
        read = tiles.reader(files.__getitem__, new.size)
        leaves = [hash for tile in files if tile.level == 0 for hash in tiles.decode_hashes(tile, files[tile])]
        assert merkle.root_of(leaves) == merkle.root(new.size, read) == new.root
        entries = [
            entry
            for bundle in tiles.bundles_of(new.size)
            for entry in tiles.decode_entries(bundle, self.get(bundle.path()))
        ]
        assert [merkle.leaf_hash(entry) for entry in entries] == leaves
        if self.kept is not None:
            proof = merkle.consistency_proof(self.kept.size, new.size, read)
            merkle.verify_consistency(self.kept.size, new.size, proof, self.kept.root, new.root)
        self.kept = new
        return new


def test_a_stock_monitor_follows_the_log_as_it_grows(chief):
    monitor = Monitor(chief, log_key())
    before = monitor.follow()
    write(300)
    assert monitor.follow().size == before.size + 300
    write(1)
    assert monitor.follow().size == selectors.head()[0]


def test_tiles_never_change_and_say_so(chief):
    write(300)
    full, partial = fetched(chief, "tile/0/000"), fetched(chief, "tile/0/000.p/17")
    assert (len(full.content), full["Content-Type"]) == (8192, "application/octet-stream")
    assert partial.content == full.content[: 17 * 32]
    for answer in (full, partial):
        assert answer["Cache-Control"] == "private, max-age=31536000, immutable"
        assert "Authorization" in answer["Vary"]
    checkpoint = fetched(chief, "checkpoint")
    assert (checkpoint["Content-Type"], checkpoint["Cache-Control"]) == ("text/plain; charset=utf-8", "no-cache")
    write(10)
    assert fetched(chief, "tile/0/000").content == full.content


def test_bundles_are_compressed_where_that_is_accepted(chief):
    write(260)
    plain, packed = (fetched(chief, "tile/entries/000", **{"Accept-Encoding": how}) for how in ("identity", "gzip"))
    assert packed["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.content) == plain.content
    assert len(tiles.decode_entries(Tile(None, 0), plain.content)) == 256


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/999",
        "tile/0/000.p/255",
        "tile/1/000.p/1",
        "tile/entries/001",
        "tile/0/0",
        "tile/64/000",
        "tile/0/../0/000",
        "tile/",
        "tile/0/000.p/0",
        "tile/checkpoint",
    ],
)
def test_what_the_signed_tree_does_not_have_is_not_there(chief, path):
    assert selectors.head()[0] < 250
    assert fetched(chief, path).status_code == 404


def test_a_tile_costs_the_same_however_long_the_log(chief):
    counts = []
    for more in (300, 600):
        write(more)
        headers = Api(chief).headers
        with CaptureQueriesContext(connection) as queries:
            Client().get("/log/tile/0/000", headers=headers)
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 6


# ----------------------------------------------------------------------------------------------------------- to whom


def test_who_may_see_hashes_and_who_entries(people, chief):
    width = selectors.head()[0]
    hashes, entries = ("checkpoint", f"tile/0/000.p/{width}"), f"tile/entries/000.p/{width}"
    for user in (chief, people.admin, people.auditor, people.owner):
        assert [fetched(user, path).status_code for path in hashes] == [200, 200], user
    assert [fetched(user, entries).status_code for user in (chief, people.admin)] == [200, 200]
    assert [fetched(user, entries).status_code for user in (people.auditor, people.owner)] == [403, 403]
    for user in (people.engineer, people.nobody):
        assert [fetched(user, path).status_code for path in (*hashes, entries)] == [403, 403, 403]
    assert [fetched(None, path).status_code for path in (*hashes, entries)] == [401, 401, 401]
    expired = Api(chief).end_token()
    assert [Client().get(f"/log/{path}", headers=expired.headers).status_code for path in hashes] == [401, 401]


def test_where_the_operator_publishes_the_log_hashes_are_for_everybody_and_entries_are_not(people, settings):
    settings.LOG_PUBLIC = True
    width = selectors.head()[0]
    answers = [fetched(None, path) for path in ("checkpoint", f"tile/0/000.p/{width}")]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1]["Cache-Control"] == "public, max-age=31536000, immutable"
    assert fetched(None, f"tile/entries/000.p/{width}").status_code == 401
    assert fetched(people.auditor, f"tile/entries/000.p/{width}").status_code == 403


def test_nothing_can_be_written_there(chief):
    token = Api(chief).headers
    for path in ("checkpoint", "tile/0/000.p/1"):
        assert Client().post(f"/log/{path}", headers=token).status_code == 405
        assert Client().delete(f"/log/{path}", headers=token).status_code == 405


# ----------------------------------------------------------------------------------------------------------- receipts


def checked(text):
    """What the offline verifier and the package say of a receipt."""
    receipt = Receipt.parse(text)
    opened = receipt.verify(receipt.extra, log_key())
    trust = verify_export.Trust([verify_export.Key.parse(log_key().vkey())])
    assert verify_export.verify_receipt(text, trust)
    return receipt, opened.checkpoint


def test_every_event_has_a_receipt_that_verifies_offline(people, chief):
    write(20)
    for event in AuditEvent.objects.filter(leaf__isnull=False):
        answer = Api(chief).get(f"events/{event.index}/receipt")
        receipt, _ = checked(answer.content.decode())
        assert (receipt.index, receipt.extra.decode()) == (event.index, event.entry)
    assert answer["Content-Disposition"] == f'attachment; filename="countersign-event-{event.index}.tlog-proof"'


def test_the_page_gives_the_same_receipt_to_whom_it_shows_the_event(people):
    mine = AuditEvent.objects.filter(system="credit").first()
    client = Client()
    client.force_login(people.auditor)
    assert (
        reverse("audit-receipt", args=[mine.index])
        in client.get(reverse("audit-event", args=[mine.index])).content.decode()
    )
    receipt, _ = checked(client.get(reverse("audit-receipt", args=[mine.index])).content.decode())
    assert receipt.extra.decode() == mine.entry
    other = AuditEvent.objects.filter(system="other").first()
    assert client.get(reverse("audit-receipt", args=[other.index])).status_code == 404
    client.force_login(people.engineer)
    assert client.get(reverse("audit-receipt", args=[mine.index])).status_code == 403


def test_an_artifact_has_a_receipt_of_its_storing(people):
    artifact = store(people.system, b"some bytes")
    answer = Api(people.engineer).get(f"artifacts/{artifact.pk}/receipt")
    receipt, _ = checked(answer.content.decode())
    assert urn("artifact", artifact.pk) in receipt.extra.decode()
    assert Event.ARTIFACT_STORED.value in receipt.extra.decode()
    client = Client()
    client.force_login(people.engineer)
    address = reverse("artifact-receipt", args=[artifact.pk])
    assert address in client.get(reverse("artifact", args=[artifact.pk])).content.decode()
    assert Receipt.parse(client.get(address).content.decode()).extra == receipt.extra
    client.force_login(people.outsider)
    assert client.get(address).status_code == 404


def test_an_event_without_a_number_has_no_receipt_yet(people, settings):
    settings.LOG_SEQUENCER = "process"
    artifact = store(people.system, b"some bytes")
    answer = Api(people.engineer).get(f"artifacts/{artifact.pk}/receipt")
    assert (answer.status_code, "no number yet" in answer.json()["detail"]) == (409, True)


# ------------------------------------------------------------------------------------------------------------- proofs


def unbase(hashes):
    return [base64.b64decode(each) for each in hashes]


def test_the_apis_proofs_verify_against_the_checkpoints_they_come_with(people, chief):
    write(30)
    old = selectors.head()
    write(33)
    api = Api(people.auditor)
    found = api.get("log/inclusion", index=7).json()
    signed = checkpoints.open_signed(found["checkpoint"], log_key()).checkpoint
    merkle.verify_inclusion(base64.b64decode(found["leaf"]), 7, signed.size, unbase(found["hashes"]), signed.root)
    found = api.get("log/consistency", old=old[0]).json()
    signed = checkpoints.open_signed(found["checkpoint"], log_key()).checkpoint
    assert (found["new"], signed.size) == (selectors.head()[0], selectors.head()[0])
    merkle.verify_consistency(old[0], signed.size, unbase(found["hashes"]), bytes.fromhex(old[1]), signed.root)
    assert api.get("log/consistency", old=3, new=old[0]).status_code == 200
    told = api.get("log/keys").json()
    assert told["log"] == log_key().vkey()


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("log/inclusion", {"index": 10**6}, 404),
        ("log/inclusion", {"index": 2, "size": 10**6}, 404),
        ("log/inclusion", {"index": -1}, 422),
        ("log/inclusion", {}, 422),
        ("log/inclusion", {"index": "x"}, 422),
        ("log/inclusion", {"index": 1, "more": 1}, 422),
        ("log/consistency", {"old": 0}, 422),
        ("log/consistency", {"old": 10**6}, 422),
        ("log/consistency", {"old": 1, "new": 10**6}, 404),
    ],
)
def test_a_proof_of_nothing_is_refused_with_a_reason(people, path, query, status):
    answer = Api(people.auditor).get(path, **query)
    assert answer.status_code == status, answer.content
    assert answer.json()["detail"]


def test_an_inclusion_proof_beyond_the_tree_it_is_asked_for_is_refused(people):
    size = selectors.head()[0]
    answer = Api(people.auditor).get("log/inclusion", index=size, size=size)
    assert (answer.status_code, answer.json()["field"]) == (422, "index")


def test_a_proof_costs_a_bounded_number_of_queries(people):
    write(700)
    api = Api(people.auditor)
    with CaptureQueriesContext(connection) as queries:
        api.get("log/inclusion", index=300)
    assert len(queries) <= 14
