"""Writes responses to a connection, and disconnects a client that stops reading."""

import asyncio
import logging
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Final

logger = logging.getLogger("chatkeep.http")

WRITE_BYTES: Final = 262_144
"""How much of a response is handed to the operating system at a time."""


class ResponseWriter:
    """Writes to a transport. Disconnects a client that reads nothing for `timeout` seconds."""

    __slots__ = ("_may_write", "_timeout", "transport")

    def __init__(self, transport: asyncio.Transport, timeout: float) -> None:
        self.transport = transport
        self._timeout = timeout
        self._may_write = asyncio.Event()
        self._may_write.set()
        # A write returns only when the operating system has taken everything, so that a response
        # counts as being served until then.
        transport.set_write_buffer_limits(high=0)

    def pause(self) -> None:
        """Make writes wait: the operating system has not taken everything yet."""
        self._may_write.clear()

    def resume(self) -> None:
        self._may_write.set()

    async def write(self, *pieces: bytes) -> None:
        """Return when the operating system has taken all pieces, or the client is gone."""
        if sum(map(len, pieces)) <= WRITE_BYTES:
            pieces = (b"".join(pieces),)
        for piece in pieces:
            view = memoryview(piece)
            for at in range(0, len(view), WRITE_BYTES):
                if self.transport.is_closing():
                    return
                self.transport.write(view[at : at + WRITE_BYTES])
                if not self._may_write.is_set():
                    await self._drain()

    async def _drain(self) -> None:
        while not self._may_write.is_set():
            left = self.transport.get_write_buffer_size()
            try:
                async with asyncio.timeout(self._timeout):
                    await self._may_write.wait()
            except TimeoutError:
                if self.transport.get_write_buffer_size() >= left:
                    logger.info("a client read nothing of its response for %g s", self._timeout)
                    self.reset()
                    return

    def reset(self) -> None:
        """Reset the connection, so that the client notices that the response is incomplete.

        This also drops data in the operating system's buffers, which a client that reads nothing
        would keep occupied.
        """
        if (socket := self.transport.get_extra_info("socket")) is not None:
            socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
