"""The AI SDK's `useChat`, in a real page: an answer survives a closed tab, and any tab stops it."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.chatbot import PAGE, USER, chatbot
from tests.support.service_process import ServiceProcess, as_user

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="needs `make ai-sdk-page`, with npm")

FEW = 30
ENDLESS = 3_000


async def opened(browser: Browser, address: str) -> Page:
    page = await (await browser.new_context()).new_page()
    await page.goto(address)
    await page.get_by_role("button", name="Send").wait_for()
    return page


async def ask(page: Page) -> None:
    await page.get_by_label("message").fill("Count, please.")
    await page.get_by_role("button", name="Send").click()


async def stored(service: ServiceProcess, address: str) -> list[dict[str, str]]:
    _, _, chat = address.partition("chat=")
    path = f"/v1/conversations/{chat}/messages"
    found: list[dict[str, str]] = (await service.call("GET", path, headers=as_user(USER)))["items"]
    return found


async def test_an_answer_goes_on_when_its_tab_is_closed_and_opened_again(
    browser: Browser, service: ServiceProcess
) -> None:
    whole = " ".join(f"word{number}" for number in range(FEW))
    async with chatbot(service, FEW) as address:
        first = await opened(browser, address)
        await ask(first)
        await expect(first.get_by_label("assistant")).to_contain_text("word5")
        await first.close()

        second = await opened(browser, address)

        await expect(second.get_by_label("user")).to_have_text("Count, please.")
        await expect(second.get_by_label("assistant")).to_have_text(whole)
        await expect(second.get_by_label("status")).to_have_text("ready")
        third = await opened(browser, address)
        await expect(third.get_by_label("assistant")).to_have_text(whole)
    messages = await stored(service, address)
    assert [each["role"] for each in messages] == ["user", "assistant"]
    assert messages[1]["content"].strip() == whole


async def test_a_second_tab_stops_an_answer_in_both(
    browser: Browser, service: ServiceProcess
) -> None:
    async with chatbot(service, ENDLESS) as address:
        first = await opened(browser, address)
        await ask(first)
        await expect(first.get_by_label("assistant")).to_contain_text("word2")
        second = await opened(browser, address)
        await expect(second.get_by_label("assistant")).to_contain_text("word4")

        await second.get_by_role("button", name="Stop").click()

        for page in (first, second):
            await expect(page.get_by_label("status")).to_have_text("ready")
    messages = await stored(service, address)
    assert [each["role"] for each in messages] == ["user", "assistant"]
    assert messages[1]["content"].startswith("word0 word1 ")
