"""One working provider of each kind, with the means to take it away: what the contract test runs over."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
import pkcs11 as hsm
import pytest
from moto.server import ThreadedMotoServer

from security.vault import envelope, keyring
from security.vault.providers.contract import KeyProvider
from tests.support import transit_server
from tests.support.absent import absent

REGION = "eu-central-1"
HSM_PIN = "1234"
_SOFTHSM = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
)


@dataclass
class Offered:
    """A provider's settings, the provider made from them, and three things that may happen to it."""

    settings: dict[str, str]
    provider: KeyProvider
    rotate: Callable[[], None]  # another key, or version, becomes the present one where the provider has such
    lose: Callable[[], None]  # it goes away
    again: Callable[[], KeyProvider]  # the same configuration in a process that starts now


def make(kind: str, settings: dict[str, Any]) -> KeyProvider:
    """A provider named as its kind, not shared with anybody."""
    return envelope._made.__wrapped__(kind, tuple(settings.items()))


@contextmanager
def keyring_file(folder: Path) -> Iterator[Offered]:
    path = folder / "ring" / "keyring.json"
    keyring.create(path)
    settings: dict[str, Any] = {"KIND": "keyring", "path": path}
    yield Offered(
        settings,
        make("keyring", settings),
        rotate=lambda: (keyring.add_key(path), None)[1],
        lose=path.unlink,
        again=lambda: make("keyring", settings),
    )


@contextmanager
def transit(folder: Path) -> Iterator[Offered]:
    with ExitStack() as stack:
        server = stack.enter_context(transit_server.running())
        token = folder / "token"
        token.write_text(f"{server.token}\n")
        settings = {"KIND": "transit", "url": server.url, "key": "countersign", "token_file": str(token)}
        yield Offered(
            settings,
            make("transit", settings),
            rotate=lambda: (server.rotate("countersign"), None)[1],
            lose=stack.close,
            again=lambda: make("transit", settings),
        )


@contextmanager
def kms(folder: Path) -> Iterator[Offered]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        stack.callback(server.stop)
        host, port = server.get_host_and_port()
        client = boto3.client("kms", region_name=REGION, endpoint_url=f"http://{host}:{port}")
        alias = f"alias/countersign-{os.urandom(4).hex()}"  # the server's state outlives the server
        client.create_alias(AliasName=alias, TargetKeyId=client.create_key()["KeyMetadata"]["KeyId"])
        settings = {"KIND": "kms", "key": alias, "region": REGION, "endpoint": f"http://{host}:{port}"}

        def rotate() -> None:
            client.update_alias(AliasName=alias, TargetKeyId=client.create_key()["KeyMetadata"]["KeyId"])

        yield Offered(
            settings, make("kms", settings), rotate=rotate, lose=stack.close, again=lambda: make("kms", settings)
        )
        client.close()


@contextmanager
def pkcs11(folder: Path) -> Iterator[Offered]:
    """SoftHSM, a software module with PKCS #11's own interface; skipped where Debian's softhsm2 is not installed."""
    module, token = soft_token()
    label = f"kek-{os.urandom(4).hex()}"
    with hsm.lib(module).get_token(token_label=token).open(user_pin=HSM_PIN, rw=True) as session:
        key = session.generate_key(hsm.KeyType.AES, 256, label=label, store=True)
        settings = {"KIND": "pkcs11", "module": module, "token": token, "pin": HSM_PIN, "key": label}
        yield Offered(
            settings,
            make("pkcs11", settings),
            rotate=lambda: None,  # another key has another label, which is another configuration
            lose=key.destroy,
            again=lambda: make("pkcs11", settings),
        )


@lru_cache(maxsize=1)
def soft_token() -> tuple[str, str]:
    """The path of SoftHSM's module and the label of a new token; once per process, since it reads its tokens once."""
    module = os.environ.get("COUNTERSIGN_SOFTHSM") or next((path for path in _SOFTHSM if Path(path).exists()), None)
    if module is None:
        absent("no SoftHSM here: install the package softhsm2, or set COUNTERSIGN_SOFTHSM to its module")
    folder = Path(os.environ["COUNTERSIGN_VAR"]) / "softhsm"
    (folder / "tokens").mkdir(parents=True)
    (folder / "softhsm2.conf").write_text(f"directories.tokendir = {folder}/tokens\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(folder / "softhsm2.conf")
    command = ["softhsm2-util", "--init-token", "--free", "--label", "test", "--pin", HSM_PIN, "--so-pin", "5678"]
    subprocess.run(command, check=True, capture_output=True)
    return module, "test"


KINDS: dict[str, Callable[[Path], AbstractContextManager[Offered]]] = {
    "keyring": keyring_file,
    "transit": transit,
    "kms": kms,
    "pkcs11": pkcs11,
}
