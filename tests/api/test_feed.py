"""The feed: what happens to all conversations of a user."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatkeep.domain import polling
from chatkeep.domain.feed import OVERLAP
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from tests.api.builders import appended, at, refused, says, started
from tests.support.application import Caller, Service, serving, settings
from tests.support.following import Sent, following

EVENTS = "/v1/events"


def follow(service: Service, user: Caller, query: str = "") -> Any:  # noqa: ANN401
    headers: Any = user.headers
    return following(service.app, EVENTS + query, headers)


async def poll(user: Caller, after: str | None = None) -> tuple[list[str], str]:
    """Return what happened, in short, and the cursor after it."""
    parameters: dict[str, Any] = {"wait": 0} | ({} if after is None else {"after": after})
    response = await user.get(EVENTS, params=parameters)
    assert response.status_code == 200, response.text
    found = response.json()
    return [described(each) for each in found["items"]], found["next_cursor"]


async def poll_all(user: Caller, after: str) -> list[str]:
    """Return everything after a cursor, page by page, until nothing is left."""
    found: list[str] = []
    while True:
        some, after = await poll(user, after)
        if not some:
            return found
        found += some


def described(data: dict[str, Any]) -> str:
    kind = data["type"]
    if "message" in data:
        return f"{kind} {data['message']['content']}"
    if "conversation" in data:
        return f"{kind} {data['conversation']['title']}"
    return f"{kind} {data.get('message_id', data['conversation_id'])}"


def of(sent: list[Sent]) -> list[str]:
    return [described(each.data) for each in sent]


async def test_what_happens_to_any_conversation_is_delivered(
    service: Service, alice: Caller
) -> None:
    old = await started(alice, says("before"), title="old")
    async with follow(service, alice) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        new = await started(alice, says("a"), title="new")
        assert of(await stream.take(2)) == ["conversation.created new", "message.created a"]
        await appended(alice, old, says("b"))
        assert of(await stream.take(1)) == ["message.created b"]
        [message] = await appended(alice, new, says("c"))
        await alice.delete(at(new, "messages", message["id"]))
        await alice.patch(at(old), json={"title": "renamed"})
        await alice.delete(at(new))
        found: list[str] = []
        while f"conversation.deleted {new['id']}" not in found:
            found += of(await stream.take(1))
        assert "conversation.updated renamed" in found
        assert stream.waiting() == 0


async def test_a_reader_who_comes_back_gets_what_happened_meanwhile_and_nothing_else(
    alice: Caller,
) -> None:
    one, other = [await started(alice, title=title) for title in ("one", "other")]
    found, cursor = await poll(alice)
    assert found == []
    await appended(alice, one, says("a"))
    await appended(alice, other, says("b"), says("c"))

    found, cursor = await poll(alice, cursor)
    assert found == ["message.created a", "message.created b", "message.created c"]
    await appended(alice, one, says("d"))
    found, cursor = await poll(alice, cursor)
    assert found == ["message.created d"]
    await alice.delete(at(other))
    found, cursor = await poll(alice, cursor)
    assert found == [f"conversation.deleted {other['id']}"]
    assert (await poll(alice, cursor))[0] == []


async def test_everything_can_be_read_from_the_start_in_pages(alice: Caller) -> None:
    expected = []
    for number in range(7):
        conversation = await started(alice, title=f"c{number}")
        said = [f"{number}.{n}" for n in range(33)]
        await appended(alice, conversation, *map(says, said))
        expected += [f"conversation.created c{number}"]
        expected += [f"message.created {each}" for each in said]

    assert await poll_all(alice, "start") == expected


async def test_a_long_conversation_that_is_new_comes_in_pages(alice: Caller) -> None:
    conversation = await started(alice, title="long")
    said = [f"{n}" for n in range(250)]
    for first in range(0, 250, 50):
        await appended(alice, conversation, *map(says, said[first : first + 50]))
    rest = await started(alice, says("last"), title="rest")

    assert await poll_all(alice, "start") == [
        "conversation.created long",
        *(f"message.created {each}" for each in said),
        "conversation.created rest",
        "message.created last",
    ]
    assert rest


async def test_only_what_is_mine_is_in_my_feed(
    service: Service, alice: Caller, bob: Caller
) -> None:
    async with follow(service, bob) as stream:
        await started(alice, says("a"), title="hers")
        await started(bob, title="his")
        assert of(await stream.take(1)) == ["conversation.created his"]
        assert stream.waiting() == 0
    assert "conversation.created hers" not in await poll_all(bob, "start")


async def test_what_another_process_stores_is_found_by_a_poll(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(polling, "TICK", 0.01)
    chatkeep = memory_chatkeep()
    async with serving(settings(), chatkeep) as service:
        alice = service.user()
        conversation = await started(alice)
        async with follow(service, alice) as stream:
            monkeypatch.setattr(chatkeep.hub, "notify", lambda *_, **__: None)
            await asyncio.sleep(0.05)
            await appended(alice, conversation, says("a"))
            assert of(await stream.take(1)) == ["message.created a"]
            await alice.patch(at(conversation), json={"title": "new"})
            assert of(await stream.take(1)) == ["conversation.updated new"]


class _Clock:
    time = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


async def test_an_append_that_is_stored_late_is_not_missed() -> None:
    """Its process took the time before the reader read, and stored it afterwards."""
    clock = _Clock()
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        alice = service.user()
        conversation = await started(alice)
        clock.time += 2 * OVERLAP
        _, cursor = await poll(alice)
        clock.time -= OVERLAP / 2
        await appended(alice, conversation, says("late"))
        clock.time += OVERLAP / 2

        found, cursor = await poll(alice, cursor)

        assert found == ["message.created late"]
        clock.time += 3 * OVERLAP
        assert (await poll(alice, cursor))[0] == []


async def test_a_conversation_that_is_created_again_is_another_one(alice: Caller) -> None:
    conversation = await started(alice, says("a"), id="same", title="first")
    _, cursor = await poll(alice)
    await alice.delete(at(conversation))
    await started(alice, says("b"), id="same", title="second")

    found, cursor = await poll(alice, cursor)

    assert found[-2:] == ["conversation.created second", "message.created b"]
    assert (await poll(alice, cursor))[0] == []


async def test_a_cursor_of_a_feed_that_is_too_old_says_what_to_do() -> None:
    clock = _Clock()
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        alice = service.user()
        _, cursor = await poll(alice)
        clock.time += timedelta(days=8)
        response = await alice.get(EVENTS, params={"after": cursor, "wait": 0})
        refused(response, 410, "changes-forgotten")


@pytest.mark.parametrize("after", ["nonsense", "WyJldmVudHMiLDAsMCwwLDAsMCwwLC0xXQ"])
async def test_a_cursor_of_something_else_is_refused(alice: Caller, after: str) -> None:
    refused(await alice.get(EVENTS, params={"after": after}), 422, "invalid-value", "after")
