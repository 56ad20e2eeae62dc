"""Chat backends that write all the time and keep book of what was acknowledged."""

import asyncio
import signal
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Self
from uuid import UUID, uuid4

import asyncpg
import httpx

from tests.support.postgres import connect_args
from tests.support.processes import catches, descendants
from tests.support.service_process import ServiceProcess, as_user
from tests.support.waiting import PATIENCE


@dataclass
class Writer:
    """Appends to a conversation of its own, one after the other, each with an id of its own.

    `sent` is in the order of sending. `lost` are the answers that never came: whether those were
    stored nobody knows.
    """

    http: httpx.AsyncClient
    user: str
    conversation: UUID = field(default_factory=uuid4)
    sent: list[UUID] = field(default_factory=list)
    acknowledged: set[UUID] = field(default_factory=set)
    refused: int = 0
    lost: int = 0

    @classmethod
    async def of(cls, http: httpx.AsyncClient, user: str) -> Self:
        writer = cls(http, user)
        path = f"/v1/conversations/{writer.conversation}"
        answer = await http.put(path, headers=as_user(user))
        assert answer.status_code == 201, answer.text
        return writer

    async def append(self, message: UUID | None = None) -> bool:
        """Append one message; return whether that was acknowledged."""
        if message is None:
            message = uuid4()
            self.sent.append(message)
        body = {"id": str(message), "role": "user", "content": f"this is {message}"}
        path = f"/v1/conversations/{self.conversation}/messages"
        try:
            answer = await self.http.post(path, json=body, headers=as_user(self.user))
        except httpx.ConnectError:
            self.refused += 1
        except httpx.TransportError:
            self.lost += 1
        else:
            if answer.status_code == 201:
                self.acknowledged.add(message)
                return True
            assert answer.status_code == 503, answer.text
            self.refused += 1
        return False

    async def until_it_fails(self) -> None:
        while await self.append():
            pass

    async def until(self, over: asyncio.Event, *, patience: float = PATIENCE) -> None:
        """Append until it is over, each message again and again until it is acknowledged."""
        while not over.is_set():
            message = uuid4()
            self.sent.append(message)
            async with asyncio.timeout(patience):
                while True:
                    if await self.append(message):
                        break
                    await asyncio.sleep(0.05)


@dataclass
class Stored:
    """What the database has of each conversation: message ids in order, and its own count."""

    messages: dict[UUID, list[UUID]]
    counts: dict[UUID, int]

    @classmethod
    async def of(cls, url: str) -> Self:
        connection = await asyncpg.connect(**connect_args(url))
        try:
            messages: dict[UUID, list[UUID]] = defaultdict(list)
            for row in await connection.fetch(
                "SELECT conversation_id, id, content FROM messages ORDER BY position"
            ):
                assert row["content"] == f"this is {row['id']}"
                messages[row["conversation_id"]].append(row["id"])
            rows = await connection.fetch("SELECT id, message_count FROM conversations")
            return cls(messages, {row["id"]: row["message_count"] for row in rows})
        finally:
            await connection.close()

    def check(self, writers: list[Writer], *, answered_all: bool = False) -> None:
        """Hold it to what the writers know: nothing lost, doubled, out of order or miscounted.

        `answered_all`: nothing is stored either that was not acknowledged.
        """
        for writer in writers:
            found = self.messages[writer.conversation]
            assert len(found) == len(set(found)) == self.counts[writer.conversation]
            assert found == [each for each in writer.sent if each in set(found)]
            assert writer.acknowledged <= set(found)
            if answered_all:
                assert writer.acknowledged == set(found)


def workers(service: ServiceProcess) -> set[int]:
    """Return the processes that serve: they have a handler for the signal that ends them."""
    children = descendants(service.pid) - {service.pid}
    return {pid for pid in children if catches(pid, signal.SIGTERM)}
