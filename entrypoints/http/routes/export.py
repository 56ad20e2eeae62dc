"""/v1/me/export: streams everything that the caller owns."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from typing import Final, Protocol

from litestar import Router, get
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream

from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.entrypoints.http.auth.authentication import FOR_USERS, require_user
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.middleware.concurrency import ConcurrencyLimiter, Places
from chatkeep.entrypoints.http.problems import problems
from chatkeep.entrypoints.tracebacks import summary

logger = logging.getLogger("chatkeep.http")

NDJSON: Final = "application/x-ndjson"
CHUNK_BYTES: Final = 64 * 1024
AT_ONCE: Final = 10
"""Exports that a process serves at once: each keeps a page in memory until its client is done."""

AT_ONCE_PER_USER: Final = 2
_HEADER: Final = ResponseHeader(
    name="Content-Disposition",
    description="a suggested file name",
    value='attachment; filename="conversations.jsonl"',
)


class PieceWriter(Protocol):
    """Writes the pieces of an export as JSON Lines."""

    def write(self, piece: Piece) -> bytes:
        """Return the next bytes of the file."""
        ...


def export_routes(
    transfer: Transfer, writer: Callable[[], PieceWriter], *, on_refused: Callable[[str], None]
) -> Router:
    """Return the route. It calls `on_refused` with the reason for each request that it refuses."""
    places = Places(
        AT_ONCE,
        AT_ONCE_PER_USER,
        what="exports",
        raised_by=("", ""),
        refused=on_refused,
    )

    @get(
        "/export",
        middleware=[ConcurrencyLimiter(places)],
        operation_id="exportMe",
        security=FOR_USERS,
        summary="Export everything I own",
        media_type=NDJSON,
        response_headers=[_HEADER],
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
    async def export(request: JsonRequest) -> Stream:
        """Return all conversations of the caller with all their messages, as JSON Lines.

        `chatkeep import` reads them; docs/transfer.md describes the lines. If the response cannot
        be completed, the connection is closed early, and the last line has no line feed.
        """
        pieces = transfer.export(require_user(request.user))
        # An error before the first byte gets an ordinary problem response.
        first = await anext(pieces, None)
        return Stream(_chunks(first, pieces, writer()), media_type=NDJSON)

    return Router("/me", tags=["users"], route_handlers=[export])


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
