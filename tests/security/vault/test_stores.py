"""The stores: plain files and S3 behave alike, and a file store is not led astray."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import boto3
import pytest
from django.core.exceptions import SuspiciousFileOperation
from django.core.files.storage import Storage
from moto.server import ThreadedMotoServer

from security.errors import UnavailableError
from security.vault import scrubbing, shredding
from security.vault import services as vault
from security.vault.models import Artifact
from security.vault.s3 import S3ObjectStorage
from security.vault.storage import AtomicFileStorage, ChunkedFile
from security.vault.stream import SEGMENT_BYTES, DamagedError
from tests.support.api import stored
from tests.support.people import People

ROOT = Path(__file__).resolve().parents[3]
LARGE = hashlib.shake_256(b"large").digest(20 * 2**20 + 5)  # more than one part of an upload


@pytest.fixture(scope="module")
def aws() -> Iterator[tuple[str, Any]]:
    """``(endpoint, client)`` of an S3 server on this machine."""
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        endpoint = f"http://{host}:{port}"
        client = boto3.client("s3", region_name="us-east-1", endpoint_url=endpoint)
        yield endpoint, client
        client.close()


@pytest.fixture
def bucket(aws: tuple[str, Any], settings: Any) -> str:
    """The vault stores in a new bucket."""
    endpoint, client = aws
    name = f"vault-{os.urandom(4).hex()}"
    client.create_bucket(Bucket=name)
    options = {"bucket_name": name, "endpoint_url": endpoint, "region_name": "us-east-1", "location": "artifacts"}
    backend = {"BACKEND": "security.vault.s3.S3ObjectStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "vault": backend}
    return name


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest) -> Storage:
    if request.param == "s3":
        request.getfixturevalue("bucket")
    return vault.store()


def test_what_is_stored_comes_back_whole_and_in_ranges(store: Storage, people: People):
    for content in (b"", b"small", LARGE):
        artifact = stored(people.system, content)
        assert vault.read(artifact) == content
        with vault.open_range(artifact) as file:
            middle = len(content) // 2
            file.seek(middle)
            assert file.read(100) == content[middle : middle + 100]
        assert vault.is_whole(artifact)


def test_a_missing_object_is_damage_and_heals_when_its_content_is_put_again(store: Storage, people: People):
    artifact = stored(people.system, b"content")
    store.delete(artifact.object_name)
    store.delete(artifact.object_name)  # which is no error
    assert not vault.is_whole(artifact)
    with pytest.raises(DamagedError, match="missing"):
        vault.read(artifact)
    assert scrubbing.examine(artifact)[0].kind == "missing"
    stored(people.system, b"content")
    assert vault.read(artifact) == b"content"


def test_a_source_that_breaks_leaves_no_object(store: Storage, db: None):
    def failing() -> Iterator[bytes]:
        yield LARGE
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError, match="the source broke"):
        vault.put(failing())
    assert [name for folder in _folders(store) for name in store.listdir(folder)[1]] == []


def test_marks_of_erasure_are_found_again(store: Storage, people: People):
    artifact = stored(people.system, b"content")
    assert shredding.unfinished() == []
    key = {name: getattr(artifact, name) for name in ("provider", "key_id", "wrapped_key", "shredded_at")}
    shredding.shred(acting_user=people.owner, artifact=artifact, ground="unlawful")
    Artifact.objects.update(**key)
    assert [found.pk for found in shredding.unfinished()] == [artifact.pk]


def test_names_in_the_store_are_random_and_nothing_else_is_there(store: Storage, people: People):
    artifact = stored(people.system, b"content")
    names = [f"{folder}/{name}" for folder in _folders(store) for name in store.listdir(folder)[1]]
    assert names == [artifact.object_name]
    assert artifact.digest not in "".join(names)


def _folders(store: Storage) -> list[str]:
    try:
        return store.listdir("")[0]
    except FileNotFoundError:
        return []


# ------------------------------------------------------------------------------------------------------------ S3


def test_a_range_on_s3_asks_for_its_own_part_of_the_object(bucket: str, people: People):
    artifact = stored(people.system, LARGE)
    asked: list[str] = []
    events = vault.store().connection.meta.client.meta.events
    events.register("provide-client-params.s3.GetObject", lambda params, **_: asked.append(params["Range"]))
    with vault.open_range(artifact) as file:
        file.seek(5 * SEGMENT_BYTES)
        file.read(10)
        assert file.segments_read == 2
    assert len(asked) == 3  # header, last segment, the one that was read
    assert asked[-1] == f"bytes={5 * SEGMENT_BYTES}-"


def test_an_s3_that_is_away_or_refuses_is_a_clear_error(bucket: str, people: People, settings: Any, monkeypatch: Any):
    artifact = stored(people.system, b"content")
    for change in ({"endpoint_url": "http://127.0.0.1:9"}, {"bucket_name": "no-such-bucket"}):
        options = {**settings.STORAGES["vault"]["OPTIONS"], **change}
        settings.STORAGES = {**settings.STORAGES, "vault": {**settings.STORAGES["vault"], "OPTIONS": options}}
        with pytest.raises(UnavailableError, match="nothing was stored"):
            vault.put([b"new"])
        if "endpoint_url" in change:
            with pytest.raises(UnavailableError, match="store"):
                vault.read(artifact)
            with pytest.raises(UnavailableError, match="store"):
                scrubbing.examine(artifact)


def test_an_upload_holds_one_part_and_runs_in_the_callers_thread(bucket: str):
    import threading

    seen: set[int] = set()

    def pieces() -> Iterator[bytes]:
        for _ in range(40):
            seen.add(threading.get_ident())
            yield bytes(1 << 20)

    storage = vault.store()
    assert isinstance(storage, S3ObjectStorage)
    storage.save("aa/x", ChunkedFile(pieces()))
    assert seen == {threading.get_ident()}
    assert storage.size("aa/x") == 40 << 20


@pytest.mark.parametrize("sizes", [[], [0, 3], [5, 0, 7], [100, 1, 50]])
def test_a_one_pass_stream_can_be_read_in_any_sizes(sizes: list[int]):
    content = [bytes([n]) * size for n, size in enumerate(sizes)]
    for step in (1, 4, 1000, -1):
        file, parts = ChunkedFile(content), []
        while part := file.read(step):
            parts.append(part)
        assert b"".join(parts) == b"".join(content)


# --------------------------------------------------------------------------------------------------------- files


@pytest.fixture
def files(tmp_path: Path) -> AtomicFileStorage:
    return AtomicFileStorage(location=tmp_path / "vault")


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "aa/../../outside", "aa/..", ".", "", "aa/\0"])
def test_a_name_that_leads_out_of_the_store_is_refused(files: AtomicFileStorage, name: str, tmp_path: Path):
    (tmp_path / "outside").write_bytes(b"theirs")
    for act in (files.open, files.exists, files.size, files.delete, lambda n: files._save(n, ChunkedFile([b"x"]))):
        with pytest.raises((SuspiciousFileOperation, ValueError)):
            act(name)
    assert (tmp_path / "outside").read_bytes() == b"theirs"


def test_a_planted_link_is_neither_read_nor_written_through(files: AtomicFileStorage, tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"theirs")
    files.save("aa/ours", ChunkedFile([b"ours"]))
    root = Path(files.location)
    (root / "aa" / "link").symlink_to(outside / "secret")
    (root / "bb").symlink_to(outside)
    for name in ("aa/link", "bb/secret"):
        with pytest.raises(SuspiciousFileOperation):
            files.open(name)
        with pytest.raises(SuspiciousFileOperation):
            files.size(name)
    with pytest.raises(SuspiciousFileOperation):
        files._save("bb/new", ChunkedFile([b"x"]))
    with pytest.raises(SuspiciousFileOperation):
        files.delete("bb/secret")
    files.delete("aa/link")  # the link itself
    assert sorted(path.name for path in outside.iterdir()) == ["secret"]
    assert (outside / "secret").read_bytes() == b"theirs"


def test_a_planted_pipe_or_folder_neither_blocks_nor_is_read(files: AtomicFileStorage):
    files.save("aa/ours", ChunkedFile([b"ours"]))
    root = Path(files.location)
    os.mkfifo(root / "aa" / "pipe")
    (root / "aa" / "folder").mkdir()
    for name in ("aa/pipe", "aa/folder"):
        with pytest.raises(SuspiciousFileOperation):
            files.open(name)


def test_an_artifact_whose_object_became_a_link_is_damaged_and_heals(people: People, tmp_path: Path):
    artifact = stored(people.system, b"content")
    path, elsewhere = Path(vault.store().path(artifact.object_name)), tmp_path / "copy"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)
    with pytest.raises(DamagedError, match="not a plain file"):
        vault.read(artifact)
    assert scrubbing.examine(artifact)[0].kind == "damaged"
    stored(people.system, b"content")
    assert vault.read(artifact) == b"content"


def test_a_vault_folder_that_is_a_link_into_nowhere_good_stores_nothing(people: People, tmp_path: Path):
    vault.put([b"makes the folder"])
    root, elsewhere = Path(vault.store().location), tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number in range(256):
        if not (root / f"{number:02x}").exists():
            (root / f"{number:02x}").symlink_to(elsewhere)
    refused = 0
    for _ in range(20):
        try:
            vault.put([b"x"])
        except UnavailableError:
            refused += 1
    assert refused >= 15
    assert list(elsewhere.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_disk_that_fails_while_storing_leaves_nothing(db: None, monkeypatch: Any, number: int, call: str):
    def fails(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(f"security.vault.storage.os.{call}", fails)
        with pytest.raises(UnavailableError, match="nothing was stored"):
            vault.put([LARGE])
    assert [path for path in Path(vault.store().location).rglob("*") if path.is_file()] == []


WRITER = """
import sys
from security.vault.storage import AtomicFileStorage, ChunkedFile
from security.vault import stream

