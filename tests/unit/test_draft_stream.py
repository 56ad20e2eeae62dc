"""A body is written in batches while it comes, and what came is written however it ends."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from chatkeep.domain.drafts import Draft, NewChunks
from chatkeep.domain.operations.selftest.builders import new_conversation
from chatkeep.entrypoints.http import draft_stream
from chatkeep.entrypoints.http.draft_stream import BATCH_BYTES, DraftWriter, LineReader, TextReader
from chatkeep.entrypoints.http.problems import ProblemError
from chatkeep.entrypoints.http.server.ending import Ending
from chatkeep.testing.contract.drafts import new_draft
from tests.support.waiting import until

DRAFT = new_draft(new_conversation())


class Store:
    """Notes what is written."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, list[str]]] = []
        self.draft = DRAFT

    def writer(self) -> DraftWriter:
        return DraftWriter(DRAFT, None, self.write, self.overdue, lambda _: 60.0)

    async def write(self, seq: int, chunks: NewChunks) -> Draft:
        self.writes.append((seq, [*chunks.texts]))
        self.draft = replace(self.draft, next=seq + len(chunks.texts))
        return self.draft

    async def overdue(self, _: Draft) -> Draft:
        raise AssertionError("nothing is overdue here")

    @property
    def text(self) -> str:
        return "".join(text for _, texts in self.writes for text in texts)


class Client:
    """Sends pieces of a body, and then disconnects, goes on or ends it."""

    def __init__(self, *pieces: bytes, then: str) -> None:
        self._events = self._make(pieces, then)

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's own
        return await anext(self._events)

    async def _make(self, pieces: tuple[bytes, ...], then: str) -> AsyncIterator[Any]:
        for each in pieces:
            yield {"type": "http.request", "body": each, "more_body": True}
        if then == "disconnects":
            yield {"type": "http.disconnect"}
        elif then == "goes on":
            await asyncio.Event().wait()
        yield {"type": "http.request", "body": b"", "more_body": False}


async def test_small_pieces_are_written_together() -> None:
    store = Store()
    client = Client(*[b"ab"] * 10_000, then="ends")

    assert await store.writer().run(client.receive, TextReader(), Ending())

    assert store.text == "ab" * 10_000
    assert len(store.writes) < 100
    assert max(len("".join(texts)) for _, texts in store.writes) <= BATCH_BYTES + 2
    assert [seq for seq, _ in store.writes] == [*range(1, len(store.writes) + 1)]


async def test_lines_keep_their_numbers() -> None:
    store = Store()
    client = Client(*[b'"a"\n'] * 10_000, then="ends")

    await store.writer().run(client.receive, LineReader(are_events=False, max_bytes=0), Ending())

    assert store.text == "a" * 10_000
    expected = 1
    for seq, texts in store.writes:
        assert seq == expected
        expected += len(texts)


async def test_a_pause_does_not_hold_back_what_came(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(draft_stream, "BATCH_SECONDS", 0.001)
    store, ending = Store(), Ending()
    client = Client(b"It was ", then="goes on")
    running = asyncio.create_task(store.writer().run(client.receive, TextReader(), ending))

    await until(lambda: store.text == "It was ")
    ending.begin()
    assert not await running


async def test_when_the_service_stops_what_came_is_written() -> None:
    store, ending = Store(), Ending()
    client = Client(b"It was ", then="goes on")
    running = asyncio.create_task(store.writer().run(client.receive, TextReader(), ending))
    for _ in range(50):  # until it has taken the piece
        await asyncio.sleep(0)

    ending.begin()

    assert not await running
    assert store.writes == [(1, ["It was "])]


async def test_when_the_client_goes_away_what_came_is_written() -> None:
    store = Store()
    client = Client(b"It was ", then="disconnects")

    with pytest.raises(ProblemError):
        await store.writer().run(client.receive, TextReader(), Ending())

    assert store.writes == [(1, ["It was "])]
