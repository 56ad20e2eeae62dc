"""A store with import and export, and the lines that go in and out."""

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from chatkeep.adapters.memory.stores import memory_stores
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import Line
from chatkeep.domain.formats.table import TREES, FileFormat, read_any
from chatkeep.domain.model import Limits, NewMessage, UserId
from chatkeep.domain.operations.transfer import Transfer
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from chatkeep.entrypoints.formats.json_array import JsonArray
from chatkeep.entrypoints.formats.json_lines import JsonLines

ALICE = UserId("alice")
NOW = datetime(2026, 6, 1, 9, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


class StoreWithTransfer:
    """A store in memory, with import and export."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.clock = Clock()
        stores = memory_stores()
        self.conversations = stores.conversations
        self.log = stores.log
        self.transfer = Transfer(stores.users, stores.conversations, stores.log, self.clock, limits)

    async def take(self, line: dict[str, Any], user_id: UserId = ALICE) -> bool:
        return await self.transfer.import_conversation(user_id, read(encoded(line)))

    async def exported(self, user_id: UserId = ALICE) -> list[dict[str, Any]]:
        writer = JsonLines()
        text = b"".join([writer.write(piece) async for piece in self.transfer.export(user_id)])
        return [decoded(line) for line in text.splitlines(keepends=True)]


def encoded(line: dict[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False).encode() + b"\n"


def read(data: bytes) -> Line:
    return chatkeep.read(decode(data))


def decoded(line: bytes) -> dict[str, Any]:
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    found: dict[str, Any] = json.loads(line)
    return found


def shown(line: Line) -> list[NewMessage]:
    """Return the messages of the current branch."""
    if line.tree is None:
        return [*line.messages]
    ranges = line.tree.path(line.tree.current)
    return [
        message
        for place, message in enumerate(line.messages, start=1)
        if any(each.first <= place <= each.last for each in ranges)
    ]


def says(content: str | None, role: str = "user", **more: str | None) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def refused(line: bytes) -> tuple[str, str]:
    with pytest.raises(InvalidValueError) as caught:
        read(line)
    return caught.value.field, caught.value.reason


async def imported(store: StoreWithTransfer, document: object, *, indent: int | None = 1) -> bool:
    """Import a document of any format with its originals; return whether it was new."""
    data = json.dumps(document, indent=indent, ensure_ascii=False).encode()
    line = read_any(decode(data), partial(find_originals, data))
    return await store.transfer.import_conversation(ALICE, line)


async def trees(store: StoreWithTransfer, name: FileFormat) -> tuple[list[dict[str, Any]], str]:
    """Return the conversations in a format of trees, and what it left out."""
    writer = JsonArray(TREES[name])
    pieces = store.transfer.export(ALICE, ends_of=TREES[name].ends_of)
    written = b"".join([writer.write(piece) async for piece in pieces]) + writer.end()
    found: list[dict[str, Any]] = json.loads(written, object_pairs_hook=_once)
    return found, writer.left_out()


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    assert len(found) == len(members), "a name twice"
    return found
