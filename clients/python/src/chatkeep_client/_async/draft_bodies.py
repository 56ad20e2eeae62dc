"""An answer as the bodies of one or several requests, while it is being made."""

import time
from collections.abc import AsyncIterable, AsyncIterator
from typing import Final

from chatkeep_client._chunk_lines import Chunk, ChunkLines, MediaType

SECONDS: Final = 10.0
BYTES: Final = 262_144
"""A body ends after this, and another one goes on. So little is held that may be lost, a proxy that
waits for the end of a body passes it on, and a producer learns in time that it must stop."""


class AsyncDraftBody:
    """Makes bodies of chunks, and keeps those that the service may not have.

    `first` is the number of the first of them. `failure` is the error that ended the chunks.
    """

    def __init__(
        self, chunks: AsyncIterable[Chunk | bytes], media_type: MediaType | None, first: int
    ) -> None:
        self.first = first
        self.failure: Exception | None = None
        self._chunks = aiter(chunks)
        self._lines = ChunkLines(media_type)
        self._kept: list[bytes] = []
        self._has_ended = False

    @property
    def is_written(self) -> bool:
        """True if the service has all chunks."""
        return self._has_ended and not self._kept

    @property
    def is_kept(self) -> bool:
        """True if the service may lack a chunk."""
        return bool(self._kept)

    def confirm(self, next_: int) -> bool:
        """Forget the chunks before this one. Return whether there were any."""
        count = next_ - self.first
        if count <= 0:
            return False
        del self._kept[:count]
        self.first = next_
        return True

    async def part(self) -> AsyncIterator[bytes]:
        """Yield what is kept, and then new chunks for a while."""
        size = 0
        for line in [*self._kept]:
            size += len(line)
            yield line
        until = time.monotonic() + SECONDS
        while not self._has_ended and size < BYTES and time.monotonic() < until:
            for line in await self._take():
                size += len(line)
                yield line

    async def _take(self) -> list[bytes]:
        """Return and keep the next lines, which may be none."""
        try:
            lines = await self._read()
        except Exception as error:  # noqa: BLE001 - raised once the rest is written
            self._has_ended, self.failure = True, error
            lines = []
        self._kept += lines
        return lines

    async def _read(self) -> list[bytes]:
        try:
            return self._lines.read(await anext(self._chunks))
        except StopAsyncIteration:
            self._has_ended = True
            return self._lines.end()
