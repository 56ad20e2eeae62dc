"""Answers that come as one long request body, and are written while it comes.

Nothing but a batch is held in memory: while it is being written, the connection is not read.
"""

import asyncio
import codecs
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Protocol

import msgspec

from chatkeep.domain.drafts import Draft, NewChunks
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_fields import check_original
from chatkeep.domain.model import Limits
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.problems import ProblemError
from chatkeep.entrypoints.http.server.ending import Ending
from chatkeep.entrypoints.http.validation import shorten

BATCH_SECONDS: Final = 0.25
BATCH_BYTES: Final = 4_096
PLAIN: Final = "text/plain"
EVENTS: Final = "text/event-stream"
LINES: Final = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_SHORTEST_WAIT: Final = 0.01
_DONE: Final = b"[DONE]"
_decode_text: Final = msgspec.json.Decoder(str).decode
_check_json: Final = msgspec.json.Decoder(msgspec.Raw).decode


class PieceReader(Protocol):
    """Makes the texts of chunks of a body."""

    are_documents: bool

    def read(self, piece: bytes) -> Iterator[str]:
        """Yield the chunks that are complete with this piece. Raises `InvalidValueError`."""
        ...

    def end(self) -> Iterator[str]:
        """Yield what is left at the end. Raises `InvalidValueError` if that is not complete."""
        ...


class TextReader:
    """Reads a body that is the answer's text, in UTF-8."""

    are_documents = False

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def read(self, piece: bytes) -> Iterator[str]:
        yield from self._decode(piece)

    def end(self) -> Iterator[str]:
        yield from self._decode(b"", final=True)

    def _decode(self, piece: bytes, *, final: bool = False) -> Iterator[str]:
        try:
            text = self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            raise InvalidValueError("body", "is not UTF-8") from None
        if text:
            yield text


class LineReader:
    """Reads a body of lines, each of which is a chunk in JSON; with `data:` before it, an event."""

    def __init__(self, *, are_events: bool, max_bytes: int) -> None:
        self.are_documents = False
        self._are_events = are_events
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        self._size = 0
        self._count = 0

    def read(self, piece: bytes) -> Iterator[str]:
        first, *others = piece.split(b"\n")
        self._add(first)
        for each in others:
            yield from self._take()
            self._add(each)

    def end(self) -> Iterator[str]:
        yield from self._take()

    def _add(self, part: bytes) -> None:
        self._rest.append(part)
        self._size += len(part)
        if self._max_bytes and self._size > self._max_bytes:
            limit = self._max_bytes
            raise InvalidValueError("body", f"has a line of more than {limit} bytes")

    def _take(self) -> Iterator[str]:
        line = b"".join(self._rest).strip()
        self._rest, self._size = [], 0
        if self._are_events:
            name, _, line = line.partition(b":")
            line = line.strip() if name == b"data" else b""
        if not line or line == _DONE:
            return
        self._count += 1
        yield self._chunk(line, f"chunk {self._count}")

    def _chunk(self, line: bytes, field: str) -> str:
        is_document = line.startswith(b"{")
        if not is_document and not line.startswith(b'"'):
            raise InvalidValueError(field, "must be a JSON string or object")
        if self._count > 1 and is_document is not self.are_documents:
            raise InvalidValueError(field, "must be a string or an object, as the first chunk")
        self.are_documents = is_document
        try:
            if not is_document:
                return _decode_text(line)
            _check_json(line)
            return check_original(line.decode(), field=field)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise InvalidValueError(field, "is not JSON in UTF-8") from None
        except RecursionError:
            raise InvalidValueError(field, "is nested too deeply") from None


def reader_for(request: JsonRequest, limits: Limits) -> PieceReader:
    """Return what reads a body of this type. Raises `ProblemError`."""
    encoding = (request.find_header(b"content-encoding") or b"identity").decode("latin-1")
    if encoding.strip().lower() != "identity":
        detail = f"The body is encoded (Content-Encoding: {shorten(encoding)}); send it plain."
        raise ProblemError(415, "unsupported-content-encoding", detail)
    given = (request.find_header(b"content-type") or PLAIN.encode()).decode("latin-1")
    media_type = given.partition(";")[0].strip().lower()
    if media_type == PLAIN:
        return TextReader()
    if media_type == EVENTS or media_type in LINES:
        return LineReader(are_events=media_type == EVENTS, max_bytes=limits.max_draft_bytes)
    raise ProblemError(
        415,
        "unsupported-media-type",
        f"The body is {shorten(media_type)}; send text/plain, application/x-ndjson or "
        "text/event-stream.",
    )


class DraftWriter:
    """Writes the chunks of a body in batches. `write` stores chunks with the number of the first.

    `seconds_left` says how long the draft may go on without a chunk; when that is over, `overdue`
    returns the draft as it is then, or raises what ends the request.
    """

    def __init__(
        self,
        draft: Draft,
        seq: int | None,
        write: Callable[[int, NewChunks], Awaitable[Draft]],
        overdue: Callable[[Draft], Awaitable[Draft]],
        seconds_left: Callable[[Draft], float],
    ) -> None:
        self.draft = draft
        self._seq = draft.next if seq is None else seq
        self._write = write
        self._overdue = overdue
        self._seconds_left = seconds_left
        self._texts: list[str] = []
        self._size = 0

    async def run(
        self, receive: Callable[[], Awaitable[Any]], reader: PieceReader, ending: Ending
    ) -> bool:
        """Write what comes. Return whether the body came to its end; otherwise the service stops.

        What came before an error or a disconnect is written. Raises `ProblemError` for those, and
        what the writes raise.
        """
        stopping = asyncio.Event()
        ending.add(stopping.set)
        stopped = asyncio.ensure_future(stopping.wait())
        pending: asyncio.Future[Any] = asyncio.ensure_future(receive())
        try:
            loop = asyncio.get_running_loop()
            flush_at: float | None = None
            while not ending.has_begun:
                until = (
                    self._seconds_left(self.draft) if flush_at is None else flush_at - loop.time()
                )
                await asyncio.wait(
                    {pending, stopped},
                    timeout=max(until, _SHORTEST_WAIT),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if pending.done():
                    event = pending.result()
                    if event["type"] == "http.disconnect":
                        detail = "The client disconnected before the end of the body."
                        raise ProblemError(400, "malformed-body", detail)
                    self._take(reader.read(event["body"]))
                    if not event.get("more_body", False):
                        self._take(reader.end())
                        return True
                    pending = asyncio.ensure_future(receive())
                elif flush_at is None and not stopped.done():
                    self.draft = await self._overdue(self.draft)
                    continue
                if self._texts and flush_at is None:
                    flush_at = loop.time() + BATCH_SECONDS
                if self._size >= BATCH_BYTES or (flush_at is not None and loop.time() >= flush_at):
                    await self._flush(reader)
                    flush_at = None
            return False
        finally:
            ending.remove(stopping.set)
            stopped.cancel()
            pending.cancel()
            await self._flush(reader)

    def _take(self, texts: Iterator[str]) -> None:
        for text in texts:
            self._texts.append(text)
            self._size += len(text.encode())

    async def _flush(self, reader: PieceReader) -> None:
        if not self._texts:
            return
        texts, self._texts, self._size = self._texts, [], 0
        if isinstance(reader, TextReader):
            texts = ["".join(texts)]
        self.draft = await self._write(self._seq, NewChunks(texts, reader.are_documents))
        self._seq += len(texts)
