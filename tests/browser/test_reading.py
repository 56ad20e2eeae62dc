"""The list, and reading a conversation."""

import asyncio
import os
import re
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.async_api import Route, expect

import chatkeep.entrypoints.console
from tests.browser.conftest import OpenConsole
from tests.browser.console import said
from tests.support.service_process import FULL, SERVICE_KEY

CALL = {"id": "call_1", "type": "function", "function": {"name": "menu", "arguments": '{"day":1}'}}
PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
    "awAAAABJRU5ErkJggg=="
)
HOSTILE = [
    "<img src=x onerror=\"window.stolen = 1; alert('html')\">",
    "<script>window.stolen = 2; alert('script')</script>",
    "[click](javascript:window.stolen=3) and [data](data:text/html,<script>alert(1)</script>)",
    "![picture](https://elsewhere.example/pixel.png) <svg onload=alert(1)>",
    "\u202egnp.exe\u202c \u2066hidden\u2069 \u200f end",
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x00 \x9b1m",
    "</code></pre><iframe src=https://elsewhere.example></iframe>",
    "{{constructor.constructor('alert(1)')()}} ${alert(1)} <%= 1 %>",
    "`" * 3000 + "*" * 3000 + "[" * 3000 + "_" * 3000 + "> " * 3000,
    "Z" + "\u0301" * 2000 + "algo",
]


