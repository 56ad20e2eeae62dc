"""The AI SDK's UI message stream of a draft: a replay from its start, and then what is written.

The client begins the answer anew at the first chunk, so a reader who comes back gets all of it.
Readers wait in the hub, as those of events do: one statement asks for all that a process follows.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Final

import msgspec

from chatkeep.domain.draft_errors import DraftNotFoundError
from chatkeep.domain.draft_use_cases import DraftPage, DraftUseCases
from chatkeep.domain.drafts import TEXT, Draft, DraftStatus
from chatkeep.domain.event_use_cases import EventUseCases
from chatkeep.domain.events import ANY_REVISION, Mark
from chatkeep.domain.hub import Watch
from chatkeep.domain.ids import written_id
from chatkeep.domain.model import microseconds
from chatkeep.entrypoints.http.live_stream import Headers, StreamPart

AI_SDK: Final = "ai-sdk"
"""The format of drafts whose chunks are the AI SDK's own."""

_DONE: Final = b"data: [DONE]\n\n"
_ALIVE: Final = b": keep-alive\n\n"
_PART: Final = "text-1"
_ENDS: Final = {
    DraftStatus.CANCELLED: {"type": "abort"},
    DraftStatus.INTERRUPTED: {"type": "error", "errorText": "The answer was interrupted."},
}
_encode: Final = msgspec.json.Encoder().encode


class UIMessages:
    """A draft that is active, for a `LiveStream`. It is over when the draft ends.

    Only the end of the draft is written as one: after any other end the client can resume.
    """

    headers: Headers = ((b"x-vercel-ai-ui-message-stream", b"v1"),)

    def __init__(self, drafts: DraftUseCases, live: EventUseCases, draft: Draft) -> None:
        self._drafts = drafts
        self._live = live
        self._draft = draft
        self._after = 0

    def watching(self) -> AbstractContextManager[Watch]:
        return self._live.watch(self._draft.user_id, self._draft.conversation_id)

    async def read(self, watch: Watch) -> StreamPart:
        key = (self._draft.user_id, self._draft.conversation_id, self._draft.number, self._after)
        try:
            page = await self._live.hub.share(watch, key, self._load)
        except DraftNotFoundError:  # its conversation is gone
            return StreamPart(b"", is_over=True)
        last = page.chunks[-1].seq if page.chunks else self._after
        number = self._draft.number
        mark = Mark(0, number, ANY_REVISION, 0, draft=number, chunk=last)
        watch.has_read(mark, events=bool(page.chunks))
        text = b"".join(map(_write, self._chunks(page)))
        if not page.more and not page.draft.is_active:
            return StreamPart(text + _DONE, is_over=True)
        stored_at = microseconds(page.draft.progress_at) if page.chunks else 0
        return StreamPart(text, page.more, due_at=page.draft.deadline, stored_at=stored_at)

    async def _load(self) -> DraftPage:
        draft = self._draft
        return await self._drafts.read(
            draft.user_id, draft.conversation_id, draft.id, after=self._after
        )

    def opening(self) -> bytes:
        return b""

    def beat(self) -> bytes:
        return _ALIVE

    def idle(self) -> bytes:
        return b""

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
