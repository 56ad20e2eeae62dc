"""Searching as one types, and going to the place."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import said


async def test_hits_are_highlighted_and_lead_to_their_messages(open_console: OpenConsole) -> None:
    console = await open_console()
    filler = [f"about number {number}" for number in range(120)]
    await console.create("Travels", said("We saw 🌋 the Café du Volcan", *filler))
    await console.create("Café hours", said("When does it open?"))
    await console.refresh()

    await console.page.keyboard.press("/")
    await expect(console.page.get_by_label("Search")).to_be_focused()
    await console.page.keyboard.type("cafe")
    hits = console.page.locator("search-results li")
    await expect(hits).to_have_count(2)
    await expect(hits.locator("mark")).to_have_text(["Café", "Café"])
    await console.check_access()
    await hits.filter(has_text="Volcan").get_by_role("link").click()

    await expect(console.message("Café du Volcan")).to_be_in_viewport()
    await console.page.get_by_label("Search").fill("nothing of this kind")
    await expect(console.page.get_by_text("Nothing was found.")).to_be_visible()
    await console.page.get_by_label("Search").fill("")
    await expect(
        console.page.get_by_role("navigation").locator("conversation-list > ul > li")
    ).to_have_count(2)


@pytest.mark.full
async def test_an_item_of_openai_leads_to_the_message_after_it(open_console: OpenConsole) -> None:
    console = await open_console()
    filler = [f"about number {number}" for number in range(60)]
    conversation = await console.create("Travels", said(*filler))
    reasoning = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "A volcano?"}]}
    items = f"/openai/v1/conversations/conv_{conversation['id'].replace('-', '')}/items"
    await console.call("POST", items, {"items": [reasoning]})
    path = f"/v1/conversations/{conversation['id']}/messages"
    await console.call("POST", path, {"messages": said("Yes, a volcano", *filler)})
    await console.refresh()

    await console.page.get_by_label("Search").fill("volcano -yes")
    hit = console.page.locator("search-results li")
    await expect(hit).to_contain_text("reasoning")
    await hit.get_by_role("link").click()

    await expect(console.message("Yes, a volcano")).to_be_in_viewport()


@pytest.mark.full
async def test_any_query_is_shown_as_it_was_read(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.create("Odd", said("<script>alert(1)</script>", "fine"))
    await console.refresh()

    await console.page.get_by_label("Search").fill("<script> role:user")
    hit = console.page.locator("search-results li")

    await expect(hit).to_contain_text("<script>alert(1)</script>")
    await console.page.get_by_label("Search").fill('"unclosed OR ( role:nobody -')
    await expect(console.page.get_by_text("Nothing was found.")).to_be_visible()
