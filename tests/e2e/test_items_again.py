"""A statement whose answer was lost is run again by the engine; with items too it stores once."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from chatkeep.adapters.piccolo import engine
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.domain.errors import ItemIdTakenError
from chatkeep.domain.formats.openai_items import parse_item
from chatkeep.domain.items import ItemText
from chatkeep.domain.log import RequestKey
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import SECOND, new_items

MESSAGE = '{"role":"user","content":"hello"}'
OWN_MESSAGE = '{"type":"message","id":"msg_own","role":"user","content":"hello"}'
OTHER = '{"type":"reasoning","summary":[]}'
OWN_OTHER = '{"type":"reasoning","id":"rs_own","summary":[]}'
BATCHES = [
    [MESSAGE, OTHER],
    [OTHER],
    [OWN_MESSAGE, MESSAGE],
    [OWN_OTHER],
    [MESSAGE, OWN_OTHER, OWN_MESSAGE],
]


async def run_twice(
    self: Engine,
    name: str,
    sql: str,
    arguments: Sequence[object],
    timeout: float | None,  # noqa: ASYNC109 - it is the driver's
) -> tuple[list[Any], bool]:
    """Lose the answer to the first attempt, and send the statement again."""
    with suppress(asyncpg.PostgresError):
        await RUN(self, name, sql, arguments, timeout)
    try:
        rows, _ = await RUN(self, name, sql, arguments, timeout)
    except asyncpg.PostgresError as error:
        error.add_note(engine.REPEATED)
        raise
    return rows, True


RUN = Engine.run


@pytest.mark.parametrize("texts", BATCHES)
@pytest.mark.parametrize("key", [None, RequestKey("key", "digest")])
async def test_an_append_that_is_run_again_answers_what_the_first_one_stored(
    postgres_store: StoreUnderTest,
    texts: list[str],
    key: RequestKey | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = postgres_store
    conversation = await store.start(new_message("first"))
    items = [parse_item(ItemText(text), field="items").new(NOON) for text in texts]

    with monkeypatch.context() as patching:
        patching.setattr(Engine, "run", run_twice)
        answer = await store.items.append(ALICE, conversation.id, items, NOON + SECOND, key=key)

    stored = await store.list_items(conversation)
    assert len(stored) == 1 + len(texts)
    assert [*answer] == stored[1:]


@pytest.mark.parametrize("texts", [[], *BATCHES])
@pytest.mark.parametrize("key", [None, RequestKey("key", "digest")])
async def test_a_create_that_is_run_again_answers_what_the_first_one_stored(
    postgres_store: StoreUnderTest, texts: list[str], key: RequestKey | None
) -> None:
    store = postgres_store
    new = new_conversation()
    items = [parse_item(ItemText(text), field="items").new(NOON) for text in texts]

    first, second = [
        await store.items.create(new, items, key=key, provision=True) for _ in range(2)
    ]

    assert second == first
    assert len(await store.list_items(new)) == len(texts)


async def test_another_request_that_begins_alike_at_the_same_time_is_no_second_run(
    postgres_store: StoreUnderTest,
) -> None:
    store = postgres_store
    conversation = await store.start()
    await store.append_items(conversation, *new_items(OWN_OTHER))

    with pytest.raises(ItemIdTakenError):
        await store.append_items(conversation, *new_items(OWN_OTHER, MESSAGE))

    assert len(await store.list_items(conversation)) == 1


async def test_the_same_ids_at_another_time_are_no_second_run(
    postgres_store: StoreUnderTest,
) -> None:
    store = postgres_store
    conversation = await store.start()
    items = [parse_item(ItemText(text), field="items").new(NOON) for text in (OWN_OTHER, MESSAGE)]
    await store.items.append(ALICE, conversation.id, items, NOON)

    with pytest.raises(ItemIdTakenError):
        await store.items.append(ALICE, conversation.id, items, NOON + SECOND)
