"""Twelve writers, a network that loses requests and answers, a service that is killed twice.

The callers have no code for any of it. The service keeps its data in its embedded Postgres.
"""

import asyncio
import os
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from network import network_of

from chatkeep_client import AsyncChatkeep, Chatkeep
from chatkeep_client.testing import _environment, _find

KEY = "of-the-fault-tests-0123456789abcdef"
WRITERS = 12
APPENDS = 12
TRIES = 60


class Service:
    """A service with a database of its own, which survives that it is killed."""

    def __init__(self, home: Path) -> None:
        self._settings = _environment() | {"CHATKEEP_HOME": str(home), "CHATKEEP_SERVICE_KEYS": KEY}
        self._log = home.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0
        self.starts = 0

    def printed(self) -> str:
        return self._log.read_text(encoding="utf-8")

    async def start(self) -> None:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
                [*_find(), "serve", "--port", "0"],
                env=self._settings,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        self.starts += 1
        while not (found := re.search(r"http://[^:]+:(\d+),", self.printed())):
            assert self._process.poll() is None, self.printed()
            await asyncio.sleep(0.05)
        self.port = int(found[1])

    async def end(self, *, kill: bool) -> None:
        assert self._process is not None
        if kill:
            self._process.kill()
        else:
            self._process.terminate()
        while self._process.poll() is None:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.05)


@pytest.fixture
async def persistent_service() -> AsyncIterator[Service]:
    """Start a service with a database in a folder that the user who runs Postgres may enter."""
    with tempfile.TemporaryDirectory(prefix="chatkeep-client-") as name:
        Path(name).chmod(0o755)  # noqa: ASYNC240 - returns at once
        service = Service(Path(name) / "home")
        try:
            await service.start()
            yield service
        finally:
            await service.end(kill=False)


Append = Callable[[str], Awaitable[object]]


async def write(append: Append, name: str, stored: list[str]) -> None:
    for number in range(APPENDS):
        text = f"{name} {number}"
        await append(text)
        stored.append(text)


@pytest.mark.timeout(600)
@pytest.mark.skipif(os.name == "nt", reason="there is no embedded Postgres")
async def test_nothing_is_lost_and_nothing_is_stored_twice(persistent_service: Service) -> None:
    service = persistent_service
    stored: list[str] = []
    async with network_of(lambda: service.port) as network:
        options = {"service_key": KEY, "user": "alice", "max_retries": TRIES}
        async with AsyncChatkeep(network.url, **options) as alice:  # type: ignore[arg-type]
            with (
                Chatkeep(network.url, **options) as other,  # type: ignore[arg-type]
                ThreadPoolExecutor(WRITERS) as threads,
            ):
                chat = (await alice.create_conversation()).id
                network.broken = 0.05

                def says(text: str) -> dict[str, str]:
                    return {"role": "user", "content": text}

                async def append(text: str) -> object:
                    return await alice.append_messages(chat, says(text))

                async def append_in_thread(text: str) -> object:
                    loop = asyncio.get_running_loop()
                    return await loop.run_in_executor(
                        threads, other.append_messages, chat, says(text)
                    )

                ways: list[Append] = [append, append_in_thread]
                writing = [
                    asyncio.create_task(write(ways[number % 2], f"writer {number}", stored))
                    for number in range(WRITERS)
                ]
                for part in (1, 2):
                    while len(stored) < WRITERS * APPENDS * part // 3:
                        for each in writing:
                            if each.done():
                                each.result()
                        await asyncio.sleep(0.01)
                    await service.end(kill=True)
                    await service.start()
                await asyncio.gather(*writing)

                network.broken = 0.0
                history = [each.content async for each in alice.iter_history(chat)]
                assert (await alice.get_conversation(chat)).message_count == len(history)
    assert sorted(map(str, history)) == sorted(stored)
    assert len(set(stored)) == WRITERS * APPENDS
    for number in range(WRITERS):  # each in its order
        mine = [each for each in map(str, history) if each.startswith(f"writer {number} ")]
        assert mine == [f"writer {number} {count}" for count in range(APPENDS)]
    assert min(network.lost["request"], network.lost["answer"]) > 0
    assert service.starts == 3
