"""ChatkeepHistoryProvider gives the answers of InMemoryHistoryProvider."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest
from agent_framework import (
    Agent,
    BaseChatClient,
    ChatResponse,
    Content,
    HistoryProvider,
    InMemoryHistoryProvider,
    Message,
)

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.agent_framework import ChatkeepHistoryProvider
from chatkeep_client.testing import MemoryService


class Session:
    """A session of a provider. Both kinds get a state; that in memory keeps messages there."""

    def __init__(self, provider: HistoryProvider) -> None:
        self.provider = provider
        self._state: dict[str, Any] = {}

    async def save(self, *messages: Message) -> None:
        await self.provider.save_messages("s", messages, state=self._state)

    async def seen(self) -> Any:
        found = await self.provider.get_messages("s", state=self._state)
        return [each.to_dict() for each in found]


Scenario = Callable[[Session], Awaitable[Any]]


@pytest.fixture
async def client(service: MemoryService, someone: str) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client(someone) as client:
        yield client


def user(text: str, **fields: Any) -> Message:
    return Message("user", [text], **fields)


def answer(text: str, **fields: Any) -> Message:
    return Message("assistant", [text], **fields)


RICH = [
    Message("system", ["Be brief."]),
    user("Is there soup?\x00 🍲", author_name="Al", message_id="m1"),
    Message(
        "assistant",
        [
            Content.from_text_reasoning(text="Hm."),
            Content.from_function_call("c", "menu", arguments={"day": None}),
        ],
        additional_properties={"a": [1.5, None]},
    ),
    Message("tool", [Content.from_function_result("c", result="soup " * 5_000)]),
    answer("long " * 5_000, message_id="m2"),
    Message("user", ["x" * 3_000, Content.from_uri("https://example.org/a", media_type="a/b")]),
]


async def a_new_session_is_empty(session: Session) -> Any:
    await session.save()
    return await session.seen()


async def messages_come_back_whole(session: Session) -> Any:
    await session.save(*RICH)
    seen = await session.seen()
    assert seen == [each.to_dict() for each in RICH]
    return seen


async def turns_are_appended(session: Session) -> Any:
    for number in range(3):
        await session.save(user(f"q{number}"), answer(f"a{number}"))
    return await session.seen()


async def a_replay_of_all_adds_what_is_new(session: Session) -> Any:
    history = [user("q0"), answer("a0")]
    await session.save(*history)
    for number in (1, 2):
        history += [user(f"q{number}"), answer(f"a{number}")]
        await session.save(*history)
    await session.save(*history)
    await session.save(Message("system", ["New."]), *history, user("last"))
    return await session.seen()


async def the_end_is_not_added_again(session: Session) -> Any:
    await session.save(user("q0"), answer("a0"), user("q1"), answer("a1"))
    await session.save(answer("a1"), user("q2"))
    await session.save(user("q2"), answer("a2"))
    await session.save(answer("b", message_id="1"), user("c", message_id="2"))
    await session.save(user("other words", message_id="2"), answer("d"))
    return await session.seen()


async def who_says_the_same_again_is_heard(session: Session) -> Any:
    for _ in range(3):
        await session.save(user("Hi"))
    await session.save(answer("Hello"))
    for _ in range(2):
        await session.save(user("Hi"), answer("Hello"))
    return await session.seen()


SCENARIOS: list[Scenario] = [
    a_new_session_is_empty,
    messages_come_back_whole,
    turns_are_appended,
    a_replay_of_all_adds_what_is_new,
    the_end_is_not_added_again,
    who_says_the_same_again_is_heard,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_it_answers_like_the_frameworks_own(
    scenario: Scenario, client: AsyncChatkeep
) -> None:
    ours = Session(ChatkeepHistoryProvider(client))
    theirs = Session(InMemoryHistoryProvider())
    assert await scenario(ours) == await scenario(theirs)


async def test_more_than_a_page_comes_whole(client: AsyncChatkeep) -> None:
    session = Session(ChatkeepHistoryProvider(client))
    messages = [user(str(number)) for number in range(130)]
    await session.save(*messages[:70])
    await session.save(*messages[70:])
    assert await session.seen() == [each.to_dict() for each in messages]
    with pytest.raises(errors.LimitExceededError):
        await session.save(*(user(f"more {number}") for number in range(101)))
    assert len(await session.seen()) == 130
    with pytest.raises(ValueError, match="session_id"):
        await session.provider.get_messages(None)


async def test_several_writers_lose_nothing(client: AsyncChatkeep) -> None:
    session = Session(ChatkeepHistoryProvider(client))
    await asyncio.gather(*(session.save(user(f"q{n}"), answer(f"a{n}")) for n in range(8)))
    texts = [each["contents"][0]["text"] for each in await session.seen()]
    assert sorted(texts) == sorted(f"{kind}{n}" for n in range(8) for kind in "qa")
    for n in range(8):  # what was saved together stays together
        assert texts[texts.index(f"q{n}") + 1] == f"a{n}"


async def test_its_messages_are_those_of_the_conversation(client: AsyncChatkeep) -> None:
    session = Session(ChatkeepHistoryProvider(client))
    await session.save(*RICH)
    messages = [each async for each in client.iter_history("s")]
    roles = ["system", "user", "assistant", "tool", "assistant", "user"]
    assert [each.role for each in messages] == roles
    assert messages[3].tool_call_id == "c"
    assert messages[5].content == "x" * 1_000
    await client.append_messages("s", {"role": "user", "content": "From elsewhere"})
    [*_, last] = await session.provider.get_messages("s")
    assert (last.role, last.text) == ("user", "From elsewhere")
    await session.save(answer("Well."))
    assert len(await session.seen()) == 8


class Cook(BaseChatClient[Any]):
    """A model that says how many messages it got."""

    def _inner_get_response(
        self,
        *,
        messages: Sequence[Message],
        stream: bool,
        options: Mapping[str, Any],
        **kwargs: Any,
    ) -> Any:
        async def respond() -> ChatResponse:
            return ChatResponse(messages=[answer(f"{len(messages)} messages")])

        return respond()


async def test_an_agent_remembers(client: AsyncChatkeep) -> None:
    for number in range(2):
        agent = Agent(Cook(), context_providers=[ChatkeepHistoryProvider(client)])
        session = agent.create_session(session_id="s")
        assert (await agent.run("Soup?", session=session)).text == f"{number * 2 + 1} messages"
    assert len([each async for each in client.iter_history("s")]) == 4


def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    run_example("ChatkeepHistoryProvider", URL=service.url, KEY=service.service_key, MODEL=Cook())
    assert "3 messages" in capsys.readouterr().out
