"""From a specification to a review through the REST API: register, run, watch, submit.

    pip install httpx
    export COUNTERSIGN_TOKEN=cs_…     # Settings, Tokens; scopes: read, run, submit
    python examples/api_client.py http://127.0.0.1:8000 breast-cancer examples/breast-cancer.yaml

Every POST carries an Idempotency-Key, so that a request whose answer got lost can be sent again without doing its
work twice.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

OPEN = ("queued", "running")


class RefusedError(Exception):
    """The server's problem (RFC 9457), as a person reads it."""


def say(line: str) -> None:
    """A line for the person at the terminal."""
    sys.stdout.write(f"{line}\n")


def call(client: httpx.Client, method: str, path: str, *, tries: int = 4, **more: Any) -> Any:
    """One request, sent again when the server is busy or away; the JSON of its answer. Raises RefusedError."""
    headers = {**more.pop("headers", {}), **({"Idempotency-Key": str(uuid.uuid4())} if method == "POST" else {})}
    for left in reversed(range(tries)):
        try:
            answer = client.request(method, f"/api/v1/{path}", headers=headers, **more)
        except httpx.TransportError:
            if not left:
                raise
            time.sleep(1)
            continue
        if "Retry-After" not in answer.headers or not left:
            break
        time.sleep(int(answer.headers["Retry-After"]))
    body = answer.json()
    if answer.is_error:
        lines = [body["detail"]]
        for error in body.get("errors", []):
            place = f"line {error['line']}: " if error.get("line") else ""
            hint = f" ({error['hint']})" if error.get("hint") else ""
            lines.append(f"  {place}{error.get('message') or error.get('detail')}{hint}")
        raise RefusedError("\n".join(lines))
    return body


def watch(client: httpx.Client, run: dict[str, Any], pause: Callable[[], None]) -> dict[str, Any]:
    """Ask for the run until it ends, and say when a step changes."""
    seen: dict[str, str] = {}
    while True:
        for step in run["steps"]:
            if seen.get(step["name"]) != step["state"]:
                seen[step["name"]] = step["state"]
                say(f"  {step['name']:<20} {step['state']:<10} {step['verdict'] or ''} {step['summary']}")
        if run["state"] not in OPEN:
            return run
        pause()
        run = call(client, "GET", f"runs/{run['id']}")


def main(
    client: httpx.Client, system: str, spec: bytes, parameters: dict[str, str], pause: Callable[[], None]
) -> dict[str, Any]:
    """Register ``spec`` in ``system``, run it, and submit the model it registered; returns the review."""
    yaml = {"Content-Type": "application/yaml"}
    version = call(client, "POST", "pipelines", params={"system": system}, content=spec, headers=yaml)
    say(f"{version['pipeline']['name']} v{version['number']} is {version['digest'][:12]}")
    started = call(client, "POST", "runs", json={"version": version["id"], "parameters": parameters})
    run = watch(client, started, pause)
    if run["state"] != "succeeded":
        errors = [f"{step['name']}: {step['error']['message']}" for step in run["steps"] if step["error"]]
        raise RefusedError("\n".join([f"The run {run['state']}.", *errors]))
    digest = next(
        output["artifact"]["digest"] for step in run["steps"] for output in step["outputs"] if output["kind"] == "model"
    )
    model = call(client, "GET", "model-versions", params={"digest": digest, "system": system})["results"][0]
    review = call(client, "POST", f"model-versions/{model['id']}/submit", json={"note": "from the example client"})
    say(f"{model['model']['name']} v{model['number']}: {review['gates_passed']} of {review['gates_total']} gates pass")
    for gate in review["gates"]:
        say(f"  {gate['verdict']:<13} {gate['kind']:<24} {gate['reason']}")
    people = ", ".join(person["full_name"] for person in review["decision"]["eligible"])
    say(f"can decide: {people or 'nobody'}")
    return review


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Register, run and submit through the REST API.")
    parser.add_argument("server")
    parser.add_argument("system")
    parser.add_argument("spec", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a run parameter (text)")
    asked = parser.parse_args()
    token = os.environ.get("COUNTERSIGN_TOKEN", "")
    if not token:
        sys.exit("COUNTERSIGN_TOKEN is not set: make a token under Settings, Tokens, and export it.")
    bearer = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=asked.server, headers=bearer, timeout=30) as opened:
        try:
            given = dict(item.split("=", 1) for item in asked.set)
            main(opened, asked.system, asked.spec.read_bytes(), given, lambda: time.sleep(1))
        except RefusedError as refused:
            sys.exit(str(refused))
