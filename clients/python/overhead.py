"""How much processor time the client takes for an append, compared with plain httpx.

`python overhead.py`, where the service is installed too or in the PATH. Both send the same messages
to a service in memory, in turns. The time is that of this process only, so a busy machine matters
little.
"""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Final

import httpx

from chatkeep_client import AsyncChatkeep, Chatkeep
from chatkeep_client.testing import MemoryService, memory_service

ROUNDS: Final = 30
APPENDS: Final = 50
TEXT: Final = "Is there soup today, and what is in it? " * 6


def measure_sync(service: MemoryService) -> tuple[float, float]:
    """Return the milliseconds of an append with httpx and with the client."""
    headers = {"Authorization": f"Bearer {service.service_key}", "X-User-Id": "alice"}
    with (
        httpx.Client(base_url=service.url, headers=headers) as http,
        service.client("alice") as chatkeep,
    ):

        def plainly(chat: str) -> None:
            answer = http.post(
                f"/v1/conversations/{chat}/messages", json={"role": "user", "content": TEXT}
            )
            answer.raise_for_status()
            answer.json()

        def with_client(chat: str) -> None:
            chatkeep.append_messages(chat, {"role": "user", "content": TEXT})

        times: tuple[list[float], list[float]] = ([], [])
        for _ in range(ROUNDS):
            for append, found in zip((plainly, with_client), times, strict=True):
                chat = chatkeep.create_conversation().id
                started = time.process_time()
                for _ in range(APPENDS):
                    append(chat)
                found.append((time.process_time() - started) / APPENDS * 1_000)
    return statistics.median(times[0]), statistics.median(times[1])


async def measure_async(service: MemoryService) -> tuple[float, float]:
    """Return what `measure_sync` does, for the asynchronous clients."""
    headers = {"Authorization": f"Bearer {service.service_key}", "X-User-Id": "alice"}
    async with (
        httpx.AsyncClient(base_url=service.url, headers=headers) as http,
        service.async_client("alice") as chatkeep,
    ):

        async def plainly(chat: str) -> None:
            answer = await http.post(
                f"/v1/conversations/{chat}/messages", json={"role": "user", "content": TEXT}
            )
            answer.raise_for_status()
            answer.json()

        async def with_client(chat: str) -> None:
            await chatkeep.append_messages(chat, {"role": "user", "content": TEXT})

        times: tuple[list[float], list[float]] = ([], [])
        ways: tuple[Callable[[str], Awaitable[None]], ...] = (plainly, with_client)
        for _ in range(ROUNDS):
            for append, found in zip(ways, times, strict=True):
                chat = (await chatkeep.create_conversation()).id
                started = time.process_time()
                for _ in range(APPENDS):
                    await append(chat)
                found.append((time.process_time() - started) / APPENDS * 1_000)
    return statistics.median(times[0]), statistics.median(times[1])


def main() -> None:
    with memory_service() as service:
        for name, (plain, ours) in {
            Chatkeep.__name__: measure_sync(service),
            AsyncChatkeep.__name__: asyncio.run(measure_async(service)),
        }.items():
            print(f"{name}: {ours:.3f} ms, httpx {plain:.3f} ms, ratio {ours / plain:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
