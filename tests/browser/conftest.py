"""A real Chromium against a real server: any console error, failed request or refused policy fails the test."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, Response, expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from security.identity.models import User
from tests.support.databases import usable_by_threads
from tests.support.people import People

ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-dev-shm-usage"]
DESK, PHONE = 1440, 390
PATIENCE_MS = 30_000  # the first step of a session waits for the libraries of all steps to be imported
POLICY_WATCH = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`));
"""

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium(django_db_setup: None) -> Iterator[Browser]:
    """The system's Chromium; its path comes from ``COUNTERSIGN_CHROMIUM`` or the search path.

    Playwright keeps an event loop in this thread, beside which Django's database calls must be allowed; so it lives no
    longer than a module's tests.
    """
    path = os.environ.get("COUNTERSIGN_CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None or not Path(path).exists():
        pytest.skip("no Chromium here: install chromium, or set COUNTERSIGN_CHROMIUM to its path")
    with pytest.MonkeyPatch.context() as environment, sync_playwright() as playwright:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def site(transactional_db: None, people: People, tmp_path: Path) -> Iterator[str]:
    """The address of a server of this test's own, with the cast of the tests in its database."""
    with usable_by_threads(tmp_path):
        server = LiveServer("localhost")
        yield server.url
        server.stop()


@pytest.fixture
def open_page(chromium: Browser, site: str) -> Iterator[Open]:
    """``open_page(user, path, width=DESK, scheme="light")`` gives a page; complaints of all pages end the test."""
    complaints: list[str] = []
    expect.set_options(timeout=PATIENCE_MS)
    contexts = []

    def opened(user: User | None, path: str, *, width: int = DESK, scheme: str = "light", script: bool = True) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,  # type: ignore[arg-type]  # "light" or "dark"
            java_script_enabled=script,
        )
        contexts.append(context)
        if user is not None:
            name = django_settings.SESSION_COOKIE_NAME
            context.add_cookies([{"name": name, "value": _session(user), "url": site}])
        page = context.new_page()
        page.set_default_timeout(PATIENCE_MS)
        page.add_init_script(POLICY_WATCH)
        page.on("console", lambda message: complaints.extend(_said(message)))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("response", lambda answer: complaints.extend(_broken(answer)))
        page.goto(site + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def _said(message: ConsoleMessage) -> list[str]:
    """An error in the console; a failed request stands there too, and is judged by ``_broken``."""
    failed_request = message.text.startswith("Failed to load resource")
    return [message.text] if message.type == "error" and not failed_request else []


def _broken(answer: Response) -> list[str]:
    """An answer that no page should get; 422 is a form that was refused with its reasons."""
    return [f"{answer.status} {answer.url}"] if answer.status >= 400 and answer.status != 422 else []


def _session(user: User) -> str:
    client = Client()
    client.force_login(user)
    return client.cookies[django_settings.SESSION_COOKIE_NAME].value


def fits(page: Page) -> bool:
    """Whether the page, once it is loaded, is no wider than its window."""
    page.wait_for_load_state("load")
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def follow(page: Page, target: Locator) -> None:
    """Click and stay until the next page is loaded: a click returns as soon as the request is on its way."""
    with page.expect_navigation(wait_until="load"):
        target.click()
