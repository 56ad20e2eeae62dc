"""Events of drafts: who follows a conversation sees an answer while it is written."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chatkeep.adapters.memory.events import MemoryEvents
from chatkeep.domain import interrupting
from chatkeep.domain.event_use_cases import PAGE_BYTES
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep
from chatkeep.entrypoints.http import live_stream
from tests.api.builders import at, drafted, says, started
from tests.support.application import Caller, Service, serving, settings
from tests.support.following import Following, Sent, following
from tests.support.json_schema import JsonObject
from tests.support.waiting import PATIENCE


class _Clock:
    time = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        self.time += timedelta(microseconds=1)
        return self.time


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
async def service(clock: _Clock) -> AsyncIterator[Service]:
    """Yield a service with a clock of the test's, in place of the usual one."""
    async with serving(settings(), memory_chatkeep(clock=clock)) as service:
        yield service


@pytest.fixture
def alice(service: Service) -> Caller:
    return service.user("alice")


@pytest.fixture
async def conversation(alice: Caller) -> JsonObject:
    return await started(alice, says("Where is my order?"))


def follow(service: Service, user: Caller, conversation: JsonObject, after: str = "") -> Any:  # noqa: ANN401
    query = f"?after={after}" if after else ""
    headers: Any = user.headers
    return following(service.app, at(conversation, "events") + query, headers)


async def write(user: Caller, draft: JsonObject, seq: int, *chunks: object) -> None:
    path = at({"id": draft["conversation_id"]}, "drafts", draft["id"], "chunks")
    response = await user.post(path, json={"epoch": 1, "seq": seq, "chunks": chunks})
    assert response.status_code == 200, response.text


async def end(user: Caller, draft: JsonObject, how: str, **body: object) -> JsonObject:
    path = at({"id": draft["conversation_id"]}, "drafts", draft["id"], how)
    response = await user.post(path, json=body)
    assert response.status_code == 200, response.text
    found: JsonObject = response.json()
    return found


async def until_ended(stream: Following) -> list[Sent]:
    """Return the events up to the end of a draft and its message, in whatever order they come."""
    found: list[Sent] = []
    kinds = {"draft.finished", "draft.interrupted", "message.created"}
    while len([each for each in found if each.type in kinds]) < 2:
        found.append(await stream.next())
    return found


def text(events: list[Sent]) -> str:
    return "".join(each.data["text"] for each in events if each.type == "draft.delta")


async def test_an_answer_is_followed_from_its_start_to_its_message(
    service: Service, alice: Caller, conversation: JsonObject
) -> None:
    async with follow(service, alice, conversation) as stream:
        draft = await drafted(alice, conversation, id="answer")
        sent = await stream.next()
        assert sent.data == {
            "type": "draft.started",
            "conversation_id": conversation["id"],
            "draft": draft,
        }
        await write(alice, draft, 1, "It was ", "shipped")
        sent = await stream.next()
        assert sent.data == {
            "type": "draft.delta",
            "conversation_id": conversation["id"],
            "draft_id": "answer",
            "seq": 2,
            "text": "It was shipped",
        }
        await write(alice, draft, 3, " today.")
        ended = await end(alice, draft, "finish", epoch=1)
        events = await until_ended(stream)
        assert text(events) == " today."
        [finished] = [each.data for each in events if each.type == "draft.finished"]
        assert finished["draft"] == ended["draft"]
        [created] = [each.data for each in events if each.type == "message.created"]
        assert created["message"]["content"] == "It was shipped today."
        assert created["message"]["id"] == ended["message"]["id"]
        assert stream.waiting() == 0


@pytest.mark.parametrize("after", ["", "start"])
async def test_a_reader_who_joins_late_gets_the_answer_from_its_start(
    service: Service, alice: Caller, conversation: JsonObject, after: str
) -> None:
    earlier = await drafted(alice, conversation, id="earlier")
    await write(alice, earlier, 1, "Hello.")
    await end(alice, earlier, "finish", epoch=1)
    draft = await drafted(alice, conversation, id="answer")
    await write(alice, draft, 1, "It ", "was ")
    await write(alice, draft, 3, "shipped")

    async with follow(service, alice, conversation, after) as stream:
        events = [await stream.next() for _ in range(4 if after else 2)]
        drafts = [each for each in events if each.type != "message.created"]
        assert [each.type for each in drafts] == ["draft.started", "draft.delta"]
        assert text(drafts) == "It was shipped"


async def test_a_reader_who_comes_back_goes_on_behind_the_chunk_they_read(
    service: Service, alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation)
    async with follow(service, alice, conversation) as stream:
        await stream.next()
        await write(alice, draft, 1, "a", "b")
        last = await stream.next()
    await write(alice, draft, 3, "c")
    async with follow(service, alice, conversation, last.id) as stream:
        assert text([await stream.next()]) == "c"
    await end(alice, draft, "finish", epoch=1)

    # They were away when it ended, and while another one was written.
    other = await drafted(alice, conversation)
    await write(alice, other, 1, "d")
    async with follow(service, alice, conversation, last.id) as stream:
        events = await until_ended(stream)
        assert text(events) == "c"
        events = [await stream.next(), await stream.next()]
        assert [each.type for each in events] == ["draft.started", "draft.delta"]
        assert text(events) == "d"
        assert stream.waiting() == 0