from django.conf import settings
settings.configure()
store = AtomicFileStorage(location=sys.argv[1])
print("ready", flush=True)
for number in range(10_000):
    name = f"aa/{number:032x}"
    content = [name.encode() * 1000] * 100
    store.save(name, ChunkedFile(stream.encrypt(content, key=bytes(32), associated_data=name.encode())))
    print(name, flush=True)
"""


def test_kill_minus_nine_while_storing_leaves_whole_objects_and_partial_files_only(tmp_path: Path):
    """Twelve writers are killed at twelve moments: what has its name is whole, what was announced is there."""
    from security.vault.stream import decrypt

    for attempt in range(12):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.02 + 0.013 * attempt)
        process.send_signal(signal.SIGKILL)
        announced = process.stdout.read().split()
        process.wait()
        process.stdout.close()
        store = AtomicFileStorage(location=folder)
        there = [path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".partial-")]
        assert {name.removeprefix("aa/") for name in announced if len(name) == 35} <= set(there)
        for name in there:
            with store.open(f"aa/{name}") as source:
                plain = b"".join(decrypt(source, key=bytes(32), associated_data=f"aa/{name}".encode()))
            assert plain == f"aa/{name}".encode() * 1000 * 100
        assert len(list(folder.rglob(".partial-*"))) <= 1
