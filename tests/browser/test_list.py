"""The list of conversations follows what happens elsewhere."""

import asyncio
from typing import Any

import pytest
from playwright.async_api import Locator, expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import Console, said

HIDE = """isHidden => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => isHidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def rows(console: Console) -> Locator:
    return console.page.locator("conversation-list > ul > li")


async def create_all(console: Console, titles: list[str]) -> list[dict[str, Any]]:
    return await asyncio.gather(*(console.create(title, said("Hello")) for title in titles))


async def top_of(row: Locator) -> float:
    box = await row.bounding_box()
    assert box is not None
    return box["y"]


async def test_new_changed_and_deleted_conversations_appear_by_themselves(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    await console.page.get_by_text("Nothing is kept yet").wait_for()
    oldest = await console.create("Oldest", said("Hello"))
    archived = await console.create("To archive", said("Hello"))
    deleted = await console.create("To delete", said("Hello"))
    await console.create("<b>Renamed</b>?", said("Hello"))

    titles = rows(console).locator(".title")
    await expect(titles).to_have_text(["<b>Renamed</b>?", "To delete", "To archive", "Oldest"])
    await console.call("PATCH", f"/v1/conversations/{archived['id']}", {"status": "archived"})
    await console.call("DELETE", f"/v1/conversations/{deleted['id']}")
    path = f"/v1/conversations/{oldest['id']}"
    await console.call("PATCH", path, {"title": "Active again"})
    await console.call("POST", f"{path}/messages", {"role": "user", "content": "More"})

    await expect(titles).to_have_text(["Active again", "<b>Renamed</b>?"])
    await expect(rows(console).first).to_contain_text("2 messages")


@pytest.mark.full
async def test_what_one_reads_in_the_list_stays_in_its_place(open_console: OpenConsole) -> None:
    console = await open_console(look=("low", "light"))
    made = await create_all(console, [f"Chat {number:02}" for number in range(60)])
    await console.refresh()
    await expect(rows(console)).to_have_count(50)
    await rows(console).last.scroll_into_view_if_needed()
    await expect(rows(console)).to_have_count(60)
    read = rows(console).nth(40)
    title = await read.locator(".title").inner_text()
    await read.get_by_role("link").click()
    await console.message("Hello").wait_for()
    read = rows(console).filter(has_text=title)
    before = await top_of(read)
    gone = next(each for each in made if each["title"] not in {title, "Chat 30"})

    await create_all(console, ["New one", "New two"])
    await console.call("DELETE", f"/v1/conversations/{gone['id']}")

    await expect(rows(console)).to_have_count(61)
    assert abs(await top_of(read) - before) < 2
    await expect(read.get_by_role("link")).to_have_attribute("aria-current", "page")
    await expect(read.get_by_role("link")).to_be_focused()


async def test_filter_and_search_stay_while_the_list_follows(open_console: OpenConsole) -> None:
    console = await open_console()
    [old, _] = await create_all(console, ["Old volcano", "Lunch"])
    page = console.page
    await page.get_by_label("Show").select_option("Archived")
    await expect(page.get_by_text("No conversations here.")).to_be_visible()
    await page.get_by_label("Search").fill("hello")
    hits = page.locator("search-results li")
    await expect(hits).to_have_count(2)

    await console.create("Active and new", said("Hello"))
    await console.call("PATCH", f"/v1/conversations/{old['id']}", {"status": "archived"})

    await expect(rows(console)).to_have_count(1)
    await expect(rows(console)).to_be_hidden()
    await expect(hits).to_have_count(2)
    await page.get_by_label("Search").fill("")
    await expect(rows(console).locator(".title")).to_have_text(["Old volcano"])
    await expect(rows(console)).to_be_visible()


@pytest.mark.full
async def test_a_hidden_tab_leaves_its_streams_and_catches_up_when_it_is_seen(
    open_console: OpenConsole,
) -> None:
    console = await open_console(alone=True)
    page = console.page
    await create_all(console, ["Before"])
    await expect(rows(console)).to_have_count(1)
    await create_all(console, ["Live"])
    await expect(rows(console)).to_have_count(2)  # the stream has begun
    await page.clock.install()

    async with page.expect_event("requestfailed", lambda request: "/v1/events" in request.url):
        await page.evaluate(HIDE, arg=True)
        await page.clock.fast_forward(6000)
    await create_all(console, ["Meanwhile"])
    async with page.expect_request(lambda request: "/v1/events" in request.url):
        await page.evaluate(HIDE, arg=False)

    await expect(rows(console)).to_have_count(3)
    await expect(page.get_by_role("alert")).to_be_hidden()
