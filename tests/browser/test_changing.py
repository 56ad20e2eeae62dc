"""Signing in by hand, changing conversations, and a service that goes away."""

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import said
from tests.support.service_process import SERVICE_KEY


async def test_a_conversation_is_renamed_archived_and_copied(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.create("Draft of a title", said("Hello", "Hi"))
    await console.choose("Draft of a title")
    navigation = console.page.get_by_role("navigation")

    await console.act("Rename")
    await console.check_access()
    await console.page.get_by_label("Title").fill("Greetings")
    await console.page.get_by_role("button", name="Save").click()
    await expect(navigation.get_by_role("link", name="Greetings")).to_be_visible()
    await console.act("Archive")
    await expect(navigation.get_by_role("listitem")).to_have_count(0)
    await console.act("Move back to active")
    await expect(navigation.get_by_role("listitem")).to_have_count(1)
    await console.act("Copy into a new conversation")
    await expect(navigation.get_by_role("listitem")).to_have_count(2)
    await expect(console.messages()).to_have_count(2)


async def test_a_conversation_is_deleted_after_a_word_is_typed_and_not_on_hold(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    await console.sign_in_as_service()
    await console.create("To be deleted", said("Hello"))
    await console.choose("To be deleted")
    hold = console.page.get_by_role("region").locator(".chip", has_text="on hold")
    confirm = console.page.get_by_role("button", name="Delete for good")

    async def delete() -> None:
        await console.act("Delete")
        await expect(confirm).to_be_disabled()
        await console.page.get_by_label("Type delete to confirm").fill("delete")
        await confirm.click()

    await console.act("Put on hold")
    await expect(hold).to_be_visible()
    await delete()
    await expect(console.page.get_by_role("status").filter(has_text="hold")).to_be_visible()
    await console.act("Lift the hold")
    await expect(hold).to_have_count(0)
    await delete()

    await expect(console.page.get_by_role("link", name="To be deleted")).to_have_count(0)
    assert (await console.call("GET", "/v1/me"))["conversations"] == 0
    await expect(console.page.get_by_text("Nothing is kept yet")).to_be_visible()


async def test_what_happens_meanwhile_does_not_close_the_menu(open_console: OpenConsole) -> None:
    console = await open_console()
    made = await console.create("Before", said("Hello"))
    await console.choose("Before")
    await console.page.get_by_label("Actions").click()
    await console.call("PATCH", f"/v1/conversations/{made['id']}", {"title": "After"})

    await expect(console.page.get_by_role("heading", name="After")).to_be_visible()
    await expect(console.page.get_by_role("button", name="Rename")).to_be_visible()


@pytest.mark.full
async def test_a_token_or_a_service_key_is_pasted(open_console: OpenConsole) -> None:
    console = await open_console("Zoë")
    await console.create("Of Zoë", said("Hello"))
    page = console.page
    await page.get_by_role("button", name="Sign out").click()
    token, user = page.get_by_label("Token or service key"), page.get_by_label("User (with")
    submit = page.get_by_role("button", name="Sign in")

    await token.fill("not a token")
    await submit.click()
    await expect(page.get_by_role("alert")).to_contain_text("refused")
    await token.fill(SERVICE_KEY)
    await submit.click()
    await expect(page.get_by_role("alert")).to_contain_text("whose conversations")
    await user.fill("Zoë")
    await submit.click()

    await expect(page.get_by_role("link", name="Of Zoë")).to_be_visible()


async def test_it_waits_for_a_service_that_is_away(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.create("Still there", said("Hello"))

    async def fail(route: Route) -> None:
        await route.abort("connectionrefused")

    await console.page.route("**/v1/**", fail)
    await console.refresh()
    await expect(console.page.get_by_role("alert")).to_contain_text("does not answer")
    await console.screenshot("away")
    await console.check_access()
    await console.page.unroute("**/v1/**", fail)

    await expect(console.page.get_by_role("link", name="Still there")).to_be_visible()
    await expect(console.page.get_by_role("alert")).to_be_hidden()


@pytest.mark.full
async def test_a_refused_token_leads_to_the_form(open_console: OpenConsole) -> None:
    console = await open_console()
    await console.page.get_by_role("heading", name="Conversations").wait_for()
    await console.page.evaluate(
        """sessionStorage.setItem("chatkeep.credentials", '{"token":"a.b.c"}')"""
    )

    await console.page.reload()

    await expect(console.page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(console.page.get_by_role("alert")).to_contain_text("refused")
