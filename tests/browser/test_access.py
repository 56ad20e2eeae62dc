"""For everybody: sizes, themes, keyboard and screen readers."""

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenConsole
from tests.support.service_process import some


@pytest.mark.parametrize(
    ("size", "scheme"),
    some([("phone", "dark"), ("wide", "light"), ("phone", "light"), ("wide", "dark")], every=4),
)
async def test_axe_finds_nothing_in_any_size_and_theme(
    open_console: OpenConsole, size: str, scheme: str
) -> None:
    console = await open_console(look=(size, scheme))
    page = console.page

    async def check(name: str) -> None:
        await console.screenshot(f"{name}-{size}-{scheme}")
        await console.check_access()

    await page.get_by_role("button", name="Load sample").wait_for()
    await check("empty")
    await page.get_by_role("button", name="Load sample").click()
    await page.get_by_role("link", name="Lunch at the office").wait_for()
    await check("list")
    await page.get_by_role("link", name="Lunch at the office").click()
    await console.message("Two curries, please.").wait_for()
    await page.get_by_text("Calls menu").click()
    await check("conversation")
    await console.act("Delete")
    await page.get_by_role("dialog").wait_for()
    await check("delete")
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Sign out").click()
    await check("sign-in")


async def test_the_keyboard_is_enough(open_console: OpenConsole) -> None:
    console = await open_console()
    keyboard = console.page.keyboard
    await console.page.get_by_role("button", name="Load sample").press("Enter")
    link = console.page.get_by_role("link", name="Lunch at the office")
    await link.wait_for()

    await link.press("Enter")
    await console.message("Two curries, please.").wait_for()
    await console.page.get_by_text("Calls menu").press("Enter")
    await expect(console.page.get_by_text('"soup": "lentil"')).to_be_visible()
    await console.page.locator(".heading-bar summary").press("Enter")
    await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(console.page.get_by_role("dialog")).to_be_visible()
    await expect(console.page.get_by_label("Title")).to_be_focused()
    await keyboard.type("By keyboard")
    await keyboard.press("Enter")
    await expect(console.page.get_by_role("heading", name="By keyboard")).to_be_visible()
    await console.page.reload()
    await console.message("Two curries, please.").wait_for()
    await keyboard.press("Tab")
    await expect(console.page.get_by_role("link", name="Skip")).to_be_focused()
