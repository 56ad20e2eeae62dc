"""ChatkeepChatStore gives the answers of LlamaIndex's SQLAlchemyChatStore."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from llama_index.core.base.llms.types import (
    ChatMessage,
    ImageBlock,
    MessageRole,
    TextBlock,
    ToolCallBlock,
)
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.llms import MockLLM
from llama_index.core.memory import Memory
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus
from llama_index.core.storage.chat_store.sql import SQLAlchemyChatStore

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.llama_index import ChatkeepChatStore
from chatkeep_client.testing import MemoryService

ACTIVE, ARCHIVED = MessageStatus.ACTIVE, MessageStatus.ARCHIVED
Scenario = Callable[[AsyncDBChatStore], Awaitable[Any]]


@pytest.fixture
async def client(service: MemoryService, someone: str) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client(someone) as client:
        yield client


def said(text: str, role: MessageRole = MessageRole.USER, **fields: Any) -> ChatMessage:
    return ChatMessage(content=text, role=role, **fields)


RICH = [
    said("Be brief.", MessageRole.SYSTEM),
    said("Is there soup?\x00 🍲", additional_kwargs={"a": [1.5, None]}),
    ChatMessage(
        role=MessageRole.ASSISTANT,
        blocks=[
            TextBlock(text="Hm."),
            ToolCallBlock(tool_call_id="c", tool_name="menu", tool_kwargs={"day": None}),
        ],
    ),
    said("soup " * 5_000, MessageRole.TOOL, additional_kwargs={"tool_call_id": "c"}),
    said("result", MessageRole.FUNCTION),
    said("long " * 5_000, MessageRole.ASSISTANT),
    ChatMessage(
        blocks=[ImageBlock(image=b"R0lG", image_mimetype="a/b"), TextBlock(text="x" * 3_000)]
    ),
]


async def texts(store: AsyncDBChatStore, key: str = "k", **options: Any) -> list[str | None]:
    return [each.content for each in await store.get_messages(key, **options)]


async def a_new_key_is_empty(store: AsyncDBChatStore) -> Any:
    found = [
        await store.get_messages("k"),
        await store.count_messages("k"),
        await store.delete_message("k", 0),
        await store.delete_oldest_messages("k", 2),
        await store.archive_oldest_messages("k", 2),
        await store.get_keys(),
    ]
    await store.delete_messages("k")
    return found


async def messages_come_back_whole(store: AsyncDBChatStore) -> Any:
    await store.add_messages("k", RICH)
    await store.add_message("k", said("One more"))
    found = await store.get_messages("k")
    assert found[:-1] == RICH
    return [found, await store.count_messages("k")]


async def a_part_is_chosen(store: AsyncDBChatStore) -> Any:
    await store.add_messages("k", [said(str(number)) for number in range(6)])
    await store.archive_oldest_messages("k", 2)
    return [
        await texts(store, limit=2),
        await texts(store, limit=2, offset=1),
        await texts(store, limit=9, offset=3),
        await texts(store, limit=0),
        await texts(store, status=ARCHIVED),
        await texts(store, status=None),
        await texts(store, status=None, limit=3, offset=1),
    ]


async def the_oldest_are_archived_first(store: AsyncDBChatStore) -> Any:
    await store.add_messages("k", [said(str(number)) for number in range(5)])
    await store.add_message("k", said("old"), status=ARCHIVED)
    archived = await store.archive_oldest_messages("k", 2)
    deleted = await store.delete_oldest_messages("k", 2)
    return [
        archived,
        deleted,
        await texts(store),
        await texts(store, status=ARCHIVED),
        [await store.count_messages("k", each) for each in (ACTIVE, ARCHIVED, None)],
        await store.archive_oldest_messages("k", 0),
        await store.archive_oldest_messages("k", 9),
        await texts(store),
    ]


async def a_history_is_set(store: AsyncDBChatStore) -> Any:
    await store.set_messages("k", [said("a"), said("b")])
    first = await texts(store)
    await store.archive_oldest_messages("k", 1)
    await store.set_messages("k", [said("c"), said("a")])
    second = await texts(store, status=None)
    await store.set_messages("k", [said("d")], status=ARCHIVED)
    third = [await texts(store), await texts(store, status=ARCHIVED)]
    await store.set_messages("k", [])
    return [first, second, third, await texts(store, status=None)]


async def messages_are_deleted_by_status(store: AsyncDBChatStore) -> Any:
    await store.add_messages("k", [said(str(number)) for number in range(4)])
    await store.archive_oldest_messages("k", 2)
    await store.delete_messages("k", status=ARCHIVED)
    left = await texts(store, status=None)
    await store.delete_messages("k")
    keys = await store.get_keys()
    await store.add_message("k", said("Anew"))
    return [left, keys, await texts(store)]


async def keys_are_apart(store: AsyncDBChatStore) -> Any:
    for key in ("k", "k 2/ü"):
        await store.add_message(key, said(key))
    await store.delete_messages("k")
    return [await store.get_keys(), await texts(store, "k 2/ü")]


async def a_memory_moves_what_is_too_long(store: AsyncDBChatStore) -> Any:
    memory = Memory.from_defaults(
        session_id="k",
        chat_store=store,
        token_limit=60,
        token_flush_size=20,
        chat_history_token_ratio=0.7,
        tokenizer_fn=str.split,
    )
    for number in range(6):
        await memory.aput(said(f"{number} " + "word " * 10))
        await memory.aput(said("Well.", MessageRole.ASSISTANT))
    return [
        [each.content for each in await memory.aget()],
        await texts(store),
        await texts(store, status=ARCHIVED),
    ]


SCENARIOS: list[Scenario] = [
    a_new_key_is_empty,
    messages_come_back_whole,
    a_part_is_chosen,
    the_oldest_are_archived_first,
    a_history_is_set,
    messages_are_deleted_by_status,
    keys_are_apart,
    a_memory_moves_what_is_too_long,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_it_answers_like_llama_indexs_own_store(
    scenario: Scenario, client: AsyncChatkeep
) -> None:
    theirs = SQLAlchemyChatStore("messages")
    try:
        assert await scenario(ChatkeepChatStore(client)) == await scenario(theirs)
    finally:
        engine: Any = theirs._async_engine  # noqa: SLF001 - nothing else closes it
        await engine.dispose()


async def test_a_message_is_deleted_by_its_place(client: AsyncChatkeep) -> None:
    store = ChatkeepChatStore(client)
    await store.add_messages("k", [said(str(number)) for number in range(4)])
    for place, content in ((1, "1"), (2, "3"), (0, "0")):
        deleted = await store.delete_message("k", place)
        assert deleted is not None
        assert deleted.content == content
    assert [await store.delete_message("k", place) for place in (1, -1)] == [None, None]
    assert await texts(store) == ["2"]


async def test_more_than_a_page_comes_whole(client: AsyncChatkeep) -> None:
    store = ChatkeepChatStore(client)
    for start in (0, 80):
        await store.add_messages("k", [said(str(start + n)) for n in range(80)])
    assert await texts(store) == list(map(str, range(160)))
    assert await texts(store, limit=20, offset=110) == list(map(str, range(110, 130)))
    await store.set_messages("k", [said("One")])
    assert await texts(store, status=None) == ["One"]
    with pytest.raises(errors.LimitExceededError):
        await store.set_messages("k", [said("x")] * 101)
    assert await texts(store) == ["One"]


async def test_of_several_each_gets_others(client: AsyncChatkeep) -> None:
    store = ChatkeepChatStore(client)
    await asyncio.gather(*(store.add_message("k", said(str(n))) for n in range(12)))
    taken = await asyncio.gather(
        *(store.archive_oldest_messages("k", 2) for _ in range(3)),
        *(store.delete_oldest_messages("k", 2) for _ in range(2)),
    )
    found = [each.content for some in taken for each in some]
    assert (len(found), len(set(found))) == (10, 10)
    assert (await store.count_messages("k"), await store.count_messages("k", None)) == (2, 8)


async def test_its_messages_are_those_of_the_conversation(client: AsyncChatkeep) -> None:
    store = ChatkeepChatStore(client)
    await client.create_conversation(conversation_id="k", title="Lunch")
    await store.add_messages("k", RICH)
    messages = [each async for each in client.iter_history("k")]
    roles = ["system", "user", "assistant", "tool", "assistant", "assistant", "user"]
    assert [each.role for each in messages] == roles
    assert messages[6].content == "x" * 1_000
    await client.append_messages("k", {"role": "user", "content": "From elsewhere"})
    assert (await texts(store))[-1] == "From elsewhere"
    await store.delete_messages("k")
    assert (await client.get_conversation("k")).title == "Lunch"
    await store.add_message("k", said("Hi"))
    await client.change_conversation("k", retain=True)
    for change in (store.archive_oldest_messages("k", 1), store.delete_messages("k")):
        with pytest.raises(errors.RetainedError):
            await change
    assert await texts(store) == ["Hi"]


async def test_a_chat_engine_remembers(client: AsyncChatkeep) -> None:
    for number in (1, 2):
        memory = Memory.from_defaults(session_id="k", chat_store=ChatkeepChatStore(client))
        engine = SimpleChatEngine.from_defaults(llm=MockLLM(), memory=memory)
        await engine.achat("Soup?")
        assert len(await memory.aget_all()) == number * 2


def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    run_example("ChatkeepChatStore", URL=service.url, KEY=service.service_key, MODEL=MockLLM())
    assert "4 messages" in capsys.readouterr().out
