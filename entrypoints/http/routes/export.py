"""/v1/me/export and /v1/conversations/{id}/export: streams what the caller owns."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from enum import StrEnum
from typing import Annotated, Any, Final, Protocol

from litestar import get
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromQuery, Parameter
from litestar.response import Stream
from litestar.response.base import ASGIResponse

from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.model import ConversationId
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.middleware.concurrency import ConcurrencyLimiter, Places
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.http.router import Router
from chatkeep.entrypoints.http.routes.parameters import ConversationPath
from chatkeep.entrypoints.tracebacks import summary

logger = logging.getLogger("chatkeep.http")

NDJSON: Final = "application/x-ndjson"
MARKDOWN: Final = "text/markdown"
CHUNK_BYTES: Final = 64 * 1024
AT_ONCE: Final = 10
"""Exports that a process serves at once: each keeps a page in memory until its client is done."""

AT_ONCE_PER_USER: Final = 2


class PieceWriter(Protocol):
    """Writes the pieces of an export as a file."""

    @property
    def writes_branches(self) -> bool:
        """Return whether the file has all branches, and not only the current one."""
        ...

    def write(self, piece: Piece) -> bytes:
        """Return the next bytes of the file."""
        ...


class ExportFormat(StrEnum):
    """The file that an export is."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"


_NAME: Final = "Content-Disposition"
_NAMES: Final = "a suggested file name"
Writers = Mapping[ExportFormat, Callable[[], PieceWriter]]
_FILES: Final = {
    ExportFormat.JSONL: (NDJSON, "conversation.jsonl"),
    ExportFormat.MARKDOWN: (MARKDOWN, "conversation.md"),
}


def export_routes(
    transfer: Transfer, writers: Writers, *, on_refused: Callable[[str], None]
) -> list[Router]:
    """Return the routes. They call `on_refused` with the reason for each request they refuse."""
    places = Places(
        AT_ONCE,
        AT_ONCE_PER_USER,
        what="exports",
        raised_by=("", ""),
        refused=on_refused,
    )

    @get(
        "/export",
        operation_id="exportMe",
        summary="Export everything I own",
        media_type=NDJSON,
        response_headers=[
            ResponseHeader(name=_NAME, description=_NAMES, value=_attached("conversations.jsonl"))
        ],
        responses={
            **problems(),
            200: ResponseSpec(
                str,
                media_type=NDJSON,
                generate_examples=False,
                description="A conversation a line; the last line, too, ends with a line feed.",
            ),
        },
    )
    async def export_me(request: JsonRequest) -> Stream:
        """Return all conversations of the caller with all their messages, as JSON Lines.

        `chatkeep import` reads them; docs/transfer.md describes the lines. If the response cannot
        be completed, the connection is closed early, and the last line has no line feed.
        """
        pieces = transfer.export(require_user(request.user))
        return await _answer(pieces, writers[ExportFormat.JSONL](), NDJSON)

    @get(
        "/export",
        operation_id="exportConversation",
        summary="Export a conversation",
        media_type=NDJSON,
        response_headers=[
            ResponseHeader(name=_NAME, description=_NAMES, value="", documentation_only=True)
        ],
        responses={
            **problems(404),
            200: ResponseSpec(
                str,
                media_type=NDJSON,
                generate_examples=False,
                description="The whole conversation; it ends with a line feed.",
            ),
        },
    )
    async def export_conversation(
        request: JsonRequest,
        conversation_id: ConversationPath,
        format: FromQuery[  # noqa: A002 - the word on the wire
            Annotated[
                ExportFormat,
                Parameter(description="jsonl: everything, for `import`; markdown: to read"),
            ]
        ] = ExportFormat.JSONL,
    ) -> Stream:
        """Return one conversation with all its messages, as a file.

        `jsonl` is one line, as in `/v1/me/export`, with all branches; `markdown` has the current
        one. If the response cannot be completed, the connection is closed early.
        """
        writer = writers[format]()
        media_type, name = _FILES[format]
        pieces = transfer.export_conversation(
            require_user(request.user),
            ConversationId(conversation_id),
            every_branch=writer.writes_branches,
        )
        answer = await _answer(pieces, writer, media_type)
        answer.headers[_NAME] = _attached(name)
        return answer

    return [
        Router(
            path,
            tags=[tag],
            middleware=[ConcurrencyLimiter(places)],
            security=FOR_USERS,
            route_handlers=[handler],
        )
        for path, tag, handler in (
            ("/me", "users", export_me),
            ("/conversations/{conversation_id:str}", "conversations", export_conversation),
        )
    ]


def _attached(name: str) -> str:
    return f'attachment; filename="{name}"'


class _File(Stream):
    """A stream with its own media type: Litestar would take that of the route."""

    def to_asgi_response(self, *args: Any, **options: Any) -> ASGIResponse:  # noqa: ANN401 - Litestar's
        return super().to_asgi_response(*args, **{**options, "media_type": self.media_type})


async def _answer(
    pieces: AsyncGenerator[Piece, None], writer: PieceWriter, media_type: str
) -> Stream:
    # An error before the first byte gets an ordinary problem response.
    first = await anext(pieces, None)
    return _File(_chunks(first, pieces, writer), media_type=media_type)


async def _chunks(
    first: Piece | None, pieces: AsyncGenerator[Piece, None], writer: PieceWriter
) -> AsyncGenerator[bytes, None]:
    """Yield the lines in chunks. Hold back the last byte of each until there is more.

    So an incomplete response never ends with a line feed. That distinguishes it from a complete one
    even over HTTP/1.0, where only the end of the connection ends a response.
    """
    buffer = bytearray()
    async with aclosing(pieces):
        try:
            async for piece in _from(first, pieces):
                buffer += writer.write(piece)
                if len(buffer) > CHUNK_BYTES:
                    chunk, buffer = bytes(buffer[:-1]), buffer[-1:]
                    yield chunk
        except Exception as error:
            logger.error("an export broke off: %s", summary(error))  # noqa: TRY400 - the server logs the rest
            raise
        yield bytes(buffer)


async def _from(first: Piece | None, pieces: AsyncGenerator[Piece, None]) -> AsyncIterator[Piece]:
    if first is not None:
        yield first
        async for piece in pieces:
            yield piece
