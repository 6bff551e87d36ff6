"""docs/formats/log.md: its receipt is real, and its commands, run as they stand there, say what it says."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from governance.offline import verify_export
from security.log.entries import COMMITMENT_DOMAIN
from security.log.notes import Verifier
from security.log.proofs import Receipt

ROOT = Path(__file__).resolve().parents[3]
DOCUMENT = (ROOT / "docs" / "formats" / "log.md").read_text()
RECEIPT, KEYS = re.findall(r"```text\n(.*?)```", DOCUMENT, re.DOTALL)
LOG, CLOCK = (Verifier.parse(line) for line in KEYS.split())


def test_the_receipt_in_the_document_holds():
    receipt = Receipt.parse(RECEIPT)
    opened = receipt.verify(receipt.extra, LOG, [CLOCK], quorum=1)
    assert (receipt.index, opened.checkpoint.size) == (2, 5)
    assert opened.checkpoint.text() in DOCUMENT.replace("    ", "")


def test_the_offline_verifier_takes_it():
    trust = verify_export.Trust([verify_export.Key.parse(LOG.vkey())], [verify_export.Key.parse(CLOCK.vkey())], 1)
    assert verify_export.verify_receipt(RECEIPT, trust).startswith("entry 2 of 5 of countersign.example/log: {")


@pytest.mark.skipif(not all(map(shutil.which, ("openssl", "xxd", "bash"))), reason="openssl, xxd or bash is not here")
def test_the_commands_check_it_by_hand(tmp_path):
    (tmp_path / "receipt").write_text(RECEIPT)
    signature, inclusion = re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL)
    environment = {"KEY": LOG.vkey(), "PATH": "/usr/bin:/bin"}

    def run(script):
        command = ["bash", "-euc", script]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    done = run(signature)
    assert (done.returncode, done.stdout) == (0, "Signature Verified Successfully\n"), done.stderr
    assert (tmp_path / "text").read_bytes() in RECEIPT.encode()
    assert run(inclusion).stdout == RECEIPT.split("\n\n")[1].split("\n")[2] + "\n"
    (tmp_path / "receipt").write_text(RECEIPT.replace("\n5\n", "\n6\n"))
    assert run(signature).returncode == 1


def test_the_document_names_the_domain_of_commitments():
    assert f'"{COMMITMENT_DOMAIN[:-1].decode()}" ‖ 0x00' in DOCUMENT
