"""GET /v1/me/export, with what only shows when one looks inside."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from chatkeep.domain.errors import ConversationNotFoundError, StoreUnavailableError
from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.log import Entry
from chatkeep.domain.model import ConversationId, JsonText, UserId
from chatkeep.domain.operations.transfer import ENTRIES_PAGE
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import Log
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.app import create_app
from chatkeep.entrypoints.bootstrap.service import identity
from chatkeep.entrypoints.bootstrap.use_cases import memory_chatkeep, transfer
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.http.routes.export import CHUNK_BYTES, _chunks
from tests.support.application import Caller, Service, serving, settings, token

PAGES = 6
ALICE = UserId("alice")


@dataclass
class Counting:
    """A log that counts how often it is asked for a page."""

    log: Log
    pages: int = 0
    deletes: Chatkeep | None = None
    seen: list[ConversationId] = field(default_factory=list)

    async def page(self, user_id: UserId, *args: Any, **kwargs: Any) -> Page[Entry]:  # noqa: ANN401
        self.pages += 1
        found = await self.log.page(user_id, *args, **kwargs)
        if self.deletes is not None and self.pages == 2:
            await self.deletes.delete_conversation(user_id, args[0])
        return found


@asynccontextmanager
async def counted(*, deletes: bool = False) -> AsyncIterator[tuple[Service, Counting]]:
    """Yield a service on which alice has a conversation of several pages."""
    chatkeep = memory_chatkeep(limits=replace(settings().limits, max_batch=0))
    counting = Counting(chatkeep.log)
    app = create_app(
        chatkeep,
        replace(transfer(chatkeep), log=cast("Log", counting)),
        identity(settings()),
        settings=settings(),
    )
    async with serving(settings(), app=app) as service:
        alice = service.user()
        created = await alice.post("/v1/conversations", json={"title": "long"})
        messages = [{"role": "user", "content": "x" * 900}] * 100
        for _ in range(ENTRIES_PAGE * PAGES // 100):
            await alice.post(
                f"/v1/conversations/{created.json()['id']}/messages", json={"messages": messages}
            )
        counting.deletes = chatkeep if deletes else None
        yield service, counting


async def test_a_client_that_goes_away_ends_the_reading() -> None:
    async with counted() as (service, counting):
        gone = asyncio.Event()
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            if not sent:
                return {"type": "http.request", "body": b"", "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)
            if len(sent) == 3:
                gone.set()
            await asyncio.sleep(0)

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/v1/me/export",
            "raw_path": b"/v1/me/export",
            "root_path": "",
            "query_string": b"",
            "headers": [(b"authorization", token().encode())],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "state": {},
        }
        app: Any = service.app
        await app(scope, receive, send)
        assert 0 < counting.pages < PAGES - 1
        assert all(message.get("more_body", True) for message in sent)


async def test_a_conversation_that_is_deleted_while_it_is_written_ends_as_it_was() -> None:
    async with counted(deletes=True) as (service, counting):
        answer = await service.user().get("/v1/me/export")
        [line] = answer.text.splitlines()
        assert len(json.loads(line)["messages"]) == 2 * ENTRIES_PAGE
        assert counting.pages == 3
        assert answer.content.endswith(b"]}\n")


@pytest.mark.parametrize("breaks", [True, False])
async def test_only_what_is_whole_ends_with_a_line_feed(*, breaks: bool) -> None:
    """Also where it breaks between two conversations, whose lines are whole."""
    chatkeep = memory_chatkeep()
    for number in range(3):
        await chatkeep.create_conversation(
            ALICE, metadata=JsonText(json.dumps({"x": "y" * 10_000, "n": number}))
        )
    first, *others = [piece async for piece in transfer(chatkeep).export(ALICE)]

    async def pieces() -> AsyncGenerator[Piece, None]:
        for piece in others * 10:
            yield piece
        if breaks:
            raise StoreUnavailableError("gone")

    got = bytearray()
    with pytest.raises(StoreUnavailableError) if breaks else nullcontext():
        await read(_chunks(first, pieces(), JsonLines()), got)
    assert len(got) > CHUNK_BYTES
    assert got.endswith(b"\n") is not breaks


async def read(chunks: AsyncIterator[bytes], got: bytearray) -> None:
    async for chunk in chunks:
        got += chunk


async def test_an_export_has_what_is_the_callers_and_nothing_else(
    alice: Caller, bob: Caller
) -> None:
    for caller, title in ((alice, "hers"), (bob, "his")):
        assert (await caller.get("/v1/me/export")).content == b""
        await caller.post("/v1/conversations", json={"title": title})
    [line] = (await alice.get("/v1/me/export")).text.splitlines()
    assert json.loads(line)["title"] == "hers"


async def test_a_service_key_exports_for_the_user_that_it_names(
    alice: Caller, service: Service
) -> None:
    await alice.post("/v1/conversations", json={"title": "hers"})
    answer = await service.key(acting_for=alice.user_id).get("/v1/me/export")
    assert json.loads(answer.text)["title"] == "hers"
    assert (await service.key().get("/v1/me/export")).status_code == 400
    assert (await service.nobody().get("/v1/me/export")).status_code == 401


@pytest.mark.parametrize("path", ["/v1/me/export?format=jsonl", "/v1/me/export?limit=1"])
async def test_there_are_no_parameters(alice: Caller, path: str) -> None:
    assert (await alice.get(path)).status_code == 422


async def test_one_conversation_is_exported_as_a_line_or_to_read(
    alice: Caller, service: Service
) -> None:
    body = {"title": "hers", "messages": [{"role": "user", "content": "Grüße <b>"}]}
    made = (await alice.post("/v1/conversations", json=body)).json()
    await alice.post("/v1/conversations", json={"title": "another"})
    path = f"/v1/conversations/{made['id']}/export"

    line = await alice.get(path)
    text = await service.key(acting_for=alice.user_id).get(path, params={"format": "markdown"})

    assert line.headers["content-disposition"] == 'attachment; filename="conversation.jsonl"'
    assert text.headers["content-disposition"] == 'attachment; filename="conversation.md"'
    assert text.headers["content-type"] == "text/markdown; charset=utf-8"
    assert line.content in [
        each + b"\n" for each in (await alice.get("/v1/me/export")).content.splitlines()
    ]
    assert json.loads(line.content)["messages"][0]["content"] == "Grüße <b>"
    assert text.text.startswith("# hers\n")
    assert "Grüße <b>" in text.text
    assert "another" not in text.text


async def test_a_conversation_that_is_not_there_is_not_exported(alice: Caller, bob: Caller) -> None:
    made = (await alice.post("/v1/conversations", json={})).json()
    path = f"/v1/conversations/{made['id']}/export"

    assert (await bob.get(path)).status_code == 404
    refused = await alice.get(path, params={"format": "pdf"})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "format"
    await alice.request("DELETE", path.removesuffix("/export"))
    assert (await alice.get(path)).status_code == 404


async def test_a_conversation_deleted_before_its_first_page_is_not_found() -> None:
    chatkeep = memory_chatkeep()
    made = await chatkeep.create_conversation(ALICE)
    gone = replace(transfer(chatkeep), log=memory_chatkeep().log)

    with pytest.raises(ConversationNotFoundError):
        await anext(gone.export_conversation(ALICE, made.conversation.id))
