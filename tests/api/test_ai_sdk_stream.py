"""/ai-sdk: answers that `useChat` takes up, and stops."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest

from chatkeep.adapters.memory import MemoryDrafts
from chatkeep.adapters.memory.events import MemoryEvents
from chatkeep.domain import polling
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.entrypoints.http import live_stream
from tests.support.application import Caller, Service, serving, settings
from tests.support.waiting import PATIENCE, until

CHUNKS = [
    {"type": "start", "messageId": "answer"},
    {"type": "text-start", "id": "1"},
    {"type": "text-delta", "id": "1", "delta": "Zwölf\u2028 \n"},
    {"type": "text-end", "id": "1"},
    {"type": "finish"},
]


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with serving(settings()) as service:
        yield service


@pytest.fixture
async def alice(service: Service) -> Caller:
    alice = service.user("alice")
    await alice.put("/v1/conversations/chat%2F1", json={})
    return alice


async def start(caller: Caller, format_: str = "ai-sdk") -> str:
    path = "/v1/conversations/chat%2F1/drafts"
    draft = (await caller.post(path, json={"format": format_})).json()
    return f"{path}/{draft['id']}"


async def write(caller: Caller, draft: str, seq: int, *chunks: object) -> None:
    body = {"epoch": 1, "seq": seq, "chunks": chunks}
    assert (await caller.post(f"{draft}/chunks", json=body)).status_code == 200


async def resumed(caller: Caller) -> httpx.Response:
    async with asyncio.timeout(60):
        answer: httpx.Response = await caller.get("/ai-sdk/chat%2F1/stream")
    return answer


def parts(response: httpx.Response) -> list[Any]:
    """Return what a reader of server-sent events makes of the answer."""
    found: list[Any] = []
    for event in response.text.split("\n\n"):
        lines = [line.removeprefix("data: ") for line in event.split("\n") if line[:1] != ":"]
        if data := "\n".join(lines):
            found.append(data if data == "[DONE]" else json.loads(data))
    return found


async def after_a_while(work: Sequence[Any]) -> None:
    for each in work:
        await asyncio.sleep(0.05)
        await each


@pytest.mark.parametrize("path", ["chat%2F1", "unknown"])
async def test_without_an_answer_under_way_there_is_nothing_to_take_up(
    alice: Caller, path: str
) -> None:
    answer = await alice.get(f"/ai-sdk/{path}/stream")

    assert (answer.status_code, answer.content) == (204, b"")
    assert (await alice.post(f"/ai-sdk/{path}/stop")).status_code == 204


async def test_an_answer_is_replayed_and_goes_on_until_it_is_finished(alice: Caller) -> None:
    draft = await start(alice)
    await write(alice, draft, 1, *CHUNKS[:2])

    answer, _ = await asyncio.gather(
        resumed(alice),
        after_a_while(
            [
                write(alice, draft, 3, CHUNKS[2]),
                write(alice, draft, 4, *CHUNKS[3:]),
                alice.post(f"{draft}/finish", json={"epoch": 1}),
            ]
        ),
    )

    assert answer.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert answer.headers["content-type"] == "text/event-stream"
    assert parts(answer) == [*CHUNKS, "[DONE]"]
    assert (await resumed(alice)).status_code == 204


async def test_a_draft_of_text_becomes_a_stream_of_parts(alice: Caller) -> None:
    draft = await start(alice, "text")
    await write(alice, draft, 1, "Soup ", "or ")

    answer, _ = await asyncio.gather(
        resumed(alice),
        after_a_while(
            [
                write(alice, draft, 3, "salad."),
                alice.post(f"{draft}/finish", json={"epoch": 1}),
            ]
        ),
    )
    found = parts(answer)

    assert [part["type"] for part in found[:2]] == ["start", "text-start"]
    assert "".join(part.get("delta", "") for part in found[:-1]) == "Soup or salad."
    assert [part["type"] for part in found[-3:-1]] == ["text-end", "finish"]
    assert found[-1] == "[DONE]"


async def test_any_tab_stops_an_answer_in_all_of_them(alice: Caller) -> None:
    draft = await start(alice)
    await write(alice, draft, 1, *CHUNKS[:3])

    one, other, _ = await asyncio.gather(
        resumed(alice), resumed(alice), after_a_while([alice.post("/ai-sdk/chat%2F1/stop")])
    )
    [message] = (await alice.get("/v1/conversations/chat%2F1/messages")).json()["items"]

    assert parts(one) == parts(other) == [*CHUNKS[:3], {"type": "abort"}, "[DONE]"]
    assert message["metadata"]["chatkeep.interrupted"] == "cancelled"
    assert (await alice.get(draft)).json()["draft"]["status"] == "cancelled"


async def test_readers_of_an_answer_do_not_ask_each_for_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One poll asks for all of them, and one read has what another process has written."""
    monkeypatch.setattr(polling, "TICK", 0.01)
    monkeypatch.setattr(live_stream, "HEARTBEAT", PATIENCE)
    chatkeep = memory_chatkeep()
    reads = polls = 0
    chunks, moved = MemoryDrafts.chunks, MemoryEvents.moved

    async def counted_chunks(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        nonlocal reads
        reads += 1
        return await chunks(*args, **kwargs)

    async def counted_moved(*args: Any) -> Any:  # noqa: ANN401
        nonlocal polls
        polls += 1
        return await moved(*args)

    monkeypatch.setattr(MemoryDrafts, "chunks", counted_chunks)
    monkeypatch.setattr(MemoryEvents, "moved", counted_moved)

    async def polled(times: int) -> None:
        enough = polls + times
        await until(lambda: polls >= enough)

    async def have_read(times: int) -> None:
        await until(lambda: reads >= times)
        await polled(3)
        assert reads == times

    async with serving(settings(), chatkeep) as service:
        alice = service.user("alice")
        await alice.put("/v1/conversations/chat%2F1", json={})
        draft = await start(alice)
        await write(alice, draft, 1, *CHUNKS[:2])
        readers = [asyncio.create_task(resumed(alice)) for _ in range(3)]
        await have_read(3)
        monkeypatch.setattr(chatkeep.hub, "notify", lambda *_, **__: None)
        message = {"role": "user", "content": "another"}
        await alice.post("/v1/conversations/chat%2F1/messages", json=message)
        await have_read(3)
        await write(alice, draft, 3, CHUNKS[2])
        await have_read(4)  # all three in one

        await alice.post(f"{draft}/cancel", json={})
        for reader in readers:
            assert parts(await reader) == [*CHUNKS[:3], {"type": "abort"}, "[DONE]"]


async def test_a_chat_of_somebody_else_is_like_one_that_is_not_there(
    service: Service, alice: Caller
) -> None:
    await start(alice)
    mallory = service.user("mallory")

    assert (await mallory.get("/ai-sdk/chat%2F1/stream")).status_code == 204
    assert (await mallory.post("/ai-sdk/chat%2F1/stop")).status_code == 204
    assert (await service.nobody().get("/ai-sdk/chat%2F1/stream")).status_code == 401


async def test_a_draft_of_another_format_is_not_offered(alice: Caller) -> None:
    await start(alice, "my-own")

    assert (await alice.get("/ai-sdk/chat%2F1/stream")).status_code == 204
