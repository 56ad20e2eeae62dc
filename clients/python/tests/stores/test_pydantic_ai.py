"""ChatkeepConversationStore gives the answers of InMemoryConversationStore."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic_ai import Agent, Conversation, DeferredToolRequests
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import (
    ImageUrl,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.test import TestModel
from pydantic_ai.usage import RequestUsage, RunUsage

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.pydantic_ai import ChatkeepConversationStore
from chatkeep_client.testing import MemoryService


@pytest.fixture
async def client(service: MemoryService, someone: str) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client(someone) as client:
        yield client


def asks(text: str) -> ModelMessage:
    return ModelRequest(parts=[UserPromptPart(text)])


def answers(text: str) -> ModelMessage:
    return ModelResponse(parts=[TextPart(text)])


def text_of(message: ModelMessage) -> object:
    part: Any = message.parts[-1]
    return part.content


RICH: list[ModelMessage] = [
    ModelRequest(
        parts=[
            SystemPromptPart("Be brief."),
            UserPromptPart(["Is this\x00soup? 🍲", ImageUrl("https://example.org/soup.png")]),
        ]
    ),
    ModelResponse(
        parts=[
            ThinkingPart("Hm.", signature="s"),
            ToolCallPart("menu", {"day": "today"}, tool_call_id="1"),
            ToolCallPart("price", '{"x":', tool_call_id="2"),
        ],
        usage=RequestUsage(input_tokens=3, output_tokens=5),
        model_name="m",
    ),
    ModelRequest(
        parts=[
            ToolReturnPart("menu", {"soup": ["a", 1.5, None]}, tool_call_id="1"),
            ToolReturnPart("price", "x" * 20_000, tool_call_id="2"),
        ]
    ),
    ModelResponse(parts=[TextPart("Yes." * 5_000), ToolCallPart("n", {"x": "y" * 11_000})]),
    asks("z" * 5_000),
    ModelRequest(parts=[SystemPromptPart("Be " + "very " * 3_000 + "brief.")]),
]

Scenario = Callable[[ConversationStore], Awaitable[Any]]


async def turn(store: ConversationStore, conversation_id: str, *texts: str) -> Conversation:
    """Save a question and an answer for each text, as a new conversation or at its end."""
    conversation = await store.load(conversation_id)
    conversation = conversation or Conversation(conversation_id=conversation_id)
    for text in texts:
        conversation.messages += [asks(text), answers(text.upper())]
        await store.save(conversation)
    return conversation


async def texts(store: ConversationStore, conversation_id: str, **options: Any) -> Any:
    loaded = await store.load(conversation_id, **options)
    return loaded and [text_of(message) for message in loaded.messages]


async def raised(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (UserError, LookupError) as error:
        return type(error)


async def what_is_not_there(store: ConversationStore) -> Any:
    return [
        await store.load("none"),
        await store.list_conversations(),
        await raised(store.read_entry("none")),
        await raised(store.read_history("none")),
        await store.read_history(None),
        await raised(store.delete("none")),
        await raised(store.fork("none")),
        await raised(store.branch("none", at=0, expected_revision="r")),
        await raised(store.delete_record("none", expected_revision="r")),
    ]


async def messages_come_back_whole(store: ConversationStore) -> Any:
    usage = RunUsage(requests=2, input_tokens=7, details={"a": 1})
    conversation = Conversation(conversation_id="c/1 ü", messages=list(RICH), usage=usage)
    conversation.deferred_tool_requests = DeferredToolRequests(
        calls=[ToolCallPart("menu", {"day": "today"}, tool_call_id="1")]
    )
    await store.save(conversation)
    loaded = await store.load("c/1 ü")
    assert loaded is not None
    assert loaded.messages == RICH
    return [loaded.usage, loaded.deferred_tool_requests, len(loaded.messages)]


async def turns_are_appended(store: ConversationStore) -> Any:
    for text in ("a", "b", "c"):
        await turn(store, "c", text)
    entries = await store.load_entries("c")
    assert entries is not None
    parents = [entry.parent_id for entry in entries]
    assert parents == [None, *(entry.id for entry in entries[:-1])]
    assert await store.read_entry(entries[2].id) == entries[2]
    return [
        await texts(store, "c"),
        await texts(store, "c", limit=3),
        await texts(store, "c", limit=0),
        [text_of(each.message) for each in await store.read_history(entries[3].id, limit=2)],
    ]


async def a_stale_copy_is_refused(store: ConversationStore) -> Any:
    await turn(store, "c", "a")
    one, other = await store.load("c"), await store.load("c")
    assert one is not None
    assert other is not None
    one.messages.append(asks("one"))
    await store.save(one)
    other.messages.append(asks("other"))
    new = Conversation(conversation_id="c", messages=[asks("new")])
    found = [await raised(store.save(other)), await raised(store.save(new))]
    await store.delete("c")
    return [*found, await raised(store.save(one)), await texts(store, "c")]


async def it_branches_and_comes_back(store: ConversationStore) -> Any:
    conversation = await turn(store, "c", "a", "b")
    [old] = [(await store.load_entries("c") or [])[-1]]
    branched = await store.branch("c", at=2, expected_revision=str(conversation.revision))
    before = await texts(store, "c")
    branched.messages += [asks("B"), answers("other")]
    await store.save(branched)
    record = await store.read_record("c")
    assert record is not None
    assert record.branches == [old.id]
    kept = [text_of(each.message) for each in await store.read_history(record.branches[0])]
    after = await texts(store, "c")
    back = await store.branch("c", from_entry=old.id, expected_revision=record.revision)
    await turn(store, "c", "c")
    none = await store.read_record("c")
    assert none is not None
    nothing = await store.branch("c", at=0, expected_revision=none.revision)
    nothing.messages += [asks("anew")]
    await store.save(nothing)
    return [
        before,
        kept,
        after,
        [text_of(each) for each in back.messages],
        await texts(store, "c"),
        await raised(store.branch("c", at=9, expected_revision=str(nothing.revision))),
        await raised(store.branch("c", at=0, expected_revision="stale")),
        len((await store.read_record("c")).branches),  # type: ignore[union-attr]
    ]


async def a_rewritten_history_leaves_a_branch(store: ConversationStore) -> Any:
    conversation = await turn(store, "c", "a", "b")
    rewritten = Conversation(
        conversation_id="c",
        messages=[*conversation.messages[:1], answers("summary")],
        revision=conversation.revision,
    )
    await store.save(rewritten)
    record = await store.read_record("c")
    assert record is not None
    return [
        await texts(store, "c"),
        [text_of(each.message) for each in await store.read_history(record.branches[0])],
    ]


async def forks_share_what_came_before(store: ConversationStore) -> Any:
    await turn(store, "c", "a", "b")
    await store.fork("c", at=2, new_conversation_id="f", scope="s")
    await store.fork("c", new_conversation_id="whole")
    await store.fork("c", at=0, new_conversation_id="empty")
    await turn(store, "f", "F")
    taken = await raised(store.fork("c", new_conversation_id="f"))
    entries, shared = await store.load_entries("c"), await store.load_entries("f")
    assert entries is not None
    assert shared is not None
    assert shared[:2] == entries[:2]
    again = await store.fork("f", from_entry=shared[2].id, new_conversation_id="g")
    record = await store.read_record("f")
    assert record is not None
    assert record.forked_at == entries[1].id
    await store.delete("c")
    found = [await texts(store, each) for each in ("c", "f", "whole", "empty", "g")]
    assert [each.id for each in await store.load_entries("f") or []] == [e.id for e in shared]
    return [found, taken, record.forked_from, record.scope, len(again.messages)]


async def scopes_filter(store: ConversationStore) -> Any:
    for name, scope in (("1", "x"), ("2", None), ("3", "x"), ("4", "true")):
        conversation = Conversation(conversation_id=name, messages=[asks(name)])
        await store.save(conversation, scope=scope)
    await turn(store, "1", "later")

    async def ids(**options: Any) -> list[str]:
        return [each.conversation_id for each in await store.list_conversations(**options)]

    await store.delete("3", scope="other")
    return [
        await ids(),
        await ids(scope="x"),
        await ids(scope="true", limit=5),
        await ids(limit=2),
        await ids(limit=0),
        await texts(store, "1", scope="y"),
        await texts(store, "1", scope="x"),
        await raised(store.save(Conversation(conversation_id="1"), scope="y")),
    ]


async def a_record_needs_its_head(store: ConversationStore) -> Any:
    await turn(store, "c", "a")
    record = await store.read_record("c")
    assert record is not None
    elsewhere = replace(record, head_id="nowhere", revision="r")
    new = ConversationRecord(conversation_id="d", head_id="nowhere")
    return [
        await raised(store.write_record(elsewhere, expected_revision=record.revision)),
        await raised(store.write_record(new, expected_revision=None)),
        await raised(store.write_record(record, expected_revision=None)),
        await raised(store.write_record(new, expected_revision="r")),
        await texts(store, "c"),
        await store.read_record("d"),
    ]


async def an_agent_goes_on(store: ConversationStore) -> Any:
    agent = Agent(TestModel(custom_output_text="Soup."))
    found = []
    for text in ("a", "b"):
        conversation = await store.load("c") or Conversation(conversation_id="c")
        result = await agent.run(text, conversation=conversation)
        stored = await store.save(result)
        found.append([len(stored), result.output])
    return [found, await texts(store, "c")]


SCENARIOS: list[Scenario] = [
    what_is_not_there,
    messages_come_back_whole,
    turns_are_appended,
    a_stale_copy_is_refused,
    it_branches_and_comes_back,
    a_rewritten_history_leaves_a_branch,
    forks_share_what_came_before,
    scopes_filter,
    a_record_needs_its_head,
    an_agent_goes_on,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_it_answers_like_the_store_in_memory(
    scenario: Scenario, client: AsyncChatkeep
) -> None:
    theirs = await scenario(InMemoryConversationStore())
    assert await scenario(ChatkeepConversationStore(client)) == theirs


async def test_of_several_who_save_at_once_one_succeeds(client: AsyncChatkeep) -> None:
    first = ChatkeepConversationStore(client)
    await turn(first, "c", "a")

    stores = [ChatkeepConversationStore(client) for _ in range(6)]
    conversations = await asyncio.gather(*(store.load("c") for store in stores))

    async def save(number: int) -> Any:
        conversation = conversations[number]
        assert conversation is not None
        conversation.messages.append(asks(str(number)))
        return await raised(stores[number].save(conversation))

    found = await asyncio.gather(*map(save, range(6)))
    [winner] = [number for number, each in enumerate(found) if each is not ConversationConflict]
    assert await texts(first, "c") == ["a", "A", str(winner)]


async def test_a_save_counts_although_the_copy_of_the_record_was_not_written(
    client: AsyncChatkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ChatkeepConversationStore(client)
    await turn(store, "c", "a")

    async def fail(*arguments: Any, **options: Any) -> Any:
        raise errors.ConnectionFailedError("gone", may_be_done=False)

    with monkeypatch.context() as broken:
        broken.setattr(client, "change_conversation", fail)
        conversation = await turn(store, "c", "b")
    other = ChatkeepConversationStore(client)
    [record] = await other.list_conversations()
    assert record.revision == conversation.revision
    await client.change_conversation("c", title="Lunch")  # by somebody else
    assert await texts(other, "c") == ["a", "A", "b", "B"]
    await turn(other, "c", "c")
    assert (await client.get_conversation("c")).title == "Lunch"
    assert await texts(store, "c") == ["a", "A", "b", "B", "c", "C"]


async def test_everything_else_reads_its_messages(client: AsyncChatkeep) -> None:
    store = ChatkeepConversationStore(client)
    await store.save(Conversation(conversation_id="c", messages=list(RICH[:4])))
    roles = [each.role async for each in client.iter_history("c")]
    assert roles == ["user", "assistant", "tool", "assistant"]
    await client.append_messages("c", {"role": "user", "content": "From elsewhere"})
    assert len((await store.load("c")).messages) == 4  # type: ignore[union-attr]
    fresh = ChatkeepConversationStore(client)
    entries = await store.load_entries("c")
    assert entries is not None
    assert await fresh.read_history(entries[-1].id) == entries
    assert isinstance(await fresh.read_entry(entries[0].id), ConversationEntry)


async def test_a_hold_is_respected(client: AsyncChatkeep) -> None:
    store = ChatkeepConversationStore(client)
    await turn(store, "c", "a")
    await client.change_conversation("c", retain=True)
    with pytest.raises(errors.RetainedError):
        await store.delete("c")
    await turn(store, "c", "b")
    assert len(await texts(store, "c")) == 4


def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    model = TestModel(custom_output_text="Soup.")
    run_example("ChatkeepConversationStore", URL=service.url, KEY=service.service_key, MODEL=model)
    assert "4 messages" in capsys.readouterr().out
