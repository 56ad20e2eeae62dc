"""A write is over when the system has taken all of it; a client that takes nothing is cut off."""

import asyncio

import pytest

from chatkeep.entrypoints.http.server.response_writer import WRITE_BYTES, ResponseWriter
from tests.support.virtual_time import in_virtual_time

STALL = 0.8


class Slow(asyncio.Transport):
    """Holds what is written until it is told to let go of some of it."""

    def __init__(self) -> None:
        super().__init__()
        self.high = 65_536
        self.writer = ResponseWriter(self, STALL)
        self.held = 0
        self.most_held = 0
        self.is_aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high or 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.held += len(data)
        self.most_held = max(self.most_held, self.held)
        if self.held > self.high:
            self.writer.pause()

    def let_go(self, size: int) -> None:
        self.held -= size
        if self.held == 0:
            self.writer.resume()

    def get_write_buffer_size(self) -> int:
        return self.held

    def is_closing(self) -> bool:
        return self.is_aborted

    def abort(self) -> None:
        self.is_aborted = True
        self.writer.resume()


@in_virtual_time
async def test_even_a_few_bytes_are_waited_for() -> None:
    slow = Slow()
    writing = asyncio.create_task(slow.writer.write(b"a few ", b"bytes"))
    await asyncio.sleep(STALL / 20)
    assert slow.held == 11
    assert not writing.done()
    slow.let_go(11)
    await writing
    assert not slow.is_aborted


@in_virtual_time
async def test_who_takes_nothing_is_cut_off_and_gets_no_more() -> None:
    slow = Slow()
    async with asyncio.timeout(5):
        await slow.writer.write(b"x" * (3 * WRITE_BYTES))
    assert slow.is_aborted
    assert slow.held == WRITE_BYTES


@in_virtual_time
async def test_who_takes_a_little_in_time_is_waited_for() -> None:
    slow = Slow()
    writing = asyncio.create_task(slow.writer.write(b"x" * WRITE_BYTES))
    for _ in range(6):
        await asyncio.sleep(STALL / 4)
        slow.let_go(1)
    assert not writing.done()
    slow.let_go(slow.held)
    await writing
    assert not slow.is_aborted


@pytest.mark.parametrize("size", [1, WRITE_BYTES - 1, 5 * WRITE_BYTES + 1])
@in_virtual_time
async def test_the_transport_never_holds_more_than_a_slice(size: int) -> None:
    slow = Slow()
    writing = asyncio.create_task(slow.writer.write(b"head", b"x" * size))
    while not writing.done():
        await asyncio.sleep(0)
        slow.let_go(slow.held)
    assert slow.most_held <= WRITE_BYTES
    assert not slow.is_aborted
