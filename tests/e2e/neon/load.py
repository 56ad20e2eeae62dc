"""Writers that never let up, and what became of everything they were told was stored."""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import asyncpg
import httpx

from tests.e2e.neon.service import ChatBackend
from tests.support.postgres import connect_args

# Shown by pytest with --log-cli-level=INFO: what docs/reliability.md reports.
figures = logging.getLogger("chatkeep.tests.figures")


@dataclass
class Ledger:
    """What writers were told: ids of messages in the order that each was acknowledged in."""

    acknowledged: dict[tuple[UUID, int], list[UUID]] = field(default_factory=dict)
    repeated: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(map(len, self.acknowledged.values()))

    def __str__(self) -> str:
        return f"{self.total} acknowledged, {self.repeated} sent twice, {len(self.errors)} errors"


async def write_during(
    caller: ChatBackend, event: Coroutine[None, None, None], *, writers: int
) -> Ledger:
    """Have so many writers, two to a conversation, append one message after another meanwhile."""
    ledger = Ledger()
    over = asyncio.Event()
    conversations = [await caller.start() for _ in range(writers // 2)]

    async def write(writer: int) -> None:
        conversation = conversations[writer // 2]
        mine = ledger.acknowledged[conversation, writer] = []
        while not over.is_set():
            message = uuid4()
            if await _say_surely(caller, conversation, message, ledger):
                mine.append(message)

    async with asyncio.TaskGroup() as tasks:
        for writer in range(writers):
            tasks.create_task(write(writer))
        await event
        over.set()
    return ledger


async def check(ledger: Ledger, database_url: str) -> None:
    """Assert that what was acknowledged is stored: each message once, in order, and counted."""
    connection = await asyncpg.connect(**connect_args(database_url))
    try:
        stored = await connection.fetch(
            "SELECT conversation_id, id, content FROM messages ORDER BY conversation_id, position"
        )
        counts = dict(await connection.fetch("SELECT id, message_count FROM conversations"))
    finally:
        await connection.close()

    assert ledger.errors == []
    place = {row["id"]: (row["conversation_id"], at) for at, row in enumerate(stored)}
    assert len(stored) == len(place) == len({row["content"] for row in stored}) == ledger.total
    for (conversation, _), messages in ledger.acknowledged.items():
        places = [place[message] for message in messages]
        assert places == sorted(places)
        assert {where for where, _ in places} <= {conversation}
    found = [row["conversation_id"] for row in stored]
    assert counts == {conversation: found.count(conversation) for conversation in counts}


async def _say_surely(
    caller: ChatBackend, conversation: UUID, message: UUID, ledger: Ledger
) -> bool:
    """Send it, and once more when that failed, as a client does that gives its messages ids."""
    answer = await _say(caller, conversation, message)
    if answer != "201":
        ledger.repeated += 1
        await asyncio.sleep(1)  # what Retry-After says
        answer = await _say(caller, conversation, message)
    if answer != "201":
        ledger.errors.append(answer)
    return answer == "201"


async def _say(caller: ChatBackend, conversation: UUID, message: UUID) -> str:
    try:
        answer = await caller.say(conversation, f"message {message}", message=message)
    except httpx.TransportError as error:
        return repr(error)
    return "201" if answer.status_code == 201 else f"{answer.status_code} {answer.text}"
