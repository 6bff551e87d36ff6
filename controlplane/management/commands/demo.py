"""``manage.py demo``: from raw data to models waiting for approval, on an installation of its own."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console

from controlplane import ports, serving
from controlplane.demo import cast, progress, running, summary
from controlplane.demo.examples import EXAMPLES
from security.identity.models import User


@dataclass
class Demo:
    """What one call of the command knows."""

    console: Console
    data: Path | None
    started: float = field(default_factory=time.monotonic)
    wall: float = field(default_factory=time.time)
    planned: list[running.Planned] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


class Command(BaseCommand):
    help = "Run the examples from data to a model waiting for approval, print what was found, and go on serving."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--no-serve", action="store_true", help="end after the summary; status 1 if anything failed"
        )
        parser.add_argument("--data", type=Path, help="folder that holds adult.csv")
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--new-passwords", action="store_true", help="give the demo's people new passwords")

    def handle(self, *, no_serve: bool, data: Path | None, host: str, port: int, new_passwords: bool, **_: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError("The demo makes up people; it does not run where COUNTERSIGN_PRODUCTION is set.")
        ports.require_free(host, port)
        demo = Demo(_console(), data)
        try:
            with serving.Supervisor(cwd=settings.BASE_DIR) as supervisor:
                good = _play(demo, supervisor, host=host, port=port, new_passwords=new_passwords)
                if not no_serve:
                    demo.console.print(f"\nServing at [bold]{ports.address(host, port)}/[/] until Ctrl-C.")
                    supervisor.serve()
        except serving.ProgramError as error:
            raise CommandError(f"{error}\nEverything has been stopped.") from None
        except cast.NotEmptyError as error:
            raise CommandError(str(error)) from None
        except serving.StoppedError as stopped:
            demo.console.print("\nStopped.")
            if no_serve or not demo.planned:
                sys.exit(128 + stopped.signum)
            return
        if not good:
            raise CommandError("The demo did not show what it is meant to show; see above.")


def _console() -> Console:
    """As wide as the terminal; a log file gets whole lines."""
    console = Console()
    return console if console.is_terminal else Console(width=160)


def _play(demo: Demo, supervisor: serving.Supervisor, *, host: str, port: int, new_passwords: bool) -> bool:
    """Everything up to the summary; whether all of it went as it is meant to."""
    call_command("migrate", verbosity=0, skip_checks=True)
    people, passwords = cast.ensure_people(new_passwords=new_passwords)
    logs, address = Path(settings.VAR) / "log", ports.address(host, port)
    supervisor.start(serving.worker(logs))
    supervisor.start(serving.web(logs, host=host, port=port))
    _introduce(demo, passwords)
    with demo.console.status("Writing the examples' data, starting web and worker ..."):
        _start_runs(demo, people, passwords)
        supervisor.wait_until(lambda: serving.web_ready(address), "The web server")
        supervisor.wait_until(lambda: serving.worker_ready(demo.wall), "The worker")
    demo.console.print(f"Pages: [bold]{address}/[/]   (runs: {address}/runs/)\n")
    progress.follow(demo.console, demo.planned, supervisor.check)
    for one in demo.planned:
        running.judge(one)
        running.submit(people["erin"], one)
    return _conclude(demo)


def _introduce(demo: Demo, passwords: dict[str, str]) -> None:
    if passwords:
        demo.console.print(summary.people_table(passwords))
    known = [person.username for person in cast.CAST if person.username not in passwords]
    if not settings.REQUIRE_MFA:
        demo.console.print(
            "Here a password alone signs an approval, so that you can try it in minutes. In production everybody who "
            "signs is asked for a second factor (COUNTERSIGN_REQUIRE_MFA).",
            style="yellow",
        )
    if known:
        demo.console.print(
            f"The people exist ({', '.join(known)}) with the passwords they were given. "
            "To give them new ones: make demo ARGS=--new-passwords"
        )


def _start_runs(demo: Demo, people: dict[str, User], passwords: dict[str, str]) -> None:
    """Data, systems, pipelines and runs, while web and worker are starting."""
    root = Path(settings.SOURCE_ROOTS[0])
    root.mkdir(parents=True, exist_ok=True)
    ready, demo.left_out = running.prepare(EXAMPLES, root, demo.data)
    systems = cast.ensure_systems(people, ready)
    cast.assess(people, systems, ready, passwords)
    for example in ready:
        demo.planned += running.start(people["erin"], systems[example.slug], example)


def _conclude(demo: Demo) -> bool:
    console = demo.console
    console.print(summary.steps_table(demo.planned))
    waiting = summary.waiting_table()
    console.print(waiting if waiting is not None else "Nothing waits for approval.")
    for line in demo.left_out:
        console.print(line, style="yellow", highlight=False)
    problems = [f"{one.title}: {problem}" for one in demo.planned for problem in one.problems]
    for problem in problems:
        console.print(f"✗ {problem}", style="bold red", highlight=False, markup=False)
    verified = summary.verify_log(console)
    reused = sum(step.state == "reused" for one in demo.planned for step in one.run.steps.all())
    total = sum(one.run.steps.count() for one in demo.planned)
    console.print(
        f"{len(demo.planned)} runs, {total} steps ({reused} reused), {time.monotonic() - demo.started:.0f} s."
    )
    return verified and not problems
