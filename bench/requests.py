"""Inside the installation: fill it, ask for pages and API answers, and print latency and query counts as JSON."""

from __future__ import annotations

import json
import statistics
import sys
import time

import django

django.setup()

from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from bench.filling import fill_log, fill_models, submit_some
from bench.people import cast
from controlplane import gunicorn_conf
from governance.models import Review
from pipelines.models import ModelVersion
from security.access.models import AISystem
from security.identity.models import User
from security.log import verification

REPEATS = 40


def main(models: int, events: int) -> None:
    """Fill with ``models`` models, a fifth of them in review, and ``events`` events; measure every address ``REPEATS``
    times, for an auditor and where it differs for a validator for whom all reviews wait."""
    engineer, system = cast()
    versions = fill_models(system, engineer, models)
    submit_some(versions, engineer, models // 5)
    fill_log(system, engineer, events)
    if not verification.verify().ok:
        raise SystemExit("the filled log does not verify")
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as autovacuum does within a minute
    gunicorn_conf.when_ready(None)
    auditor, validator = _client("aldo"), _client("vera")
    audited = [_measure(auditor, name, address) for name, address in _pages(system, versions[0]).items()]
    decided = [_measure(validator, f"{name}, deciding", reverse(name)) for name in ("home", "reviews")]
    gunicorn_conf.on_exit(None)
    print(json.dumps(audited + decided))


def _pages(system: AISystem, version: ModelVersion) -> dict[str, str]:
    return {
        "home": reverse("home"),
        "systems": reverse("systems"),
        "system": reverse("system", args=[system.slug]),
        "pipelines": reverse("pipelines"),
        "runs": reverse("runs"),
        "run": reverse("run", args=[version.step_run.run_id]),
        "models": reverse("models"),
        "model version": reverse("model-version", args=[version.pk]),
        "review": reverse("review", args=[Review.objects.order_by("submitted_at")[0].pk]),
        "reviews": reverse("reviews"),
        "lineage": reverse("lineage", args=[version.artifact_id]),
        "audit": reverse("audit"),
        "audit, last page": reverse("audit") + "?page=100000",
        "API models": "/api/v1/models",
        "API model version": f"/api/v1/model-versions/{version.pk}",
        "API runs": "/api/v1/runs",
        "API events": "/api/v1/events",
    }


def _client(username: str) -> Client:
    client = Client(headers={"host": settings.ALLOWED_HOSTS[0]})
    client.force_login(User.objects.get(username=username))
    return client


def _measure(client: Client, name: str, address: str) -> dict[str, object]:
    client.get(address)  # what is written once a while, such as when somebody was last seen, is no part of a page
    with CaptureQueriesContext(connection) as asked:
        answer = client.get(address)
    queries = len(asked)  # before the next request empties the log
    if answer.status_code != 200:
        return {"case": name, "error": f"HTTP {answer.status_code} at {address}"}
    taken = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        client.get(address)
        taken.append(1000 * (time.perf_counter() - started))
    return {
        "case": name,
        "queries": queries,
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(statistics.quantiles(taken, n=20)[-1], 1),
        "bytes": len(answer.content),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
