"""A service in memory, and pages of a real Chromium that call nothing but it."""

import os
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Protocol
from uuid import uuid4

import pytest
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from tests.browser.console import Console
from tests.support.processes import SECRET
from tests.support.service_process import SERVICE_KEY, ServiceProcess, running

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PATIENCE = 60_000  # milliseconds, for busy machines
expect.set_options(timeout=PATIENCE)
EXPECTED_ERRORS = ("Failed to load resource",)
"""What a browser writes about each answer that is not a success; tests ask for some."""


class OpenConsole(Protocol):
    def __call__(
        self,
        user: str | None = None,
        **options: Any,  # noqa: ANN401 - Playwright's
    ) -> Coroutine[Any, Any, Console]: ...


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


@pytest.fixture
async def open_console(browser: Browser, service: ServiceProcess) -> AsyncIterator[OpenConsole]:
    """Yield what opens the console for a user of its own, signed in.

    At the end, no page has called another origin or reported an error.
    """
    async with AsyncExitStack() as stack:

        async def open_one(user: str | None = None, **options: Any) -> Console:  # noqa: ANN401 - Playwright's
            return await stack.enter_async_context(
                console_of(browser, service, user or f"user-{uuid4()}", options)
            )

        yield open_one


@asynccontextmanager
async def console_of(
    browser: Browser, service: ServiceProcess, user: str, options: dict[str, Any]
) -> AsyncIterator[Console]:
    context = await browser.new_context(**options)
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service.url)
    page = await context.new_page()
    page.set_default_timeout(PATIENCE)
    problems: list[str] = []
    _record(page, service.url, problems.append)
    console = Console(page, service, user)
    await console.sign_in()
    yield console
    # What a test does to a request that is under way now would fail, in whatever test comes next.
    await page.unroute_all(behavior="ignoreErrors")
    await context.close()
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
