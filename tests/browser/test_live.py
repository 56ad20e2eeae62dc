"""What appears by itself in the console: answers while they are written."""

import json
from typing import Any

from playwright.async_api import Route, expect

from tests.browser.conftest import OpenConsole
from tests.browser.console import Console, said


class Answer:
    """An answer that a producer writes, chunk by chunk."""

    def __init__(self, console: Console, conversation_id: str) -> None:
        self._console = console
        self._path = f"/v1/conversations/{conversation_id}/drafts"
        self._seq = 1

    async def start(self, draft_id: str, **start: Any) -> None:  # noqa: ANN401 - of the body
        self._path, self._seq = f"{self._path}/{draft_id}", 1
        await self._console.call("POST", self._path.rpartition("/")[0], {"id": draft_id, **start})

    async def write(self, *chunks: Any) -> None:  # noqa: ANN401 - texts, or any JSON
        await self._end("chunks", seq=self._seq, chunks=chunks)
        self._seq += len(chunks)

    async def finish(self) -> None:
        await self._end("finish")

    async def cancel(self, *, keep: bool) -> None:
        await self._console.call("POST", f"{self._path}/cancel", {"keep": keep})

    async def _end(self, action: str, **body: Any) -> None:  # noqa: ANN401 - any JSON
        await self._console.call("POST", f"{self._path}/{action}", {"epoch": 1, **body})


async def test_an_answer_grows_in_two_tabs_until_it_is_a_message(
    open_console: OpenConsole,
) -> None:
    console = await open_console()
    made = await console.create("Growing", said("How was it?"))
    answer = Answer(console, made["id"])
    await answer.start("first")
    await answer.write("It was **sh")
    other = await open_console(console.user)
    tabs = [console, other]
    for tab in tabs:
        await tab.choose("Growing")
        draft = tab.page.locator(".draft")
        await expect(draft.locator(".body")).to_have_text("It was **sh")
        await expect(draft).to_have_attribute("aria-busy", "true")

    await answer.write("ipped** this ", "morning.\n\n```py\n", "x = 1\n\ny = 2\n")
    for tab in tabs:
        await expect(tab.page.locator(".draft strong")).to_have_text("shipped")
        await expect(tab.page.locator(".draft pre")).to_have_text("x = 1\n\ny = 2")
    await console.screenshot("draft")
    await console.check_access()
    await answer.write("```\n\nDone.")
    await answer.finish()

    for tab in tabs:
        await expect(tab.page.locator(".draft")).to_have_count(0)
        await expect(tab.messages()).to_have_count(2)
        await expect(tab.messages().last.locator(".body")).to_have_text(
            "It was shipped this morning.x = 1\n\ny = 2Done."
        )


async def test_a_connection_that_breaks_doubles_nothing(open_console: OpenConsole) -> None:
    console = await open_console()
    made = await console.create("Broken", said("Count."))
    streams = 0

    async def break_off(route: Route) -> None:
        """Give every other stream what is there now; break the rest off in their first event.

        A comment after them has the cursor, so a reader goes on behind all of them.
        """
        nonlocal streams
        streams += 1
        if streams > 4:
            await route.continue_()
            return
        body = "event: draft.delta\ndata: {"
        if streams % 2:
            url = route.request.url + ("&" if "?" in route.request.url else "?") + "wait=0"
            headers = {**route.request.headers, "accept": "application/json"}
            page = await (await route.fetch(url=url, headers=headers)).json()
            events = "".join(
                f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in page["items"]
            )
            body = f"{events}:\nid: {page['next_cursor']}\n\n{body}"
        await route.fulfill(status=200, content_type="text/event-stream", body=body)

    await console.page.route("**/v1/conversations/*/events**", break_off)
    answer = Answer(console, made["id"])
    await answer.start("counted")
    await answer.write("one ")
    await console.choose("Broken")
    await expect(console.page.locator(".draft .body")).to_have_text("one")
    for word in ("two ", "three ", "four"):
        await answer.write(word)

    await expect(console.page.locator(".draft .body")).to_have_text("one two three four")
    await answer.finish()
    await expect(console.message("one two three four")).to_have_count(1)
    await expect(console.messages()).to_have_count(2)
    assert streams > 1


async def test_an_answer_that_ends_early_says_so(open_console: OpenConsole) -> None:
    console = await open_console()
    made = await console.create("Cancelled", said("Tell me a story."))
    await console.choose("Cancelled")
    answer = Answer(console, made["id"])
    hostile = "Once <img src=x onerror=alert(1)> upon"

    await answer.start("kept", format="ai-sdk")
    opening = [{"type": "start"}, {"type": "text-start", "id": "1"}]
    await answer.write(*opening, {"type": "text-delta", "id": "1", "delta": hostile})
    await expect(console.page.locator(".draft .body")).to_have_text(hostile)
    await answer.cancel(keep=True)
    await expect(console.page.locator(".draft")).to_have_count(0)
    kept = console.message(hostile)
    await expect(kept.locator(".chip")).to_have_text("Cancelled before its end")

    dropped = Answer(console, made["id"])
    await dropped.start("dropped")
    await dropped.write("Never mind")
    await expect(console.page.locator(".draft")).to_contain_text("Never mind")
    await dropped.cancel(keep=False)
    await expect(console.page.locator(".draft")).to_have_count(0)
    await expect(console.page.get_by_role("status").last).to_contain_text("cancelled")
    await expect(console.messages()).to_have_count(2)
