"""A service in memory, and pages of a real Chromium that call nothing but it."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

import pytest
from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    async_playwright,
    expect,
)

from tests.browser.console import Console
from tests.support.processes import SECRET
from tests.support.service_process import SERVICE_KEY, ServiceProcess, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60_000  # milliseconds, for busy machines
expect.set_options(timeout=PATIENCE)
EXPECTED_ERRORS = ("Failed to load resource",)
"""What a browser writes about each answer that is not a success; tests ask for some."""


Look = tuple[str, str]
"""A size and a theme, such as `("phone", "dark")`."""
SIZES = {"phone": (360, 740), "low": (1280, 500), "usual": (1280, 720), "wide": (1920, 1080)}


class OpenConsole(Protocol):
    def __call__(
        self, user: str | None = None, look: Look = ("usual", "light"), *, alone: bool = False
    ) -> Coroutine[Any, Any, Console]:
        """`alone` is for a test of what all pages of a context have together, as the clock."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium on the PATH: apt-get install chromium")
    async with async_playwright() as playwright:
        # As root, as in most containers, Chromium's own sandbox does not start.
        sandbox = [] if os.getuid() else ["--no-sandbox"]
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
async def service() -> AsyncIterator[ServiceProcess]:
    async with running(
        "--memory",
        CHATKEEP_JWT_SECRET=SECRET,
        CHATKEEP_SERVICE_KEYS=SERVICE_KEY,
        CHATKEEP_MAX_USER_MESSAGE_CHARS="0",
        CHATKEEP_MAX_MESSAGE_CHARS="0",
        CHATKEEP_MAX_BODY_BYTES="0",
    ) as service:
        yield service


@pytest.fixture(scope="session")
async def context(browser: Browser, service: ServiceProcess) -> AsyncIterator[BrowserContext]:
    """Yield the context of all consoles, which keep what they know in their tabs.

    A context of its own, and a new process for a page, take most of the time of a test. The
    process stays as long as one page of the service is open.
    """
    context = await browser.new_context(locale="en-US")
    page = await context.new_page()
    await page.goto(f"{service.url}/console/icon.svg")
    yield context
    await context.close()


@pytest.fixture
async def open_console(
    browser: Browser, context: BrowserContext, service: ServiceProcess
) -> AsyncIterator[OpenConsole]:
    """Yield what opens the console for a user of its own, signed in.

    At the end, no page has called another origin or reported an error.
    """
    async with AsyncExitStack() as stack:

        async def open_one(
            user: str | None = None, look: Look = ("usual", "light"), *, alone: bool = False
        ) -> Console:
            place = context
            if alone:
                place = await browser.new_context(locale="en-US")
                stack.push_async_callback(place.close)
            return await stack.enter_async_context(
                console_of(place, service, user or f"user-{uuid4()}", look)
            )

        yield open_one


@asynccontextmanager
async def console_of(
    context: BrowserContext,
    service: ServiceProcess,
    user: str,
    look: Look = ("usual", "light"),
) -> AsyncIterator[Console]:
    size, scheme = look
    width, height = SIZES[size]
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service.url)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    await page.set_viewport_size({"width": width, "height": height})
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    problems: list[str] = []
    _record(page, service.url, problems.append)
    console = Console(page, service, user)
    await console.sign_in()
    yield console
    # What a test does to a request that is under way now would fail, in whatever test comes next.
    await page.unroute_all(behavior="ignoreErrors")
    await page.close()
    assert not problems


def _record(page: Page, origin: str, problem: Callable[[str], None]) -> None:
    def written(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not message.text.startswith(EXPECTED_ERRORS):
            problem(message.text)

    page.on("console", written)
    page.on("pageerror", lambda error: problem(str(error)))
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((f"{origin}/", "data:", f"blob:{origin}/"))
            else problem(request.url)
        ),
    )
    page.on("dialog", lambda dialog: problem(f"a dialog of a script: {dialog.message}"))