async def test_a_long_answer_comes_in_pieces(
    service: Service, alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, format="own")
    pieces = [f"{number:04}" * 1_000 for number in range(2 * PAGE_BYTES // 4_000)]
    for seq, piece in enumerate(pieces, 1):
        await write(alice, draft, seq, {"piece": piece})

    async with follow(service, alice, conversation) as stream:
        assert (await stream.next()).type == "draft.started"
        deltas: list[Sent] = []
        while sum(len(each.data["chunks"]) for each in deltas) < len(pieces):
            deltas.append(await stream.next())
    assert len(deltas) > 1
    chunks = [chunk["piece"] for each in deltas for chunk in each.data["chunks"]]
    assert chunks == pieces


async def test_documents_are_delivered_as_they_were_written(
    service: Service, alice: Caller, conversation: JsonObject
) -> None:
    async with follow(service, alice, conversation) as stream:
        draft = await drafted(alice, conversation, format="ai-sdk")
        await stream.next()
        chunks: list[object] = [
            {"type": "text-start", "id": "1"},
            {"type": "text-delta", "n": 1.10},
        ]
        await write(alice, draft, 1, *chunks)
        sent = await stream.next()
        assert (sent.data["seq"], sent.data["chunks"]) == (2, chunks)
        assert "text" not in sent.data


async def test_a_cancelled_answer_ends_for_all_who_follow_it(
    service: Service, alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation)
    async with (
        follow(service, alice, conversation) as one,
        follow(service, alice, conversation) as other,
    ):
        for stream in (one, other):
            assert (await stream.next()).type == "draft.started"
        await end(alice, draft, "cancel", keep=False)
        for stream in (one, other):
            sent = await stream.next()
            assert (sent.type, sent.data["draft"]["status"]) == ("draft.interrupted", "cancelled")


async def test_a_producer_that_is_gone_is_noticed_by_those_who_follow(
    service: Service,
    alice: Caller,
    conversation: JsonObject,
    clock: _Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_stream, "HEARTBEAT", 0.01)
    draft = await drafted(alice, conversation, lease=5)
    await write(alice, draft, 1, "It was")
    async with follow(service, alice, conversation) as stream:
        assert [each.type for each in await stream.take(2)] == ["draft.started", "draft.delta"]
        await asyncio.sleep(0.05)
        assert stream.waiting() == 0

        clock.time += timedelta(seconds=6)

        events = await until_ended(stream)
        [ended] = [each.data for each in events if each.type == "draft.interrupted"]
        assert ended["draft"]["status"] == "interrupted"
        [created] = [each.data for each in events if each.type == "message.created"]
        assert created["message"]["content"] == "It was"
        assert created["message"]["metadata"]["chatkeep.interrupted"] == "expired"


async def test_readers_interrupt_a_draft_at_its_deadline_though_nobody_else_looks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its producer is gone, and so is the process that it wrote through."""
    monkeypatch.setattr(live_stream, "HEARTBEAT", PATIENCE)
    monkeypatch.setattr(interrupting, "TICK", PATIENCE)
    async with serving(settings()) as service:
        alice = service.user("alice")
        conversation = await started(alice, says("Where is my order?"))
        draft = await drafted(alice, conversation, lease=1)
        await write(alice, draft, 1, "It was")
        query = at(conversation, "events") + "?types=message.created"
        headers: Any = alice.headers
        async with (
            follow(service, alice, conversation) as one,
            following(service.app, query, headers) as other,
        ):
            resumed = asyncio.create_task(alice.get(f"/ai-sdk/{conversation['id']}/stream"))
            async with asyncio.timeout(PATIENCE / 2):
                events = await until_ended(one)
                message = await other.next()
                answer = await resumed
    assert "draft.interrupted" in {each.type for each in events}
    assert message.data["message"]["metadata"]["chatkeep.interrupted"] == "expired"
    assert '"type":"error"' in answer.text


async def test_chunks_are_not_read_for_those_who_want_no_drafts(
    service: Service, alice: Caller, conversation: JsonObject, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = at(conversation, "events") + "?types=message.created"
    headers: Any = alice.headers
    async with following(service.app, query, headers) as stream:
        draft = await drafted(alice, conversation)
        reads = 0
        read = MemoryEvents.read

        async def counted(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            nonlocal reads
            reads += 1
            return await read(*args, **options)

        monkeypatch.setattr(MemoryEvents, "read", counted)
        for seq in range(1, 6):
            await write(alice, draft, seq, "a")
        assert reads == 0
        await end(alice, draft, "finish", epoch=1)
        assert (await stream.next()).data["message"]["content"] == "aaaaa"
