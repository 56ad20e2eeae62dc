"""ChatkeepSession gives the answers of the SDK's own SQLiteSession, and more."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, cast

import pytest
from agents import (
    Agent,
    Model,
    ModelResponse,
    RunConfig,
    Runner,
    SQLiteSession,
    Usage,
    function_tool,
)
from agents.items import TResponseInputItem
from agents.memory import Session, SessionSettings
from openai.types.responses import (
    ResponseFunctionToolCall,
    ResponseOutputMessage,
    ResponseOutputText,
)

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.openai_agents import ChatkeepSession
from chatkeep_client.testing import MemoryService

Scenario = Callable[[Session], Awaitable[Any]]


@pytest.fixture
async def client(service: MemoryService, someone: str) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client(someone) as client:
        yield client


def items_of(*items: object) -> list[TResponseInputItem]:
    return cast("list[TResponseInputItem]", list(items))


def user(text: object) -> dict[str, Any]:
    return {"role": "user", "content": text}


CALL = {
    "type": "function_call",
    "id": "fc_68a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901234",
    "call_id": "call_1",
    "name": "menu",
    "arguments": '{"day": "today"}',
    "status": "completed",
}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "soup " * 5_000}
REASONING = {
    "type": "reasoning",
    "id": "rs_68a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901234",
    "summary": [{"type": "summary_text", "text": "Think."}],
    "encrypted_content": "gAAAA",
}
ANSWER = {
    "type": "message",
    "id": "msg_68a1b2c3d4e5f60718293a4b5c6d7e8f9012345678901234",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "Soup. 🍲", "annotations": [], "logprobs": []}],
}
FAKE = {**ANSWER, "id": "__fake_id__"}
PARTS = user([{"type": "input_text", "text": "And\nthis?"}])
TURN = (user("Is there soup?\x00"), REASONING, CALL, OUTPUT, ANSWER)


async def a_new_session_is_empty(session: Session) -> Any:
    found = [await session.get_items(), await session.get_items(limit=3), await session.pop_item()]
    await session.clear_session()
    await session.add_items([])
    return [*found, await session.get_items()]


async def items_come_back_as_they_were_added(session: Session) -> Any:
    await session.add_items(items_of(*TURN))
    await session.add_items(items_of(FAKE, PARTS, {**user("Typed"), "type": "message"}))
    without_id = {key: value for key, value in CALL.items() if key not in {"id", "status"}}
    await session.add_items(items_of({**without_id, "call_id": "call_2"}))
    return await session.get_items()


async def the_limit_counts_the_latest(session: Session) -> Any:
    await session.add_items(items_of(*TURN))
    return [await session.get_items(limit=limit) for limit in (0, 1, 2, 5, 9)]


async def the_limit_of_the_settings_counts(session: Session) -> Any:
    session.session_settings = SessionSettings(limit=2)
    await session.add_items(items_of(*TURN))
    return [await session.get_items(), await session.get_items(limit=3)]


async def more_than_a_page_comes_whole(session: Session) -> Any:
    await session.add_items(items_of(*(user(str(number)) for number in range(250))))
    return [await session.get_items(), await session.get_items(limit=205)]


async def the_latest_is_popped_first(session: Session) -> Any:
    await session.add_items(items_of(*TURN))
    return [await session.pop_item() for _ in range(7)]


async def a_cleared_session_goes_on(session: Session) -> Any:
    await session.add_items(items_of(*TURN, *(user(str(number)) for number in range(120))))
    await session.clear_session()
    cleared = await session.get_items()
    await session.add_items(items_of(REASONING))
    await session.clear_session()
    await session.add_items(items_of(user("Anew"), CALL))
    return [cleared, await session.get_items(), await session.pop_item()]


async def equal_items_are_stored_each_time(session: Session) -> Any:
    for _ in range(3):
        await session.add_items(items_of(user("Hi"), user("Hi")))
    return await session.get_items()


@function_tool
def menu(day: str) -> str:
    """Return what there is."""
    return f"soup {day}"


class Cook(Model):
    """A model that calls the tool first if it `calls`, and then says how many items it got."""

    def __init__(self, *, calls: bool = True) -> None:
        self._calls = calls

    async def get_response(self, *arguments: Any, **options: Any) -> ModelResponse:
        given = options["input"] if "input" in options else arguments[1]
        number = len(given)
        last = given[-1] if isinstance(given, list) else {}
        output: Any
        if not self._calls or last.get("type") == "function_call_output":
            text = ResponseOutputText(
                text=f"{number} items", type="output_text", annotations=[], logprobs=[]
            )
            output = ResponseOutputMessage(
                id=f"msg_{number:048x}",
                content=[text],
                role="assistant",
                status="completed",
                type="message",
            )
        else:
            output = ResponseFunctionToolCall(
                id=f"fc_{number:048x}",
                call_id=f"call_{number}",
                name="menu",
                arguments='{"day":"today"}',
                type="function_call",
                status="completed",
            )
        return ModelResponse(output=[output], usage=Usage(), response_id=None)

    def stream_response(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError


async def an_agent_remembers(session: Session) -> Any:
    agent = Agent(name="Cook", model=Cook(), tools=[menu])
    quiet = RunConfig(tracing_disabled=True)
    answers = [
        (await Runner.run(agent, text, session=session, run_config=quiet)).final_output
        for text in ("Soup?", "And now?")
    ]
    return [answers, await session.get_items()]


SCENARIOS: list[Scenario] = [
    a_new_session_is_empty,
    items_come_back_as_they_were_added,
    the_limit_counts_the_latest,
    the_limit_of_the_settings_counts,
    more_than_a_page_comes_whole,
    the_latest_is_popped_first,
    a_cleared_session_goes_on,
    equal_items_are_stored_each_time,
    an_agent_remembers,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_it_answers_like_the_sdks_own_session(
    scenario: Scenario, client: AsyncChatkeep
) -> None:
    theirs = SQLiteSession("s")
    ours = ChatkeepSession("s", client)
    try:
        assert isinstance(ours, Session)
        assert await scenario(ours) == await scenario(theirs)
    finally:
        theirs.close()


async def test_settings_may_be_a_dictionary(client: AsyncChatkeep) -> None:
    session = ChatkeepSession("settings", client, session_settings={"limit": 0})
    assert session.session_settings == SessionSettings(limit=0)
    with pytest.raises(TypeError):
        ChatkeepSession("settings", client, session_settings={"limitt": 1})


async def test_all_items_are_added_or_none(client: AsyncChatkeep) -> None:
    session = ChatkeepSession("s", client)
    await session.add_items(items_of(user("Hi")))
    wrong = {"role": "robot", "content": "x"}
    with pytest.raises(errors.InvalidValueError, match=r"items\[50\]"):
        await session.add_items(items_of(*(user(str(n)) for n in range(50)), wrong))
    assert await session.get_items() == items_of(user("Hi"))


async def test_several_writers_lose_nothing_and_pop_each_item_once(client: AsyncChatkeep) -> None:
    sessions = [ChatkeepSession("s", client) for _ in range(8)]
    await asyncio.gather(
        *(
            session.add_items(items_of(*(user(f"{n} {m}") for m in range(5))))
            for n, session in enumerate(sessions)
        )
    )
    texts = [cast("Any", item)["content"] for item in await sessions[0].get_items()]
    assert sorted(texts) == sorted(f"{n} {m}" for n in range(8) for m in range(5))
    for n in range(8):  # what was added together stays together
        start = texts.index(f"{n} 0")
        assert texts[start : start + 5] == [f"{n} {m}" for m in range(5)]
    popped = await asyncio.gather(*(session.pop_item() for session in sessions))
    assert sorted(cast("Any", item)["content"] for item in popped) == sorted(texts[-8:])


async def test_its_messages_are_those_of_the_conversation(client: AsyncChatkeep) -> None:
    await client.get_or_create_conversation("s", title="Lunch")
    session = ChatkeepSession("s", client)
    await session.add_items(items_of(*TURN))
    context = await client.get_context("s")
    assert [each["role"] for each in context.messages] == ["user", "assistant", "tool", "assistant"]
    await session.clear_session()
    assert (await client.get_conversation("s")).title == "Lunch"
    await client.append_messages("s", {"role": "user", "content": "Native"})
    [native] = await session.get_items()
    assert "id" not in native
    assert cast("Any", native)["content"] == [{"type": "input_text", "text": "Native"}]


async def test_a_hold_keeps_what_was_said(client: AsyncChatkeep) -> None:
    session = ChatkeepSession("s", client)
    await session.add_items(items_of(user("Hi")))
    await client.change_conversation("s", retain=True)
    for change in (session.pop_item, session.clear_session):
        with pytest.raises(errors.RetainedError):
            await change()
    assert await session.get_items() == items_of(user("Hi"))


def test_the_example_of_the_page_runs(
    service: MemoryService,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    run_example: Callable[..., None],
) -> None:
    monkeypatch.setenv("OPENAI_AGENTS_DISABLE_TRACING", "1")
    model = Cook(calls=False)
    run_example("ChatkeepSession", URL=service.url, KEY=service.service_key, MODEL=model)
    assert "4 items" in capsys.readouterr().out
