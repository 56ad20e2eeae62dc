"""Taking a conversation along as a file, and finding a day in it."""

import asyncio
import json

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import Console, said

ENDLESS = """() => {
    const fetched = window.fetch;
    const endless = () => new Response(
        new ReadableStream({ pull: (stream) => stream.enqueue(new Uint8Array(1024 * 1024)) }));
    window.fetch = async (url, options) =>
        url.includes("/export") ? endless() : fetched(url, options);
}"""


async def save(console: Console, action: str) -> tuple[str, bytes]:
    """Return the name and the content of the file that an action saves."""
    async with console.page.expect_download() as download:
        await console.act(action)
    saved = await download.value
    path = await saved.path()
    return saved.suggested_filename, await asyncio.to_thread(path.read_bytes)


async def test_a_conversation_is_saved_as_json_lines_and_as_markdown(
    open_console: OpenConsole,
) -> None:
    title = "../Évil\u202e name/of: a <file>"
    console = await open_console()
    await console.sign_in_as_service()
    made = await console.create(title, said("Grüße <b>", "Done."))
    await console.page.evaluate("id => location.hash = '#/c/' + id", made["id"])
    await console.message("Done.").wait_for()

    name, line = await save(console, "Export as JSON Lines")
    assert name == "Évil-name-of-a-file.jsonl"
    assert [each["content"] for each in json.loads(line)["messages"]] == ["Grüße <b>", "Done."]
    name, text = await save(console, "Export as Markdown")
    assert name == "Évil-name-of-a-file.md"
    assert "Grüße <b>" in text.decode()
    await expect(console.page.get_by_role("status").last).to_contain_text("Saved as")

    await console.page.evaluate(ENDLESS)
    await console.act("Export as JSON Lines")
    await expect(console.page.get_by_role("status").last).to_contain_text("100 MB")


@pytest.mark.full
async def test_a_day_is_found_by_keyboard_alone(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.create("Diary", said(*(f"entry {number}." for number in range(200))))
    await console.choose("Diary")
    await console.message("entry 199.").wait_for()
    keyboard, status = console.page.keyboard, console.page.get_by_role("status").last

    async def open_dialog() -> None:
        await console.page.locator(".heading-bar summary").press("Enter")
        await console.page.get_by_role("button", name="Jump to a date").press("Enter")
        await expect(console.page.get_by_label("Date", exact=True)).to_be_focused()

    await open_dialog()
    await console.check_access()
    await keyboard.press("Enter")  # the day on which it began
    await expect(console.message("entry 0.")).to_be_in_viewport()
    await expect(console.message("entry 0.")).to_be_focused()
    await expect(status).to_contain_text("first message from that day on")
    await open_dialog()
    await keyboard.type("12312999")
    await keyboard.press("Enter")
    await expect(console.message("entry 199.")).to_be_in_viewport()
    await expect(status).to_contain_text("Nothing was said from that day on")
