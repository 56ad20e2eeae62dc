"""A draft is written as one long body: text, lines or events, however the body is cut."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.api.builders import at, drafted, listed, refused, says, started
from tests.support.application import Caller
from tests.support.json_schema import JsonObject

TEXT = "It was shipped 🧵 this morning.\n\n中国語\x00"
CHUNKS: list[JsonObject] = [
    {"type": "start"},
    {"type": "text-start", "id": "0"},
    {"type": "text-delta", "id": "0", "delta": TEXT},
    {"type": "text-end", "id": "0"},
]
LINES = "application/x-ndjson"


@pytest.fixture
async def conversation(alice: Caller) -> JsonObject:
    return await started(alice, says("Where is my order?"))


async def cut(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
        await asyncio.sleep(0)


async def stream(  # noqa: PLR0913 - the parts of a request
    alice: Caller,
    draft: JsonObject,
    body: bytes,
    media_type: str = "text/plain",
    *,
    size: int = 1_000,
    epoch: int = 1,
    **parameters: object,
) -> JsonObject:
    path = at({"id": draft["conversation_id"]}, "drafts", draft["id"], "stream")
    response = await alice.post(
        path,
        content=cut(body, size),
        params={"epoch": epoch, **parameters},
        headers={"Content-Type": media_type},
    )
    assert response.status_code == 200, response.text
    found: JsonObject = response.json()
    return found


async def read(alice: Caller, draft: JsonObject) -> JsonObject:
    path = at({"id": draft["conversation_id"]}, "drafts", draft["id"])
    found: JsonObject = (await alice.get(path)).json()
    return found


@pytest.mark.parametrize("size", [1, 3, 1_000])
async def test_a_text_is_written_and_becomes_a_message(
    alice: Caller, conversation: JsonObject, size: int
) -> None:
    draft = await drafted(alice, conversation)

    written = await stream(alice, draft, TEXT.encode(), size=size)
    assert (written["draft"]["status"], written["message"]) == ("active", None)
    assert (await read(alice, draft))["text"] == TEXT
    ended = await stream(alice, draft, b"", finish=True)

    assert ended["message"]["content"] == TEXT
    [_, message] = await listed(alice, at(conversation, "messages"))
    assert message == ended["message"]


@pytest.mark.parametrize("size", [1, 7, 1_000])
@pytest.mark.parametrize("media_type", [LINES, "text/event-stream"])
async def test_lines_and_events_are_chunks(
    alice: Caller, conversation: JsonObject, media_type: str, size: int
) -> None:
    draft = await drafted(alice, conversation, format="ai-sdk")
    lines = [json.dumps(each) for each in CHUNKS]
    body = "\n".join(lines)
    if media_type != LINES:
        body = "".join(f"event: x\r\ndata: {each}\r\n: a comment\r\n\r\n" for each in lines)
        body += "data: [DONE]\n\n"

    ended = await stream(alice, draft, body.encode(), media_type, size=size, finish=True)

    assert ended["draft"]["next"] == len(CHUNKS) + 1
    assert ended["message"]["content"] == TEXT
    assert (await read(alice, draft))["chunks"] == CHUNKS


async def test_lines_may_be_pieces_of_text(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation, "a")

    ended = await stream(alice, draft, b'"b"\n\n"c\\n"', LINES, finish=True)

    assert ended["message"]["content"] == "abc\n"


async def test_a_body_that_is_sent_again_is_written_once(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation)
    for body in (b'"a"\n"b"', b'"a"\n"b"\n"c"', b'"a"\n"b"\n"c"'):
        await stream(alice, draft, body, LINES, seq=1)

    assert (await read(alice, draft))["text"] == "abc"


async def test_what_came_before_an_error_is_written(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation)
    path = at(conversation, "drafts", draft["id"], "stream")
    for body, media_type, field in (
        (b'"a"\n"b"\n{}', LINES, "chunk 3"),
        (b'"c"\nd', LINES, "chunk 2"),
        (b'"d"\n"e', LINES, "chunk 2"),
        (b"e\xff", "text/plain", "body"),
    ):
        response = await alice.post(
            path,
            content=cut(body, 1),
            params={"epoch": 1, "finish": True},
            headers={"Content-Type": media_type},
        )
        refused(response, 422, "invalid-value", field)

    assert (await read(alice, draft))["text"] == "abcde"


async def test_a_stream_is_told_that_it_must_stop(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation)
    path = at(conversation, "drafts", draft["id"])

    async def cancelled_meanwhile() -> AsyncIterator[bytes]:
        yield b"a" * 5_000
        await asyncio.sleep(0.05)
        await alice.post(f"{path}/cancel", json={})
        while True:
            yield b"b" * 5_000
            await asyncio.sleep(0)

    response = await alice.post(
        f"{path}/stream",
        content=cancelled_meanwhile(),
        params={"epoch": 1},
        headers={"Content-Type": "text/plain"},
    )

    assert refused(response, 409, "draft-ended")["draft"]["status"] == "cancelled"
    [_, message] = await listed(alice, at(conversation, "messages"))
    assert message["content"] == "a" * 5_000


async def test_a_stream_that_stalls_ends_with_the_draft(
    alice: Caller, conversation: JsonObject
) -> None:
    draft = await drafted(alice, conversation, lease=1)

    async def stalling() -> AsyncIterator[bytes]:
        yield b"It was "
        await asyncio.Event().wait()

    path = at(conversation, "drafts", draft["id"], "stream")
    response = await alice.post(
        path, content=stalling(), params={"epoch": 1}, headers={"Content-Type": "text/plain"}
    )

    assert refused(response, 409, "draft-ended")["draft"]["status"] == "interrupted"
    [_, message] = await listed(alice, at(conversation, "messages"))
    assert message["content"] == "It was "


async def test_a_body_of_another_kind_is_refused(alice: Caller, conversation: JsonObject) -> None:
    draft = await drafted(alice, conversation)
    path = at(conversation, "drafts", draft["id"], "stream")
    for headers in (
        {"Content-Type": "application/json"},
        {"Content-Type": "text/plain", "Content-Encoding": "gzip"},
    ):
        response = await alice.post(path, content=b"a", params={"epoch": 1}, headers=headers)
        assert response.status_code == 415
    refused(await alice.post(path, content=b"a"), 422, "invalid-value", "epoch")
    old = await alice.post(
        path, content=b"a", params={"epoch": 2}, headers={"Content-Type": "text/plain"}
    )
    refused(old, 409, "draft-superseded")
