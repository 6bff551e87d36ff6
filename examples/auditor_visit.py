"""An auditor's visit through the REST API: look, ask for documents, take them away, and check them without the server.

    pip install httpx cryptography
    export COUNTERSIGN_TOKEN=cs_…     # Settings, Tokens; scopes: read, export
    python examples/auditor_visit.py http://127.0.0.1:8000 credit visit/ --key 'origin+hash+key' --since 2026-01-01

It ends with status 1 if anything does not verify. ``--key`` is the verifier key of the log as you noted it when the
installation was set up: not what this server says today. ``verify_export.py`` should come from a release you trust.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

PURPOSE = "audit visit"
VERIFIER = Path(__file__).resolve().parents[1] / "governance" / "offline" / "verify_export.py"


class VisitError(Exception):
    """Something was refused, or does not verify."""


def say(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stdout.write(f"{line}\n")


def call(client: httpx.Client, method: str, path: str, **more: Any) -> httpx.Response:
    """One request; what the server refuses is an error that says why (RFC 9457)."""
    headers = {"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {}
    answer = client.request(method, f"/api/v1/{path}", headers=headers, **more)
    if answer.is_error:
        raise VisitError(f"{method} {path}: {answer.json()['detail']}")
    return answer


def every(client: httpx.Client, path: str, **filters: str) -> Iterator[dict[str, Any]]:
    """All rows of a list, page by page."""
    page = 1
    while True:
        found = call(client, "GET", path, params={**filters, "page": page, "page_size": 200}).json()
        yield from found["results"]
        if found["next"] is None:
            return
        page += 1


def taken(client: httpx.Client, folder: Path, pause: Callable[[], None], **wanted: str) -> Path:
    """Ask for a document, wait until it is made, and take it and its receipt away. Its digest is the one on record."""
    export = call(client, "POST", "exports", json={"purpose": PURPOSE, **wanted}).json()
    while export["state"] in ("waiting", "making"):
        pause()
        export = call(client, "GET", f"exports/{export['id']}").json()
    if export["state"] != "made":
        raise VisitError(f"{export['kind']}: {export['error']}")
    file = folder / export["filename"]
    content = call(client, "GET", f"exports/{export['id']}/content").content
    if hashlib.sha256(content).hexdigest() != export["artifact"]["digest"]:
        raise VisitError(f"{file.name} does not have the digest on record")
    file.write_bytes(content)
    receipt = call(client, "GET", f"exports/{export['id']}/receipt").content
    file.with_name(f"{file.name}.tlog-proof").write_bytes(receipt)
    say(f"  {file.name:<52} {len(content):>9,} bytes  {export['artifact']['digest'][:12]}")
    return file


def verified(path: Path, key: str) -> None:
    """The bundle or receipt holds, checked in a process that knows nothing but the file and the key."""
    command = [sys.executable, "-I", str(VERIFIER), str(path), "--key", key]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own script
    if done.returncode:
        raise VisitError(f"{path.name} does not verify:\n{done.stdout}")


def receipt_names(receipt: Path, file: Path) -> None:
    """The event that a receipt proves is the making of this very file."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    if digest not in _entry(receipt):
        raise VisitError(f"{receipt.name} is about another file than {file.name}")


def _entry(receipt: Path) -> str:
    """The entry that the receipt carries, which its format holds in base64."""
    lines = [line for line in receipt.read_text().splitlines() if line.startswith("extra ")]
    return "".join(base64.b64decode(line.removeprefix("extra ")).decode() for line in lines)


def main(
    client: httpx.Client, system: str, folder: Path, key: str, since: datetime, pause: Callable[[], None]
) -> list[Path]:
    """The whole visit; returns the files. Raises VisitError at the first thing that does not hold."""
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    who = call(client, "GET", "me").json()["person"]
    say(f"{who['full_name']} visits {system}")
    standing = call(client, "GET", f"systems/{system}/standing", params={"at": now.isoformat()}).json()
    used = [row for row in standing["versions"] if row["status"] == "active"]
    say(f"{len(used)} of {len(standing['versions'])} model versions may be used; tier {standing['tier']}")
    say("Documents:")
    period = {"since": since.isoformat(), "until": now.isoformat()}
    files = [
        taken(client, folder, pause, kind="model-inventory", subject=system, format="csv"),
        taken(client, folder, pause, kind="risk-profile", subject=system, format="pdf"),
        taken(client, folder, pause, kind="standing", subject=system, format="pdf", at=now.isoformat()),
        taken(client, folder, pause, kind="audit-period", subject=system, format="jsonl", **period),
    ]
    for review in every(client, "reviews", system=system):
        if review["decided_at"]:
            asked = {"kind": "validation-report", "subject": review["id"]}
            files.append(taken(client, folder, pause, format="pdf", **asked))
            files.append(taken(client, folder, pause, format="oscal-assessment-results", **asked))
    for approval in every(client, "approvals", system=system):
        files.append(taken(client, folder, pause, kind="approval-certificate", subject=approval["id"], format="pdf"))
    check_period(next(file for file in files if file.suffix == ".jsonl"))
    for file in files:
        receipt = file.with_name(f"{file.name}.tlog-proof")
        verified(receipt, key)
        receipt_names(receipt, file)
    say(f"{len(files)} documents, each proven by its receipt")
    for row in used:
        bundle = folder / f"{row['model']['model']}-v{row['model']['number']}.zip"
        bundle.write_bytes(call(client, "GET", f"model-versions/{row['model']['id']}/bundle").content)
        verified(bundle, key)
        files.append(bundle)
        say(f"  {bundle.name}: lineage, evidence, decisions and log verify")
    return files


def check_period(file: Path) -> None:
    """Every line of a period's report has the leaf hash that its entry gives (RFC 9162, 2.1.1), in rising order."""
    head, *lines = [json.loads(line) for line in file.read_text().splitlines()]
    if len(lines) != head["content"]["events"]:
        raise VisitError(f"{file.name} has {len(lines)} events and says that there are {head['content']['events']}")
    for line in lines:
        if hashlib.sha256(b"\0" + line["entry"].encode()).hexdigest() != line["leaf"]:
            raise VisitError(f"entry {line['index']} was changed")
    if [line["index"] for line in lines] != sorted({line["index"] for line in lines}):
        raise VisitError(f"{file.name} is not in the order of the log")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An auditor's visit through the REST API.")
    parser.add_argument("server")
    parser.add_argument("system")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--key", required=True, help="the verifier key of the log, as you noted it")
    parser.add_argument("--since", default="2026-01-01", help="first day of the period (UTC)")
    asked = parser.parse_args()
    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if not token:
        sys.exit("COUNTERSIGN_TOKEN is not set: make a token under Settings, Tokens, and export it.")
    bearer = {"Authorization": f"Bearer {token}"}
    first = datetime.fromisoformat(asked.since).replace(tzinfo=UTC)
    with httpx.Client(base_url=asked.server, headers=bearer, timeout=60) as opened:
        try:
            main(opened, asked.system, asked.folder, asked.key, first, lambda: time.sleep(1))
        except VisitError as error:
            sys.exit(str(error))
