"""The AI SDK's UI message stream of a draft: a replay from its start, and then what is written.

The client begins the answer anew at the first chunk, so a reader who comes back gets all of it.
Readers wait in the hub, as those of events do: one statement asks for all that a process follows.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec
from litestar import Response
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from chatkeep.domain.draft_errors import DraftNotFoundError
from chatkeep.domain.draft_use_cases import DraftPage, DraftUseCases
from chatkeep.domain.drafts import TEXT, Draft, DraftStatus
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.domain.event_use_cases import EventUseCases
from chatkeep.domain.events import ANY_REVISION, Mark
from chatkeep.domain.hub import Watch
from chatkeep.domain.ids import written_id
from chatkeep.domain.model import microseconds
from chatkeep.entrypoints.http.event_stream import EVENT_STREAM, HEARTBEAT
from chatkeep.entrypoints.http.server.ending import Ending, ending_of

AI_SDK: Final = "ai-sdk"
"""The format of drafts whose chunks are the AI SDK's own."""

HEADERS: Final = (
    (b"content-type", EVENT_STREAM.encode()),
    (b"x-accel-buffering", b"no"),
    (b"x-vercel-ai-ui-message-stream", b"v1"),
)
_DONE: Final = b"data: [DONE]\n\n"
_ALIVE: Final = b": keep-alive\n\n"
_PART: Final = "text-1"
_ENDS: Final = {
    DraftStatus.CANCELLED: {"type": "abort"},
    DraftStatus.INTERRUPTED: {"type": "error", "errorText": "The answer was interrupted."},
}
_encode: Final = msgspec.json.Encoder().encode


class UIMessageStream(Response[None]):
    """Sends a draft that is active. The stream ends when the draft does, or after `seconds`.

    Only the end of the draft is written as one: after any other end the client can resume. It
    reports when what it has sent to a reader who waited was stored, as `EventStream` does.
    """

    def __init__(
        self,
        drafts: DraftUseCases,
        live: EventUseCases,
        draft: Draft,
        seconds: float,
        report: Callable[[int], None],
    ) -> None:
        super().__init__(None)
        self._reader = _Reader(drafts, live, draft, seconds, report)

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIResponse:  # noqa: ANN401 - Litestar's
        return self._reader


class _Reader(ASGIResponse):
    __slots__ = ("_after", "_draft", "_drafts", "_is_gone", "_live", "_report", "_seconds")

    def __init__(
        self,
        drafts: DraftUseCases,
        live: EventUseCases,
        draft: Draft,
        seconds: float,
        report: Callable[[int], None],
    ) -> None:
        self._report = report
        self._drafts = drafts
        self._live = live
        self._draft = draft
        self._seconds = seconds
        self._after = 0
        self._is_gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ending = ending_of(scope)
        draft = self._draft
        with self._live.watch(draft.user_id, draft.conversation_id) as watch:
            start: Any = {"type": "http.response.start", "status": 200, "headers": [*HEADERS]}
            await send(start)
            listening = asyncio.create_task(self._listen(receive, watch))
            ending.add(watch.wake)
            try:
                await self._stream(watch, ending, send)
            finally:
                ending.remove(watch.wake)
                listening.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await listening

    async def _listen(self, receive: Receive, watch: Watch) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._is_gone = True
        watch.wake()

    async def _stream(self, watch: Watch, ending: Ending, send: Send) -> None:
        now = asyncio.get_running_loop().time
        until, said = now() + self._seconds, now()
        last, has_waited = b"", False
        while not (self._is_gone or ending.has_begun or now() >= until):
            try:
                page = await self._next(watch)
            except (DraftNotFoundError, StoreUnavailableError):
                break  # its conversation is gone, or the client comes back and gets an answer
            text = b"".join(map(_write, self._chunks(page)))
            if not page.more and not page.draft.is_active:
                last = text + _DONE
                break
            if not text and now() - said >= HEARTBEAT:
                text = _ALIVE
            if text:
                said = now()
                await send({"type": "http.response.body", "body": text, "more_body": True})
                self._report_lag(page, has_waited=has_waited)
            has_waited = not page.more
            if has_waited:
                # A read that nothing has caused finds out whether the draft is overdue.
                await watch.wait(min(HEARTBEAT, max(0.0, until - now())))
        await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _next(self, watch: Watch) -> DraftPage:
        """Return the next chunks, and note in the watch what will have been read then."""
        draft = self._draft
        page = await self._drafts.read(
            draft.user_id, draft.conversation_id, draft.id, after=self._after
        )
        last = page.chunks[-1].seq if page.chunks else self._after
        mark = Mark(0, draft.number, ANY_REVISION, 0, draft=draft.number, chunk=last)
        watch.has_read(mark, events=bool(page.chunks))
        return page

    def _report_lag(self, page: DraftPage, *, has_waited: bool) -> None:
        if has_waited and page.chunks:
            self._report(microseconds(page.draft.progress_at))

    def _chunks(self, page: DraftPage) -> Iterator[bytes]:
        """Yield the JSON of the chunks of the stream for the next ones of the draft."""
        draft = page.draft
        is_first, is_text = self._after == 0, draft.format == TEXT
        if is_text and is_first and page.chunks:
            yield _encode({"type": "start", "messageId": written_id(draft.message_id)})
            yield _encode({"type": "text-start", "id": _PART})
        for chunk in page.chunks:
            self._after = chunk.seq
            if is_text:
                yield _encode({"type": "text-delta", "id": _PART, "delta": chunk.text})
            else:
                yield chunk.text.encode()
        if page.more or draft.is_active:
            return
        if is_text and self._after:
            yield _encode({"type": "text-end", "id": _PART})
        if draft.status in _ENDS:
            yield _encode(_ENDS[draft.status])
        elif is_text and self._after:
            yield _encode({"type": "finish"})


def _write(chunk: bytes) -> bytes:
    return b"data: %b\n\n" % b"\ndata: ".join(chunk.splitlines())
