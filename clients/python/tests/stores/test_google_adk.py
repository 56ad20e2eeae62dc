"""ChatkeepSessionService gives the answers of ADK's InMemorySessionService."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any, cast
from uuid import NAMESPACE_URL, uuid5

import pytest
from google.adk.agents import LlmAgent
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.events.event_actions import EventActions, EventCompaction
from google.adk.models import BaseLlm
from google.adk.models.llm_request import LlmRequest
from google.adk.models.llm_response import LlmResponse
from google.adk.runners import Runner
from google.adk.sessions import BaseSessionService, InMemorySessionService, Session
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai import types

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.google_adk import ChatkeepSessionService
from chatkeep_client.testing import MemoryService

_numbers = count()
_A_MOMENT_AGO = 1e9
Scenario = Callable[[BaseSessionService], Awaitable[Any]]


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client() as client:
        yield client


class App:
    """The name of the app: another one in each test, for both services."""

    name = ""


@pytest.fixture(autouse=True)
def _app() -> None:
    App.name = f"app {next(_numbers)}"


def event(text: str = "", *, author: str = "user", at: float = 1.5, **fields: Any) -> Event:
    role = "user" if author == "user" else "model"
    content = types.Content(role=role, parts=[types.Part(text=text)]) if text else None
    fields.setdefault("id", str(uuid5(NAMESPACE_URL, f"{text} {at} {fields}")))
    return Event(author=author, content=content, invocation_id="i", timestamp=at, **fields)


def changing(at: float = 1.5, **delta: Any) -> Event:
    names = {key.replace("__", ":"): value for key, value in delta.items()}
    return event(at=at, actions=EventActions(state_delta=names))


def seen(session: Session | None) -> Any:
    """Return what one sees of a session, without the time of its creation."""
    if session is None:
        return None
    return [
        session.id,
        session.state,
        session.events,
        session.last_update_time if session.last_update_time < _A_MOMENT_AGO else "now",
    ]


async def raised(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (AlreadyExistsError, SessionNotFoundError, ValueError) as error:
        return type(error)


async def get(service: BaseSessionService, user: str = "u", id: str = "s", **config: Any) -> Any:  # noqa: A002 - its name there
    return await service.get_session(
        app_name=App.name,
        user_id=user,
        session_id=id,
        config=GetSessionConfig(**config) if config else None,
    )


async def create(service: BaseSessionService, user: str = "u", id: str = "s", **state: Any) -> Any:  # noqa: A002 - its name there
    names = {key.replace("__", ":"): value for key, value in state.items()}
    return await service.create_session(
        app_name=App.name, user_id=user, session_id=id, state=names or None
    )


async def listed(service: BaseSessionService, user: str | None = "u") -> Any:
    found = await service.list_sessions(app_name=App.name, user_id=user)
    return [[each.user_id, *seen(each)] for each in found.sessions]


RICH = [
    event("Is there soup?\x00 🍲"),
    Event(
        author="cook",
        invocation_id="i",
        timestamp=1700000000.123456,
        content=types.Content(
            role="model",
            parts=[
                types.Part(text="Hm.", thought=True),
                types.Part(
                    function_call=types.FunctionCall(id="c", name="menu", args={"day": None})
                ),
                types.Part.from_bytes(data=b"\x00\xff", mime_type="image/png"),
            ],
        ),
        turn_complete=True,
        partial=False,
        long_running_tool_ids={"c"},
        custom_metadata={"a": [1, None]},
        branch="a.b",
        actions=EventActions(
            artifact_delta={"f": 0},
            transfer_to_agent="b",
            escalate=True,
            state_delta={"none": None, "deep": {"x": [None, 1.5]}},
        ),
        usage_metadata=types.GenerateContentResponseUsageMetadata(prompt_token_count=1),
        grounding_metadata=types.GroundingMetadata(
            search_entry_point=types.SearchEntryPoint(sdk_blob=b"blob")
        ),
    ),
    Event(
        author="cook",
        invocation_id="i",
        content=types.Content(
            role="user",
            parts=[
                types.Part(
                    function_response=types.FunctionResponse(
                        id="c", name="menu", response={"soup": ["a", None]}
                    )
                )
            ],
        ),
    ),
    event("long " * 5_000, author="cook"),
    event("x" * 3_000),
    event(
        author="cook",
        actions=EventActions(
            compaction=EventCompaction(
                start_timestamp=1.0,
                end_timestamp=2.0,
                compacted_content=types.Content(role="model", parts=[types.Part(text="Short.")]),
            )
        ),
    ),
]


async def what_is_not_there(service: BaseSessionService) -> Any:
    await service.delete_session(app_name=App.name, user_id="u", session_id="s")
    absent = Session(id="s", app_name=App.name, user_id="u")
    return [
        await get(service),
        await listed(service),
        await listed(service, None),
        await service.get_user_state(app_name=App.name, user_id="u"),
        await raised(service.append_event(absent, event("Hi"))),
    ]


async def a_session_is_created(service: BaseSessionService) -> Any:
    first = await create(service, a=1, deep={"x": [None]}, temp__t=1)
    other = await service.create_session(app_name=App.name, user_id="u", session_id=" ")
    return [
        seen(first),
        seen(await get(service)),
        bool(other.id.strip()),
        await raised(create(service, a=1, deep={"x": [None]})),
        await raised(create(service, id=" s ")),
        seen(await create(service, user="v")),
        seen(await service.create_session(app_name="other", user_id="u", session_id="s")),
        seen(await get(service, id=" s\n")),
    ]


async def events_come_back_whole(service: BaseSessionService) -> Any:
    session = await create(service)
    for each in RICH:
        assert await service.append_event(session, each.model_copy(deep=True)) == each
    found = await get(service)
    assert found.events == RICH
    return [seen(session), seen(found), found == session]


async def a_partial_event_is_not_kept(service: BaseSessionService) -> Any:
    session = await create(service)
    given = await service.append_event(session, event("Hi", partial=True))
    return [given.partial, seen(session), seen(await get(service))]


async def an_event_is_stored_once(service: BaseSessionService) -> Any:
    session = await create(service)
    one, two = event("Hi", at=1.0), changing(at=2.0, a=1)
    for each in (one, two, one.model_copy(deep=True), two):
        await service.append_event(session, each)
    other = event("Other", at=4.0, id=one.id)
    await service.append_event(session, other)
    await service.append_event(session, event("Last", at=5.0))
    return [seen(session), seen(await get(service))]


async def the_latest_events_are_chosen(service: BaseSessionService) -> Any:
    session = await create(service)
    for number in range(8):
        await service.append_event(session, changing(at=float(number), **{f"k{number}": number}))
    configs: list[dict[str, Any]] = [
        {"num_recent_events": 0},
        {"num_recent_events": 1},
        {"num_recent_events": 3},
        {"num_recent_events": 20},
        {"after_timestamp": 5.0},
        {"after_timestamp": 5.5},
        {"after_timestamp": 99.0},
        {"num_recent_events": 2, "after_timestamp": 3.0},
        {"num_recent_events": 5, "after_timestamp": 6.0},
    ]
    return [seen(await get(service, **config)) for config in configs]


async def state_has_three_scopes(service: BaseSessionService) -> Any:
    first = await create(service, mine=1, user__who="Al", app__open=True)
    second = await create(service, id="s2")
    await service.append_event(
        first, changing(mine=2, user__who="Alice", app__open=None, temp__x=1, deep={"a": [1]})
    )
    other = await create(service, user="v", id="s3", user__who="Bo")
    return [
        *map(seen, (first, second, other)),
        seen(await get(service)),
        seen(await get(service, id="s2")),
        seen(await get(service, user="v", id="s3")),
        await service.get_user_state(app_name=App.name, user_id="u"),
        await service.get_user_state(app_name=App.name, user_id="v"),
        await service.get_user_state(app_name="other", user_id="u"),
        await listed(service),
        await listed(service, "v"),
        await listed(service, "w"),
        await listed(service, None),
    ]


async def temporary_state_is_not_kept(service: BaseSessionService) -> Any:
    session = await create(service)
    given = await service.append_event(session, changing(temp__x=1, kept=2))
    await service.append_event(session, changing(temp__y=1))
    return [given.actions.state_delta, seen(session), seen(await get(service))]


async def sessions_are_listed_by_their_latest_event(service: BaseSessionService) -> Any:
    sessions = {name: await create(service, id=name) for name in ("a", "b", "c")}
    for name, at in (("c", 10.0), ("a", 20.0), ("b", 15.0), ("a", 12.0)):
        await service.append_event(sessions[name], event("Hi", at=at))
    before = await listed(service)
    await service.delete_session(app_name=App.name, user_id="u", session_id=" b ")
    return [before, await listed(service), await get(service, id="b")]


async def a_session_that_was_deleted_is_gone(service: BaseSessionService) -> Any:
    session = await create(service, a=1, user__b=2)
    await service.append_event(session, event("Hi"))
    for _ in range(2):
        await service.delete_session(app_name=App.name, user_id="u", session_id="s")
    gone = [await get(service), await raised(service.append_event(session, event("More")))]
    return [*gone, seen(await create(service))]


async def more_than_a_page_comes_whole(service: BaseSessionService) -> Any:
    session = await create(service)
    for number in range(104):
        await service.append_event(session, event(str(number), at=float(number)))
    return [seen(await get(service)), seen(await get(service, num_recent_events=102))]


class Cook(BaseLlm):
    """A model that says how many contents it got."""

    async def generate_content_async(
        self,
        llm_request: LlmRequest,
        stream: bool = False,  # noqa: FBT001, FBT002 - as there
    ) -> AsyncGenerator[LlmResponse, None]:
        text = f"{len(llm_request.contents)} contents"
        yield LlmResponse(content=types.Content(role="model", parts=[types.Part(text=text)]))


async def an_agent_remembers(service: BaseSessionService) -> Any:
    agent = LlmAgent(name="cook", model=Cook(model="m"), output_key="said")
    runner = Runner(app_name=App.name, agent=agent, session_service=service)
    await create(service)
    for text in ("Soup?", "And now?"):
        message = types.Content(role="user", parts=[types.Part(text=text)])
        async for _ in runner.run_async(user_id="u", session_id="s", new_message=message):
            pass
    session = await get(service)
    return [session.state, [(each.author, each.content) for each in session.events]]


SCENARIOS: list[Scenario] = [
    what_is_not_there,
    a_session_is_created,
    events_come_back_whole,
    a_partial_event_is_not_kept,
    an_event_is_stored_once,
    the_latest_events_are_chosen,
    state_has_three_scopes,
    temporary_state_is_not_kept,
    sessions_are_listed_by_their_latest_event,
    a_session_that_was_deleted_is_gone,
    more_than_a_page_comes_whole,
    an_agent_remembers,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
async def test_it_answers_like_adks_own_service(scenario: Scenario, client: AsyncChatkeep) -> None:
    assert await scenario(ChatkeepSessionService(client)) == await scenario(
        InMemorySessionService()
    )


async def test_a_stale_session_is_refused(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    first = await create(service)
    second = await get(service)
    await service.append_event(second, changing(a=1))
    copy = first.model_copy(deep=True)
    bare = Session(id="s", app_name=App.name, user_id="u")
    for stale in (first, copy, bare):
        with pytest.raises(StaleSessionError, match="modified in storage"):
            await service.append_event(stale, changing(b=1, user__c=1, temp__t=1))
        assert (stale.state, stale.events) == ({}, [])
    await service.append_event(second, changing(d=1))
    as_read = Session(id="s", app_name=App.name, user_id="u", events=list(second.events))
    await service.append_event(as_read, changing(e=1))
    assert (await get(service)).state == {"a": 1, "d": 1, "e": 1}


async def test_of_several_writers_one_wins_each_time(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    await create(service)
    for number in range(4):
        copies = [await get(service) for _ in range(3)]
        done = await asyncio.gather(
            *(
                service.append_event(each, changing(at=float(n), **{f"k{number}": 1}))
                for n, each in enumerate(copies)
            ),
            return_exceptions=True,
        )
        failed = [type(each) for each in done if isinstance(each, BaseException)]
        assert failed == [StaleSessionError] * 2
    session = await get(service)
    assert (len(session.events), session.state) == (4, {f"k{n}": 1 for n in range(4)})


async def test_no_change_of_shared_state_is_lost(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    sessions = [await create(service, user=user, id=str(n)) for n in range(4) for user in "uv"]
    await asyncio.gather(
        *(
            service.append_event(session, changing(**{f"app__{n}": n, f"user__{n}": n}))
            for n, session in enumerate(sessions)
        )
    )
    state = (await get(service, id="0")).state
    assert state == {f"app:{n}": n for n in range(8)} | {f"user:{n}": n for n in range(0, 8, 2)}


async def test_its_events_are_messages_like_all(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    session = await create(service, a=1)
    for each in RICH:
        await service.append_event(session, each)
    mine = client.as_user("u")
    [chat] = [each async for each in mine.iter_conversations(metadata={"adk_app": App.name})]
    messages = [each async for each in mine.iter_history(chat.id)]
    assert [each.role for each in messages][:5] == [
        "user",
        "assistant",
        "tool",
        "assistant",
        "user",
    ]
    assert messages[0].content == "Is there soup?\x00 🍲"
    assert cast("Any", messages[1].tool_calls)[0]["function"]["name"] == "menu"
    assert messages[2].tool_call_id == "c"
    assert messages[4].content == "x" * 1_000

    metadata = (await mine.get_conversation(chat.id)).metadata
    await mine.change_conversation(chat.id, title="Lunch", metadata={**metadata, "team": "x"})
    await service.append_event(session, changing(a=2))  # a new title makes no session stale
    found = await mine.get_conversation(chat.id)
    assert (found.title, found.metadata["team"]) == ("Lunch", "x")
    await mine.append_messages(chat.id, {"role": "user", "content": "From elsewhere"})
    with pytest.raises(StaleSessionError):
        await service.append_event(session, event("Hi"))
    session = await get(service)
    assert session.events[-1].content.parts[0].text == "From elsewhere"
    assert session.state == {"a": 2, "none": None, "deep": {"x": [None, 1.5]}}
    await service.append_event(session, event("Hi"))


async def test_what_the_metadata_lack_is_read_from_the_events(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    session = await create(service, first=1)
    for number in range(6):
        await service.append_event(
            session, changing(at=float(number), **{f"k{number}": "x" * 4_000})
        )
    found = await get(service, num_recent_events=1)
    assert found.state == {"first": 1, **{f"k{n}": "x" * 4_000 for n in range(6)}}
    assert (found.last_update_time, len(found.events)) == (5.0, 1)
    assert seen(await get(service))[1] == found.state
    assert (await listed(service))[0][2] == found.state
    await service.append_event(found, changing(k0="short"))
    assert (await get(service)).state["k0"] == "short"
    mine = client.as_user("u")
    [chat] = [each async for each in mine.iter_conversations(metadata={"adk_app": App.name})]
    await mine.truncate_messages(chat.id, after=(await get(service)).events[1].id)
    assert len((await get(service)).events) == 2
    with pytest.raises(errors.LimitExceededError):
        await create(service, id="big", big="x" * 20_000)


async def test_a_hold_keeps_a_session(client: AsyncChatkeep) -> None:
    service = ChatkeepSessionService(client)
    session = await create(service)
    mine = client.as_user("u")
    [chat] = [each async for each in mine.iter_conversations(metadata={"adk_app": App.name})]
    await mine.change_conversation(chat.id, retain=True)
    await service.append_event(session, changing(a=1))
    with pytest.raises(errors.RetainedError):
        await service.delete_session(app_name=App.name, user_id="u", session_id="s")
    assert (await get(service)).state == {"a": 1}


def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    run_example(
        "ChatkeepSessionService", URL=service.url, KEY=service.service_key, MODEL=Cook(model="m")
    )
    assert "4 events" in capsys.readouterr().out
