"""A chatbot's backend on chatkeep, and its page: what a team that uses the AI SDK writes.

Its model is a script: ten words a second.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import uvicorn

from tests.support.service_process import ServiceProcess, as_user
from tests.support.waiting import until

PAGE: Final = Path(__file__).parents[2] / "build" / "ai-sdk-page" / "page.js"
PAUSE: Final = 0.1  # seconds between two words
USER: Final = "of-the-page"
_HTML: Final = b"""<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">
<div id="page"></div><script type="module" src="page.js"></script>"""


class Chatbot:
    """An ASGI application."""

    def __init__(self, service: ServiceProcess, words: int) -> None:
        self._words = [f"word{number} " for number in range(words)]
        self._http = service.http
        self._headers = as_user(USER) | {"Content-Type": "application/json"}
        self._writing = set[asyncio.Task[None]]()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        if scope["type"] != "http":
            return
        match scope["path"].strip("/").split("/"):
            case [""]:
                await self._respond(send, _HTML, b"text/html")
            case ["page.js"]:
                await self._respond(send, PAGE.read_bytes(), b"text/javascript")
            case ["api", "chat"]:
                await self._answer(await _body(receive), send)
            case ["api", "chat", chat, "messages"]:
                await self._call("PUT", f"/v1/conversations/{quote(chat)}", {})
                found = await self._call(
                    "GET", f"/v1/conversations/{quote(chat)}/messages?format=ai-sdk&limit=100"
                )
                await self._respond(send, json.dumps(found).encode(), b"application/json")
            case ["api", "chat", chat, "stop"]:
                await self._call("POST", f"/ai-sdk/{quote(chat)}/stop")
                await self._respond(send, b"", b"text/plain")
            case ["api", "chat", chat, "stream"]:
                await self._pass_on(chat, send)

    async def _answer(self, body: Any, send: Any) -> None:  # noqa: ANN401 - JSON, and ASGI's
        """Store what the user wrote, begin to write the answer, and stream that."""
        chat, message = body["id"], body["messages"][-1]
        path = f"/v1/conversations/{quote(chat)}"
        document = {"format": "ai-sdk", "original": message}
        await self._call("PUT", f"{path}/messages/{quote(message['id'])}", document)
        draft = await self._call("POST", f"{path}/drafts", {"format": "ai-sdk"})
        writing = asyncio.create_task(self._write(f"{path}/drafts/{draft['id']}", draft))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)
        await self._pass_on(chat, send)

    async def _write(self, path: str, draft: Any) -> None:  # noqa: ANN401 - JSON
        deltas = [{"type": "text-delta", "id": "1", "delta": word} for word in self._words]
        start = {"type": "start", "messageId": draft["message_id"]}
        opening = [start, {"type": "text-start", "id": "1"}]
        for seq, chunk in enumerate(
            [*opening, *deltas, {"type": "text-end", "id": "1"}, {"type": "finish"}], start=1
        ):
            body = {"epoch": draft["epoch"], "seq": seq, "chunks": [chunk]}
            written = await self._http.post(
                f"{path}/chunks", headers=self._headers, content=json.dumps(body)
            )
            if written.status_code == 409:  # the user has stopped it
                return
            await asyncio.sleep(PAUSE)
        await self._call("POST", f"{path}/finish", {"epoch": draft["epoch"]})

    async def _pass_on(self, chat: str, send: Any) -> None:  # noqa: ANN401 - ASGI's
        path = f"/ai-sdk/{quote(chat)}/stream"
        async with self._http.stream("GET", path, headers=self._headers) as answer:
            kept = ("content-type", "x-vercel-ai-ui-message-stream", "cache-control")
            headers = [(name, answer.headers[name]) for name in kept if name in answer.headers]
            encoded = [(name.encode(), value.encode()) for name, value in headers]
            start = {"type": "http.response.start", "status": answer.status_code}
            await send({**start, "headers": encoded})
            async for text in answer.aiter_raw():
                await send({"type": "http.response.body", "body": text, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    async def _call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        answer = await self._http.request(
            method,
            path,
            headers=self._headers,
            content=None if body is None else json.dumps(body),
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    @staticmethod
    async def _respond(send: Any, body: bytes, media_type: bytes) -> None:  # noqa: ANN401 - ASGI's
        headers = [(b"content-type", media_type)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


async def _body(receive: Any) -> Any:  # noqa: ANN401 - ASGI's, and JSON
    body = b""
    while True:
        event = await receive()
        body += event.get("body", b"")
        if not event.get("more_body"):
            return json.loads(body)


@asynccontextmanager
async def chatbot(service: ServiceProcess, words: int) -> AsyncIterator[str]:
    """Serve a chatbot that answers with so many words until the end of the block.

    Yield the address of a new chat.
    """
    config = uvicorn.Config(Chatbot(service, words), port=0, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined] # older ones
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}/?chat={uuid4().hex}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await serving
