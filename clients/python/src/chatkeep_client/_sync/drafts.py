# Written by sync_from_async.py from _async/drafts.py; change that file.
"""Drafts: answers that others can read while they are being written."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from msgspec import UNSET, UnsetType

from chatkeep_client._chunk_lines import Chunk, MediaType
from chatkeep_client._requests import Request, conversation, given, into, segment, uuid7
from chatkeep_client._retries import Attempts
from chatkeep_client._sync.draft_bodies import DraftBody
from chatkeep_client._sync.sending import Sender
from chatkeep_client.errors import ChatkeepError
from chatkeep_client.models import (
    Draft,
    DraftList,
    DraftPage,
    EndedDraft,
    Message,
    MessageInput,
)

_SECONDS: Final = 0.25
_CHARS: Final = 4_096
"""Chunks are sent together: after this many seconds, or characters of text."""
_PAUSE: Final = 0.25

_draft = into(Draft)
_drafts = into(DraftList)
_page = into(DraftPage)
_ended = into(EndedDraft)


class Drafts(Sender):
    """The routes of drafts. Conflicts raise subclasses of `DraftConflictError`, with the draft."""

    def start_draft(
        self,
        conversation_id: str,
        *,
        draft_id: str | None = None,
        message_id: str | None = None,
        after: str | UnsetType | None = UNSET,
        branch: int | None = None,
        format: str = "text",  # noqa: A002 - the word on the wire
        metadata: Mapping[str, Any] | None = None,
        lease: int | UnsetType = UNSET,
        supersede: bool = False,
        discard: bool = False,
    ) -> Draft:
        """Start an answer that is still to be written.

        - `draft_id`: without one it gets a UUID. `message_id` is that of the message that it will
          become; `after` and `branch` say where, as in `append_messages`.
        - `format`: `text` for chunks of text, otherwise chunks are JSON objects.
        - `lease`: the seconds without a new chunk after which it is interrupted.
        - `supersede`: interrupt an active draft, and keep what there is of it as a message unless
          `discard`; one with the same `draft_id` is taken over with its chunks.

        Raises `NotFoundError`, and `DraftActiveError` while there is another one.
        """
        body = given(
            id=draft_id or uuid7(),
            message_id=message_id,
            after=after,
            format=format,
            metadata=metadata,
            lease=lease,
            supersede=supersede,
            discard=discard,
        )
        path = conversation(conversation_id, "drafts")
        return self._send(Request("POST", path, _draft, query={"branch": branch}, body=body))

    def write_chunks(
        self, conversation_id: str, draft_id: str, chunks: Sequence[Chunk], *, epoch: int, seq: int
    ) -> Draft:
        """Add chunks, all or none; `seq` is the number of the first of them, from 1.

        Raises `NotFoundError`; `DraftGapError` if chunks before these are missing;
        `DraftSupersededError` if another producer has taken over; `DraftEndedError`.
        """
        body = {"epoch": epoch, "seq": seq, "chunks": list(chunks)}
        path = conversation(conversation_id, "drafts", segment(draft_id), "chunks")
        return self._send(Request("POST", path, _draft, body=body))

    def stream_draft(
        self,
        conversation_id: str,
        draft_id: str,
        chunks: Iterable[Chunk | bytes],
        *,
        epoch: int,
        seq: int | None = None,
        finish: bool = False,
        media_type: MediaType | None = None,
    ) -> EndedDraft:
        """Write chunks while they come, in long request bodies, as many as it takes.

        - `chunks`: texts, or JSON objects. With a `media_type` they are pieces of a body of this
          type, such as the bytes of another service's answer, wherever they are cut.
        - `seq`: the number of the first one; without it, they go on where the draft is.
        - `finish`: finish the draft at the end. The answer then has its message.
        - When a connection breaks or a service stops, the next request goes on behind what is
          stored. Each chunk is stored once, in order. What is not stored yet is kept: at most
          what was sent in 10 seconds, or 256 KB.
        - An error of `chunks` is raised when those before it are stored.

        Raises `NotFoundError`; `DraftSupersededError` if another producer has taken over;
        `DraftEndedError`; `DraftGapError`; `ConnectionFailedError` if no request gets through.
        """
        path = conversation(conversation_id, "drafts", segment(draft_id), "stream")
        where = Request("POST", path, _ended, query={"epoch": epoch}, lines=b"")
        if seq is None:
            seq = (self._send(where)).draft.next
        body = DraftBody(chunks, media_type, seq)
        try:
            ended = self._write_body(where, epoch, body)
        except ChatkeepError as error:
            if body.failure is None:
                raise
            raise body.failure from error
        if body.failure is not None:
            raise body.failure
        if finish:
            return self.finish_draft(conversation_id, draft_id, epoch=epoch)
        return ended

    def _write_body(self, where: Request[EndedDraft], epoch: int, body: DraftBody) -> EndedDraft:
        """Send the parts of a body until all is written. `where` writes nothing."""
        path = where.path.partition("?")[0]
        attempts = Attempts(where, self._max_retries)
        while True:
            query = {"epoch": epoch, "seq": body.first}
            request = Request("POST", path, _ended, query=query, lines=body.part())
            answer = self._attempt(request, attempts)
            if isinstance(answer, float):
                time.sleep(answer)
                ended = self._send(where)
            else:
                ended = _ended(answer)
            if body.confirm(ended.draft.next):
                attempts = Attempts(where, self._max_retries)
            elif body.is_kept:  # a service that stops takes nothing
                time.sleep(_PAUSE)
            if body.is_written:
                return ended

    def finish_draft(
        self,
        conversation_id: str,
        draft_id: str,
        *,
        epoch: int,
        message: MessageInput | None = None,
    ) -> EndedDraft:
        """End a draft and store its message: that of the chunks, or this one.

        Raises `NotFoundError`, `DraftSupersededError`, `DraftEndedError` and `LimitExceededError`.
        """
        body = {"epoch": epoch, "message": message}
        path = conversation(conversation_id, "drafts", segment(draft_id), "finish")
        return self._send(Request("POST", path, _ended, body=body))

    def cancel_draft(self, conversation_id: str, draft_id: str, *, keep: bool = True) -> EndedDraft:
        """End a draft that is not needed any more, and keep what there is of it as a message.

        Raises `NotFoundError`, and `DraftEndedError` if it has ended otherwise.
        """
        path = conversation(conversation_id, "drafts", segment(draft_id), "cancel")
        return self._send(Request("POST", path, _ended, body={"keep": keep}))

    def get_draft(self, conversation_id: str, draft_id: str, *, after: int = 0) -> DraftPage:
        """Return a draft and its text or chunks, all or those after a chunk.

        Raises `NotFoundError`; an ended draft can be read for an hour.
        """
        path = conversation(conversation_id, "drafts", segment(draft_id))
        return self._send(Request("GET", path, _page, query={"after": after}))

    def list_drafts(self, conversation_id: str, *, limit: int = 20) -> list[Draft]:
        """Return the active draft first, and those that ended in the last hour.

        Raises `NotFoundError`.
        """
        path = conversation(conversation_id, "drafts")
        return (self._send(Request("GET", path, _drafts, query={"limit": limit}))).items

    @contextmanager
    def draft(
        self,
        conversation_id: str,
        **options: Any,  # noqa: ANN401 - those of `start_draft`
    ) -> Iterator["DraftWriter"]:
        """Start a draft, and yield a writer of it.

        It is finished at the end of the block. If the block raises an error, it is cancelled: what
        was written becomes a message that is marked as interrupted. `options` are those of
        `start_draft`.
        """
        writer = DraftWriter(self, self.start_draft(conversation_id, **options))
        try:
            yield writer
        except BaseException:
            with suppress(ChatkeepError):
                writer.flush()
            with suppress(ChatkeepError):
                self.cancel_draft(conversation_id, writer.draft.id)
            raise
        writer.finish()


class DraftWriter:
    """Writes one draft. `draft` is its latest state, `message` its message when it is finished."""

    def __init__(self, client: Drafts, draft: Draft) -> None:
        self.draft = draft
        self.message: Message | None = None
        self._client = client
        self._waiting: list[Chunk] = []
        self._chars = 0
        self._sent_at = time.monotonic()
        self._is_finished = False

    def write(self, chunk: Chunk) -> None:
        """Add a chunk: a piece of text, or a JSON object. It is sent with others.

        An empty text is left out. Raises `DraftEndedError` when the user has cancelled it, and
        `DraftSupersededError`.
        """
        if chunk == "":
            return
        self._waiting.append(chunk)
        self._chars += len(chunk)
        if self._chars >= _CHARS or time.monotonic() - self._sent_at >= _SECONDS:
            self.flush()

    def stream(
        self, chunks: Iterable[Chunk | bytes], *, media_type: MediaType | None = None
    ) -> None:
        """Add chunks while they come, in long request bodies: `stream_draft` says how."""
        self.flush()
        draft = self.draft
        ended = self._client.stream_draft(
            draft.conversation_id,
            draft.id,
            chunks,
            epoch=draft.epoch,
            seq=draft.next,
            media_type=media_type,
        )
        self.draft, self._sent_at = ended.draft, time.monotonic()

    def flush(self) -> None:
        """Send what was written."""
        if not self._waiting:
            return
        draft = self.draft
        self.draft = self._client.write_chunks(
            draft.conversation_id, draft.id, self._waiting, epoch=draft.epoch, seq=draft.next
        )
        self._waiting, self._chars = [], 0
        self._sent_at = time.monotonic()

    def finish(self, message: MessageInput | None = None) -> Message | None:
        """Finish the draft now, with a whole `message` if you have one. Return its message."""
        if not self._is_finished:
            self.flush()
            ended = self._client.finish_draft(
                self.draft.conversation_id, self.draft.id, epoch=self.draft.epoch, message=message
            )
            self.draft, self.message, self._is_finished = ended.draft, ended.message, True
        return self.message
