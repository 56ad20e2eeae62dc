"""An operator looks after the service."""

from typing import Any
from uuid import uuid4

import pytest
from playwright.async_api import BrowserContext, Response, expect

from tests.browser.conftest import OpenConsole, console_of
from tests.browser.console import said
from tests.support.processes import SECRET
from tests.support.service_process import SERVICE_KEY, as_service, running, some

ON_A_DATABASE = {
    "at": "2026-11-30T12:00:00Z",
    "totals": {"users": 1200, "conversations": 34000, "messages": 456000, "estimated": True},
    "days": [
        {
            "day": f"2026-11-{day:02}",
            "messages": {"value": min(day**3, 20_000), "exact": day**3 <= 20_000},
        }
        for day in range(17, 31)
    ],
    "drafts": {"active": 12, "interrupted": 3, "exact": True},
    "last_sweep": {
        "due": "2026-11-30T03:00:00Z",
        "finished_at": "2026-11-30T03:00:02Z",
        "archived": 7,
        "deleted": 2,
        "retained": 1,
    },
    "last_examination": {
        "at": "2026-11-30T09:00:00Z",
        "healthy": False,
        "ok": 41,
        "warnings": 1,
        "failed": 2,
        "skipped": 1,
        "promises_kept": 21,
        "promises_broken": 1,
    },
    "storage": {
        "stored_bytes": 2**27,
        "database_bytes": 2**28,
        "bytes_per_day": 2**22,
        "plan_bytes": 2**29,
        "days_left": 64.0,
    },
    "latencies": {
        "bounds_ms": [1, 5, 25, 100],
        "counts": [900, 99, 20, 3, 1],
        "p50_ms": 1,
        "p95_ms": 5,
        "p99_ms": None,
    },
}
"""What a service in memory has no answer for."""


@pytest.mark.parametrize(("size", "scheme"), some([("phone", "dark"), ("wide", "light")], every=2))
@pytest.mark.full
async def test_what_an_operator_read_is_listed(
    open_console: OpenConsole, size: str, scheme: str
) -> None:
    user = f"read <b>{uuid4()}"
    console = await open_console(user, (size, scheme))
    created = await console.create("Secrets", said("A secret"))
    page = console.page
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_label("Token or service key").fill(SERVICE_KEY)
    await page.get_by_label("User (with").fill(user)
    await page.get_by_label("Your name").fill("Anna Müller")
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("link", name="Secrets").click()
    await console.message("A secret").wait_for()

    await page.goto(f"{console.service.url}/console/#/operator")
    await expect(page.get_by_role("img", name="message").first).to_be_visible()
    read = page.get_by_role("row").filter(has_text="getHistory")
    await expect(read.first).to_contain_text(f"Anna Müller{user}getHistory {created['id']}")
    await console.screenshot(f"operator-{size}-{scheme}")
    await console.check_access()


async def test_with_a_token_there_is_nothing_to_look_after(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.page.get_by_role("button", name="Sign out").wait_for()

    await expect(console.page.get_by_role("link", name="Look after the service")).to_have_count(0)


async def test_a_user_is_erased_after_a_look_at_what_goes(open_console: OpenConsole) -> None:
    console = await open_console(f"erase {uuid4()}")
    held = await console.create("On hold", said("One", "Two"))
    await console.create("Another", said("Three"))
    at = f"/v1/conversations/{held['id']}"
    service = as_service(console.user)
    page = console.page
    await console.service.call("PATCH", at, {"retain": True}, headers=service)
    await console.sign_in_as_service()
    overview: dict[str, Any] = dict(ON_A_DATABASE)
    await page.route("**/v1/overview", lambda route: route.fulfill(json=overview))
    await page.get_by_role("link", name="Look after the service").click()

    await expect(page.get_by_text("256 MB of 512 MB")).to_be_visible()
    await expect(page.get_by_text("Plan is full in")).to_be_visible()
    await expect(page.get_by_text("7 archived, 2 deleted, 1 on hold")).to_be_visible()
    await expect(page.get_by_role("img", name="up to 1 ms: 900; up to 5 ms: 99")).to_be_visible()
    await expect(page.get_by_text("21 kept, 1 broken")).to_be_visible()
    await console.screenshot("overview")
    await console.check_access()
    await expect(
        page.get_by_text("2 conversations (2 active, 0 archived, 1 on hold)")
    ).to_be_visible()
    await expect(page.get_by_text("Nothing can be erased while 1 conversation is")).to_be_visible()
    await expect(page.get_by_role("button", name="Erase this user")).to_be_disabled()
    await console.service.call("PATCH", at, {"retain": False}, headers=service)
    overview["last_examination"] = None
    await page.reload()
    await expect(page.get_by_text("has not been run")).to_be_visible()
    await page.get_by_role("button", name="Erase this user").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("2 conversations and 3 messages will be gone for good")
    await expect(dialog.get_by_role("button", name="Erase for good")).to_be_disabled()
    await console.screenshot("erase-user")
    await console.check_access()
    await dialog.get_by_role("textbox").fill(console.user)
    await dialog.get_by_role("button", name="Erase for good").click()

    await expect(page.get_by_role("row").filter(has_text="eraseUser")).to_have_count(1)
    await expect(page.get_by_role("link", name="Another")).to_have_count(0)
    assert (await console.call("GET", "/v1/me"))["conversations"] == 0


async def test_where_texts_are_hidden_no_word_reaches_the_page(context: BrowserContext) -> None:
    user = f"hidden {uuid4()}"
    hidden = {"CHATKEEP_CONSOLE_TEXT": "hidden", "CHATKEEP_SERVICE_KEYS": SERVICE_KEY}
    async with (
        running("--memory", CHATKEEP_JWT_SECRET=SECRET, **hidden) as service,
        console_of(context, service, user) as console,
    ):
        await console.create("swordfish", said("A swordfish", "Another swordfish"))
        answers: list[Response] = []
        await console.page.goto("about:blank")
        console.page.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108 - Playwright marks it
        await console.sign_in_as_service()
        page = console.page
        await page.get_by_role("navigation").get_by_role("link", name="•••••••••").click()
        await console.message("•" * len("Another swordfish")).wait_for()
        await expect(console.messages()).to_have_count(2)
        await console.screenshot("hidden")
        await page.get_by_label("Search").fill("swordfish")
        await expect(page.get_by_text("keeps from operators what users wrote")).to_be_visible()

        bodies = [
            await each.text() for each in answers if each.status == 200 and "/v1/" in each.url
        ]
        assert bodies
        assert not [body for body in bodies if "swordfish" in body]
