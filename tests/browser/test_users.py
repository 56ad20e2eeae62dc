"""An operator finds a user and sees their conversations."""

from uuid import uuid4

import pytest
from playwright.async_api import expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import said
from tests.support.service_process import as_user, some


@pytest.mark.parametrize(
    ("size", "scheme"), some([("phone", "dark"), ("wide", "light")], every=2, first=1)
)
@pytest.mark.full
async def test_a_user_is_found_by_the_beginning_of_their_id(
    open_console: OpenConsole, size: str, scheme: str
) -> None:
    console = await open_console(look=(size, scheme))
    start = f"find-{uuid4()}"
    hostile = f"{start}/<img src=x onerror=alert(1)>"
    await console.service.call(
        "POST",
        "/v1/conversations",
        {"title": "Of the other user", "messages": said("Hello")},
        headers=as_user(hostile),
    )
    await console.sign_in_as_service()
    page = console.page

    await page.get_by_role("button", name="Find a user").click()
    dialog = page.get_by_role("dialog")
    await page.get_by_label("The id begins with").fill(f"{start}-no")
    await expect(dialog.get_by_text("No user has such an id.")).to_be_visible()
    await page.get_by_label("The id begins with").fill(start)
    found = dialog.get_by_role("listitem")
    await expect(found).to_have_count(1)
    await expect(found).to_contain_text("1 conversation")
    await console.screenshot(f"users-{size}-{scheme}")
    await console.check_access()
    await found.get_by_role("button").click()

    await expect(page.get_by_text(hostile, exact=True)).to_be_visible()
    await expect(page.get_by_role("link", name="Of the other user")).to_be_visible()


async def test_with_a_token_there_are_no_other_users(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.page.get_by_role("button", name="Sign out").wait_for()

    await expect(console.page.get_by_role("button", name="Find a user")).to_have_count(0)
