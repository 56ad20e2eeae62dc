"""A long body is written whole, each chunk once, whatever breaks in the middle."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from network import Network, network_of
from threads import Threads

from chatkeep_client import AsyncChatkeep, Chatkeep, errors
from chatkeep_client.testing import MemoryService

CHUNKS: list[dict[str, Any]] = [
    {"type": "start"},
    {"type": "text-start", "id": "0"},
    {"type": "text-delta", "id": "0", "delta": "Süße Suppe.\n"},
    {"type": "text-end", "id": "0"},
]


@pytest.fixture
async def network(service: MemoryService) -> AsyncIterator[Network]:
    async with network_of(lambda: httpx.URL(service.url).port or 0) as network:
        yield network


@pytest.fixture(params=["async", "sync"])
async def bob(
    request: pytest.FixtureRequest, network: Network, service: MemoryService, someone: str
) -> AsyncIterator[AsyncChatkeep]:
    """Return a client of each kind, behind the network."""
    options = {"service_key": service.service_key, "user": someone}
    async with AsyncExitStack() as stack:
        client: Any
        if request.param == "async":
            client = await stack.enter_async_context(AsyncChatkeep(network.url, **options))  # type: ignore[arg-type]
        else:
            client = Threads(stack.enter_context(Chatkeep(network.url, **options)))  # type: ignore[arg-type]
        yield client


async def chat_of(client: AsyncChatkeep, **options: Any) -> str:
    """Return the id of a conversation with a draft `answer`."""
    chat = (await client.create_conversation()).id
    await client.start_draft(chat, draft_id="answer", **options)
    return chat


async def each(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def test_a_body_that_breaks_in_the_middle_goes_on_behind_what_is_stored(
    bob: AsyncChatkeep, network: Network, service: MemoryService, someone: str
) -> None:
    chat = await chat_of(bob)
    pieces = [f"piece {number}, " for number in range(60)]

    async def breaking(direct: AsyncChatkeep) -> AsyncIterator[str]:
        for number, piece in enumerate(pieces):
            yield piece
            if number in {10, 40}:  # until some are stored, of which the producer is not told
                while (await direct.get_draft(chat, "answer")).draft.next < number - 5:  # noqa: ASYNC110 - of another process
                    await asyncio.sleep(0.02)
            if number in {20, 21, 45}:
                await network.close()

    async with service.async_client(someone) as direct:
        ended = await bob.stream_draft(chat, "answer", breaking(direct), epoch=1, finish=True)
    assert ended.message is not None
    assert ended.message.content == "".join(pieces)
    assert ended.draft.next == len(pieces) + 1
    assert network.count >= 3


async def test_a_producer_that_was_replaced_stops(bob: AsyncChatkeep) -> None:
    chat = await chat_of(bob)

    async def replaced() -> AsyncIterator[str]:
        yield "Soup, "
        other = await bob.start_draft(chat, draft_id="answer", supersede=True)
        assert other.epoch == 2
        while True:  # it learns that it must stop
            yield "or nothing. "
            await asyncio.sleep(0.02)

    with pytest.raises(errors.DraftSupersededError) as stopped:
        await bob.stream_draft(chat, "answer", replaced(), epoch=1)
    assert stopped.value.draft is not None
    assert stopped.value.draft.epoch == 2
    assert (await bob.get_draft(chat, "answer")).draft.status == "active"
    with pytest.raises(errors.DraftSupersededError):
        await bob.stream_draft(chat, "answer", each(["x"]), epoch=1, seq=1)


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("media_type", ["application/x-ndjson", "text/event-stream"])
async def test_bodies_of_others_are_passed_on_wherever_they_are_cut(
    alice: AsyncChatkeep, media_type: Any, size: int
) -> None:
    chat = await chat_of(alice, format="ai-sdk")
    lines = [json.dumps(chunk, ensure_ascii=False) for chunk in CHUNKS]
    body = "\n\n".join(lines)
    if media_type == "text/event-stream":
        events = (f"event: x\r\ndata: {line}\r\n: a comment\r\n\r\n" for line in lines)
        body = "".join(events) + "data: [DONE]\n\n"
    data = body.encode()
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    ended = await alice.stream_draft(
        chat, "answer", each(pieces), epoch=1, finish=True, media_type=media_type
    )
    assert ended.message is not None
    assert ended.message.content == "Süße Suppe.\n"
    assert (await alice.get_draft(chat, "answer")).chunks == CHUNKS


async def test_a_text_may_be_cut_within_characters(alice: AsyncChatkeep) -> None:
    chat = await chat_of(alice)
    data = "Süße 🧵 Suppe".encode()
    pieces: list[Any] = [data[at : at + 1] for at in range(len(data))]
    await alice.stream_draft(chat, "answer", each([*pieces, "", ", auch"]), epoch=1)
    assert (await alice.get_draft(chat, "answer")).text == "Süße 🧵 Suppe, auch"
    with pytest.raises(UnicodeDecodeError):
        await alice.stream_draft(chat, "answer", each([b"Half \xc3"]), epoch=1)


async def test_an_error_of_the_chunks_comes_after_those_before_it_are_stored(
    alice: AsyncChatkeep,
) -> None:
    chat = await chat_of(alice)

    async def failing() -> AsyncIterator[str]:
        yield "Half"
        raise LookupError("the model is gone")

    with pytest.raises(LookupError, match="the model is gone"):
        await alice.stream_draft(chat, "answer", failing(), epoch=1, finish=True)
    page = await alice.get_draft(chat, "answer")
    assert (page.text, page.draft.status) == ("Half", "active")
    await alice.cancel_draft(chat, "answer")
    with pytest.raises(LookupError) as failed:
        await alice.stream_draft(chat, "answer", failing(), epoch=1, seq=2)
    assert isinstance(failed.value.__cause__, errors.DraftEndedError)


async def test_the_writer_of_a_block_takes_a_stream(service: MemoryService, someone: str) -> None:
    async with service.async_client(someone) as client:
        chat = (await client.create_conversation()).id
        async with client.draft(chat) as draft:
            await draft.write("Soup, ")
            await draft.stream(each(["or ", "salad"]))
            await draft.write(".")
        assert draft.message is not None
        assert draft.message.content == "Soup, or salad."
