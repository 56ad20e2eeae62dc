"""What is too large for an answer never leaves the database, and small pages pay nothing for it."""

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.errors import ConversationIdTakenError, MessageIdTakenError
from chatkeep.domain.log import entries_of
from chatkeep.domain.model import Conversation, ConversationId, JsonText, Order, Role
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import id_of, new_items
from tests.support.postgres import replace_run

LARGE = 300_000
MOST = 1_000_000
LIMIT = 30
ROOM = 20_000
"""For ids, times and the like."""


class Received:
    """How many statements were run, and how many bytes their rows had."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.statements = self.bytes = 0
        fetch = engine.run

        async def counting(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - the engine's
            rows, again = await fetch(*args, **kwargs)
            self.statements += 1
            self.bytes += sum(len(str(value)) for row in rows for value in row.values())
            return rows, again

        replace_run(engine, monkeypatch, counting)


@pytest.fixture
def received(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Received:
    return Received(engine, monkeypatch)


def of_items(size: int) -> list[str]:
    """Return items of all kinds: a message, one that is none, a call."""
    text = "x" * size
    return [
        json.dumps({"role": "user", "content": text}),
        json.dumps({"type": "reasoning", "summary": [], "encrypted_content": text}),
        json.dumps({"type": "function_call", "call_id": "c", "name": "f", "arguments": text}),
    ]


Call = Callable[[StoreUnderTest, Conversation], Awaitable[object]]

CALLS: dict[str, Call] = {
    f"{name} {order}": call
    for order in Order
    for name, call in {
        "history": lambda store, its, order=order: store.page_history(
            its, order=order, limit=LIMIT, max_bytes=MOST
        ),
        "items": lambda store, its, order=order: store.items.list(
            ALICE, its.id, order=order, after=None, limit=LIMIT, max_bytes=MOST
        ),
    }.items()
} | {
    "window": lambda store, its: store.log.window(ALICE, its.id, limit=LIMIT, max_bytes=MOST),
    "append": lambda store, its: store.log.append(
        ALICE, its.id, entries_of([new_message("new")]), NOON, window=LIMIT, max_bytes=MOST
    ),
    "list": lambda store, _: store.conversations.list(
        ALICE, status=None, after=None, limit=LIMIT, max_bytes=MOST
    ),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_no_more_is_read_than_is_answered(
    postgres_store: StoreUnderTest, received: Received, call: Call
) -> None:
    store = postgres_store
    note = JsonText(json.dumps({"note": "x" * LARGE}))
    conversation = await store.start(*(new_message("x" * LARGE, Role.SYSTEM) for _ in range(4)))
    for _ in range(3):
        await store.append_items(conversation, *new_items(*of_items(LARGE)))
        await store.log.append(
            ALICE,
            conversation.id,
            entries_of([new_message("x" * 10, metadata=note) for _ in range(3)]),
            NOON,
        )
    for number in range(5):
        other = conversation._replace(id=ConversationId(UUID(int=number + 1)), metadata=note)
        await store.create(other, (), provision=True)
    received.bytes = 0

    await call(store, conversation)

    assert 0 < received.bytes <= MOST + ROOM


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
async def test_a_page_of_usual_messages_is_one_statement(
    postgres_store: StoreUnderTest, received: Received, call: Call
) -> None:
    """Also where the database compresses them."""
    store = postgres_store
    conversation = await store.start(*(new_message("x" * 5_000) for _ in range(10)))
    await store.append_items(conversation, *new_items(*(of_items(10_000) * 5)))
    received.statements = 0

    await call(store, conversation)

    assert received.statements == 1


async def test_what_is_in_the_way_of_a_create_or_an_append_is_not_read(
    postgres_store: StoreUnderTest, received: Received
) -> None:
    store = postgres_store
    large = [new_message("x" * LARGE) for _ in range(20)]
    conversation = await store.start(*large)
    small = [new_message("other", id=id_of(each)) for each in large]
    received.bytes = 0

    with pytest.raises(MessageIdTakenError):
        await store.log.append(ALICE, conversation.id, entries_of(small), NOON)
    with pytest.raises(ConversationIdTakenError):
        await store.create(conversation, small, provision=True)

    assert received.bytes < LARGE + ROOM
    assert (await store.reload(conversation)).message_count == len(large)
