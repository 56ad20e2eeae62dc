"""Following a conversation live, over streams that break."""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, closing

import httpx
import pytest

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client._events import EventReader
from chatkeep_client.testing import MemoryService, memory_service


@pytest.fixture(scope="module")
def quiet_service() -> Iterator[MemoryService]:
    """Start a service whose streams end after a second without events."""
    with memory_service(CHATKEEP_STREAM_IDLE_SECONDS="1") as service:
        yield service


async def append(alice: AsyncChatkeep, chat: str, text: str) -> None:
    await alice.append_messages(chat, {"role": "user", "content": text})


async def test_without_a_cursor_only_what_happens_from_now_on_comes(service: MemoryService) -> None:
    async with service.async_client("follower") as alice:
        chat = (await alice.create_conversation()).id
        await append(alice, chat, "before")
        events = alice.follow_conversation(chat)
        first = asyncio.ensure_future(anext(events))
        while not first.done():
            await append(alice, chat, "now")
            await asyncio.sleep(0.05)
        event = await first
        assert event.type == "message.created"
        assert event.message is not None
        assert event.message.content == "now"
        await alice.delete_conversation(chat)
        assert [each.type async for each in events][-1] == "conversation.deleted"
        with pytest.raises(errors.NotFoundError):
            await anext(alice.follow_conversation(chat))


async def test_both_clients_follow_from_the_start_and_from_a_cursor(alice: AsyncChatkeep) -> None:
    chat = (await alice.create_conversation()).id
    for number in range(3):
        await append(alice, chat, str(number))
    page = await alice.get_events(chat, after="start")
    assert [each.message and each.message.content for each in page.items] == ["0", "1", "2"]
    later = await alice.get_events(chat, after=page.next_cursor, wait=0)
    assert later.items == []


async def test_all_conversations_of_a_user_are_followed(alice: AsyncChatkeep) -> None:
    await alice.create_conversation(title="One")
    cursor = (await alice.get_my_events()).next_cursor
    two = (await alice.create_conversation(title="Two")).id
    await append(alice, two, "hi")
    created = await alice.get_my_events(after=cursor, wait=5, types=["conversation.created"])
    assert [each.conversation_id for each in created.items] == [two]


async def test_a_deleted_conversation_does_not_end_those_of_a_user(
    quiet_service: MemoryService,
) -> None:
    async with quiet_service.async_client("alice") as alice:
        cursor = (await alice.get_my_events()).next_cursor
        chat = (await alice.create_conversation()).id
        await alice.delete_conversation(chat)
        seen = [each async for each in alice.follow_me(after=cursor)]
        with quiet_service.client("alice") as other:
            again = await asyncio.to_thread(lambda: [*other.follow_me(after=cursor)])
    for events in (seen, again):
        assert [each.type for each in events][-2:] == ["conversation.deleted", "stream.idle"]


async def test_a_stream_that_ends_is_opened_again_behind_the_last_event() -> None:
    with memory_service(CHATKEEP_STREAM_SECONDS="1") as service:
        async with service.async_client("alice") as alice:
            chat = (await alice.create_conversation()).id

            async def write() -> None:
                for number in range(20):
                    await append(alice, chat, str(number))
                    await asyncio.sleep(0.1)

            writing = asyncio.create_task(write())
            found: list[object] = []
            async with aclosing(alice.follow_conversation(chat, after="start")) as events:
                async for event in events:
                    found.append(event.message and event.message.content)
                    if len(found) == 20:
                        break
            await writing
    assert found == [str(number) for number in range(20)]


async def test_a_quiet_stream_ends_with_a_cursor_to_go_on_from(
    quiet_service: MemoryService,
) -> None:
    with quiet_service.client("bob") as alice:
        chat = alice.create_conversation(messages=[{"role": "user", "content": "Hi"}]).id
        first, idle = alice.follow_conversation(chat, after="start")
        assert (first.type, idle.type) == ("message.created", "stream.idle")
        alice.append_messages(chat, {"role": "user", "content": "Ho"})
        with closing(alice.follow_conversation(chat, after=idle.cursor)) as events:
            event = next(events)
        assert event.message is not None
        assert event.message.content == "Ho"


async def test_a_broken_stream_is_opened_again() -> None:
    data = b'event: message.created\nid: c%d\ndata: {"type":"message.created"}\n\n'
    asked: list[str] = []

    class Breaks(httpx.AsyncByteStream):
        async def __aiter__(self):  # type: ignore[no-untyped-def]  # noqa: ANN204
            yield data % len(asked) + b"event: message.created\nid: half\n"
            raise httpx.ReadError("reset")

    def handle(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params["after"])
        return httpx.Response(200, stream=Breaks())

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        alice = AsyncChatkeep("http://chatkeep", token="t", http=http)
        async with aclosing(alice.follow_conversation("c", after="start")) as events:
            cursors = [(await anext(events)).cursor for _ in range(3)]
    assert cursors == ["c1", "c2", "c3"]
    assert asked == ["start", "c1", "c2"]


@pytest.mark.parametrize("size", [1, 3, 1_000])
def test_a_stream_is_read_in_chunks_of_any_size(size: int) -> None:
    stream = (
        b": keep-alive\n\nretry: 1000\nid: c0\n\n"
        b'event: message.created\r\nid: c1\r\ndata: {"type":"message.created",\r\n'
        b'data:"conversation_id":"c"}\r\n\r\nevent: stream.idle\nid: c1.idle\ndata: {}\n\n'
    )
    reader = EventReader("start")
    events = [
        event
        for start in range(0, len(stream), size)
        for event in reader.feed(stream[start : start + size])
    ]
    assert [(each.type, each.cursor) for each in events] == [
        ("message.created", "c1"),
        ("stream.idle", "c1.idle"),
    ]
    assert events[0].conversation_id == "c"
    with pytest.raises(errors.UnexpectedAnswerError):
        reader.feed(b"event: message.created\ndata: {\n\n")


async def test_a_reader_gets_only_the_types_that_they_name(
    service: MemoryService, someone: str
) -> None:
    with service.client(someone) as alice:
        chat = alice.create_conversation(messages=[{"role": "user", "content": "Hi"}]).id
        page = alice.get_events(chat, after="start", types=["message.deleted"])
        assert page.items == []
        types = ["message.created", "message.updated"]
        with closing(alice.follow_conversation(chat, after="start", types=types)) as events:
            assert next(events).type == "message.created"