async def test_a_link_signs_in_and_leaves_no_token_in_the_address(
    open_console: OpenConsole,
) -> None:
    console = await open_console("alice of the link")

    await expect(console.page.get_by_text("alice of the link")).to_be_visible()
    assert console.page.url == f"{console.service.url}/console/"
    assert await console.page.evaluate("localStorage.length + document.cookie.length") == 0
    await console.page.reload()
    await expect(console.page.get_by_text("alice of the link")).to_be_visible()
    await console.page.get_by_role("button", name="Sign out").click()
    await expect(console.page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert await console.page.evaluate("sessionStorage.length") == 0


async def test_an_empty_service_shows_a_call_that_works_and_loads_samples(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    command = await console.page.locator("pre", has_text="curl").inner_text()
    items = console.page.get_by_role("navigation").get_by_role("listitem")

    await console.page.get_by_role("button", name="Load sample").click()
    await expect(items).to_have_count(3)
    shell = await asyncio.create_subprocess_shell(command, stdout=asyncio.subprocess.PIPE)
    made, _ = await shell.communicate()
    assert b'"title":"First steps"' in made

    await expect(items).to_have_count(4)
    await expect(items.first).to_contain_text("First steps")
    await console.page.get_by_role("link", name="Lunch at the office").click()
    await expect(console.message("Two curries, please.")).to_be_visible()


async def test_the_call_does_not_show_a_service_key(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.sign_in_as_service()
    command = await console.page.locator("pre", has_text="curl").inner_text()

    assert SERVICE_KEY not in command
    shell = await asyncio.create_subprocess_shell(
        command,
        stdout=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], "CHATKEEP_SERVICE_KEY": SERVICE_KEY},
    )
    made, _ = await shell.communicate()
    assert b'"title":"First steps"' in made


async def test_the_list_goes_on_as_one_scrolls_and_filters_by_status(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    for number in range(60):
        created = await console.create(f"Chat {number:02}")
    await console.call("PATCH", f"/v1/conversations/{created['id']}", {"status": "archived"})
    await console.refresh()
    items = console.page.get_by_role("navigation").get_by_role("listitem")

    await expect(items.first).to_contain_text("Chat 58")
    await items.last.scroll_into_view_if_needed()
    await expect(items).to_have_count(59)
    await expect(items.last).to_contain_text("Chat 00")
    await console.page.get_by_label("Show").select_option("Archived")
    await expect(items).to_have_count(1)
    await expect(items).to_contain_text("Chat 59")


async def test_a_conversation_shows_roles_calls_with_results_parts_and_code(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    await console.create(
        "Everything",
        [
            {"role": "system", "content": "Be brief."},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "Look at **this**"},
                    {"type": "image_url", "image_url": {"url": PIXEL}},
                    {"type": "image_url", "image_url": {"url": "https://elsewhere.example/a.png"}},
                    {"type": "file", "file": {"file_id": "f", "filename": "report.pdf"}},
                    {"type": "hologram", "beam": 7},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": '{"soup":true}'},
            {"role": "assistant", "content": "# Menu\n\n1. soup\n2. bread\n\n```py\nx = 1\n```"},
        ],
    )
    await console.choose("Everything")

    await expect(console.messages()).to_have_count(4)
    looked = console.message("Look at this")
    await expect(looked.locator("strong")).to_have_text("this")
    await expect(looked.get_by_role("img", name="Image")).to_have_js_property("naturalWidth", 1)
    await expect(looked.get_by_role("link", name="elsewhere.example/a.png")).to_be_visible()
    await expect(looked.get_by_text("report.pdf")).to_be_visible()
    await looked.get_by_text("Part of type hologram").click()
    await expect(looked.get_by_text('"beam": 7')).to_be_visible()
    await console.page.get_by_text("Calls menu").click()
    await expect(console.page.get_by_text('"soup": true')).to_be_visible()
    menu = console.message("soup").last
    await expect(menu.get_by_role("heading", name="Menu")).to_be_visible()
    await expect(menu.locator("ol > li")).to_have_text(["soup", "bread"])
    await expect(menu.locator("pre")).to_have_text("x = 1")


@pytest.mark.full
async def test_each_message_has_its_json_and_a_link_that_opens_its_place(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    await console.create("Linked", said(*(f"message number {number}" for number in range(200))))
    await console.choose("Linked")
    last = console.message("message number 199")
    await last.get_by_label("Details").click()
    await last.get_by_role("button", name="As JSON").click()
    await expect(last.locator(".raw")).to_contain_text('"content":"message number 199"')
    stored = await console.call(
        "GET", f"/v1/conversations/{console.page.url.rpartition('/')[2]}/messages?limit=40"
    )
    sought = stored["items"][30]

    await console.page.evaluate("id => location.hash += '/m/' + id", sought["id"])
    await expect(console.message(sought["content"])).to_be_in_viewport()
    await console.page.reload()
    found = console.message(sought["content"])
    await expect(found).to_be_in_viewport()
    await found.get_by_label("Details").click()
    await found.get_by_role("button", name="Copy a link").click()
    assert await console.page.evaluate("navigator.clipboard.readText()") == console.page.url
    await console.page.get_by_role("button", name="Latest messages").click()
    await expect(console.message("message number 199")).to_be_in_viewport()


async def test_hostile_texts_are_shown_as_texts(open_console: OpenConsole) -> None:
    console = await open_console()
    line = "M" * (1_000_000 if FULL else 100_000)
    made = await console.create("Hostile <b>title</b>", said(*HOSTILE, line, *HOSTILE))
    await console.call("PATCH", f"/v1/conversations/{made['id']}", {"metadata": {}})
    await console.choose("Hostile <b>title</b>")

    for text in HOSTILE[:2]:
        await expect(console.message(text).first).to_be_attached()
    links = console.page.locator("article .body a")
    hrefs = await links.evaluate_all("each => each.map((one) => one.protocol)")
    assert set(hrefs) <= {"http:", "https:"}
    assert await console.page.locator("article .body").locator("script, iframe, svg").count() == 0
    assert await console.page.evaluate("window.stolen") is None
    button = console.page.get_by_role("button", name=f"Show all {len(line):,} characters")
    await button.click()
    await expect(button).to_have_count(0)
    assert await console.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_a_long_conversation_keeps_few_messages_in_the_page(
    open_console: OpenConsole,
) -> None:
    count = 10_000 if FULL else 1_000
    console = await open_console()
    await console.create("Long", said(*(f"number {number}" for number in range(count))))
    await console.choose("Long")
    log = console.page.get_by_role("region", name="Messages")
    most = 0

    while not await console.page.get_by_text("The conversation starts here.").count():
        await log.evaluate("element => element.scrollTop = 0")
        await console.page.wait_for_timeout(30)
        most = max(most, await console.messages().count())
    first = console.messages().first
    await expect(first).to_contain_text("number 0")

    assert most < 700
    await log.evaluate("element => element.scrollTop = element.scrollHeight")
    await expect(console.message(f"number {count - 1}")).to_be_visible()
    await expect(console.messages().filter(has_text=re.compile(r"number 0\b"))).to_have_count(0)


async def test_versions_of_a_message_are_chosen_with_arrows(open_console: OpenConsole) -> None:
    console = await open_console()
    made = await console.create("Branched", said("A question", "First answer"))
    path = f"/v1/conversations/{made['id']}"
    question = made["messages"][0]["id"]
    second = {"role": "assistant", "content": "Second answer"}
    await console.call("POST", f"{path}/messages", {"after": question, **second})
    await console.choose("Branched")

    await expect(console.message("Second answer")).to_contain_text("2/2")
    await console.page.get_by_role("button", name="Previous version").click()
    await expect(console.message("First answer")).to_contain_text("1/2")
    await expect(console.message("Second answer")).to_have_count(0)
    await console.page.get_by_role("button", name="Next version").click()
    await expect(console.message("Second answer")).to_be_visible()


async def test_on_a_slow_line_there_are_skeletons_where_the_conversation_will_be(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    made = await console.create("Slow", said("Hello"))
    await console.page.evaluate("id => location.hash = '#/c/' + id", made["id"])
    await console.message("Hello").wait_for()
    is_there = asyncio.Event()

    async def hold(route: Route) -> None:
        await is_there.wait()
        await route.continue_()

    await console.page.route("**/conversation-view.js", hold)
    await console.page.reload()
    await expect(console.page.locator("#conversation .skeleton")).to_have_count(3)
    await expect(console.page.get_by_text("Choose a conversation")).to_have_count(0)
    is_there.set()

    await expect(console.message("Hello")).to_be_visible()
    await expect(console.page.locator("#conversation .skeleton")).to_have_count(0)


@pytest.mark.full
async def test_what_is_not_there_is_said(open_console: OpenConsole) -> None:
    console = await open_console()

    await console.page.evaluate("id => location.hash = '#/c/' + id", str(uuid4()))

    await expect(console.page.get_by_role("alert").last).to_contain_text("does not exist")


def test_the_page_weighs_little() -> None:
    folder = Path(chatkeep.entrypoints.console.__file__).parent / "static"

    assert sum(path.stat().st_size for path in folder.iterdir()) < 120_000


async def test_what_others_write_appears_by_itself(open_console: OpenConsole) -> None:
    console = await open_console()
    made = await console.create("Live", said("First"))
    path = f"/v1/conversations/{made['id']}"
    await console.choose("Live")
    await console.message("First").wait_for()

    for content in ("Second", "Third", "Fourth"):
        await console.call("POST", f"{path}/messages", {"role": "assistant", "content": content})

    await expect(console.messages()).to_have_count(4)
    await expect(console.message("Fourth")).to_be_in_viewport()
    await expect(console.page.locator(".heading-bar")).to_contain_text("4 messages")
    await console.call("DELETE", path)
    await expect(console.page.get_by_role("alert").last).to_contain_text("does not exist")
