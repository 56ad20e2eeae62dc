"""ChatkeepSessionRepository gives the answers of a store in dictionaries and of Strands' files."""

import threading
from collections.abc import AsyncIterable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from strands import Agent
from strands.agent.conversation_manager import SlidingWindowConversationManager
from strands.models import Model
from strands.session import FileSessionManager, RepositorySessionManager, SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage, SessionType
from strands.types.streaming import StreamEvent

from chatkeep_client import Chatkeep, errors
from chatkeep_client.strands import ChatkeepSessionRepository
from chatkeep_client.testing import MemoryService

Scenario = Callable[[SessionRepository], Any]


@pytest.fixture
def client(service: MemoryService, someone: str) -> Iterator[Chatkeep]:
    with service.client(someone) as client:
        yield client


def session(its_id: str = "s") -> Session:
    return Session(its_id, SessionType.AGENT, created_at="then", updated_at="then")


def agent(its_id: str = "a", **state: Any) -> SessionAgent:
    return SessionAgent(
        its_id, state, {"removed_message_count": 0}, created_at="then", updated_at="then"
    )


def said(number: int, *blocks: Any, role: Any = "user") -> SessionMessage:
    content: Any = list(blocks) or [{"text": f"{number}"}]
    return SessionMessage(
        {"role": role, "content": content}, number, created_at="then", updated_at="then"
    )


IMAGE = {"image": {"format": "png", "source": {"bytes": b"\x00\xff"}}}
CALL = {"toolUse": {"toolUseId": "t", "name": "menu", "input": {"day": None}}}
RESULT = {"status": "success", "content": [{"text": "soup"}, {"json": {"a": [1.5]}}]}
RICH = [
    said(0, {"text": "Is there soup?\x00 🍲"}, IMAGE),
    said(1, {"text": "Hm."}, CALL, role="assistant"),
    said(2, {"toolResult": {"toolUseId": "t", **RESULT}}),
    said(3, {"text": "long " * 5_000}, role="assistant"),
    said(4, {"text": "x" * 3_000}),
]


def raised(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except SessionException as error:
        return type(error)


def what_is_not_there(repository: SessionRepository) -> Any:
    return [
        repository.read_session("s"),
        repository.read_agent("s", "a"),
        repository.read_message("s", "a", 0),
        raised(repository.update_agent, "s", agent()),
        raised(repository.update_message, "s", "a", said(0)),
        repository.create_session(session()),
        repository.read_session("s"),
        raised(repository.create_session, Session("s", SessionType.AGENT)),
        repository.read_agent("s", "a"),
        raised(repository.update_agent, "s", agent()),
    ]


def agents_come_back_as_they_were_stored(repository: SessionRepository) -> Any:
    repository.create_session(session())
    first = agent(deep={"x": [None, 1.5, b"\x00"]})
    first._internal_state = {"model_state": {"a": 1}}  # noqa: SLF001 - the framework's own
    repository.create_agent("s", first)
    repository.create_agent("s", agent("b"))
    found = [repository.read_agent("s", each) for each in ("a", "b", "c")]
    changed = agent(now="ü")
    changed.created_at = "later"
    repository.update_agent("s", changed)
    return [*found, repository.read_agent("s", "a"), repository.read_agent("s", "b")]


def messages_come_back_whole(repository: SessionRepository) -> Any:
    repository.create_session(session())
    repository.create_agent("s", agent())
    for each in RICH:
        repository.create_message("s", "a", each)
    found = repository.list_messages("s", "a")
    assert found == RICH
    return [len(found), *(repository.read_message("s", "a", number) for number in (0, 2, 9))]


def agents_have_messages_of_their_own(repository: SessionRepository) -> Any:
    repository.create_session(session())
    for its_id in ("a", "b"):
        repository.create_agent("s", agent(its_id))
    for number in range(4):
        repository.create_message("s", "a", said(number))
        repository.create_message("s", "b", said(number, {"text": f"b{number}"}))
    return [
        repository.list_messages("s", "a"),
        repository.list_messages("s", "b", limit=2),
        repository.list_messages("s", "b", limit=2, offset=1),
        repository.list_messages("s", "a", offset=3),
        repository.list_messages("s", "a", offset=9),
        repository.list_messages("s", "a", limit=0),
    ]


def a_message_is_redacted(repository: SessionRepository) -> Any:
    repository.create_session(session())
    repository.create_agent("s", agent())
    for number in range(3):
        repository.create_message("s", "a", said(number))
    redacted = said(1)
    redacted.redact_message = {"role": "user", "content": [{"text": "[redacted]"}]}
    redacted.created_at = "later"
    repository.update_message("s", "a", redacted)
    return [
        repository.list_messages("s", "a"),
        repository.read_message("s", "a", 1),
        raised(repository.update_message, "s", "a", said(7)),
    ]


SCENARIOS: list[Scenario] = [
    what_is_not_there,
    agents_come_back_as_they_were_stored,
    messages_come_back_whole,
    agents_have_messages_of_their_own,
    a_message_is_redacted,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda each: each.__name__)
def test_it_answers_like_strands_own_files(
    scenario: Scenario, client: Chatkeep, tmp_path: Path
) -> None:
    theirs = FileSessionManager("other", storage_dir=str(tmp_path))
    assert scenario(ChatkeepSessionRepository(client)) == scenario(theirs)


def test_what_exists_already_is_refused(client: Chatkeep) -> None:
    repository = ChatkeepSessionRepository(client)
    for call, arguments in (
        (repository.create_agent, ("s", agent())),
        (repository.create_message, ("s", "a", said(0))),
    ):
        assert raised(call, *arguments) is SessionException
    for _ in range(2):  # the same again is the same
        repository.create_session(session())
    for _ in range(2):
        repository.create_agent("s", agent())
        repository.create_message("s", "a", said(0))
    assert raised(repository.create_agent, "s", agent(other=1)) is SessionException
    assert raised(repository.create_message, "s", "a", said(0, {"text": "x"})) is SessionException
    assert repository.list_messages("s", "a") == [said(0)]


class Team:
    """A multi-agent with a state."""

    id = "team"

    def __init__(self, state: dict[str, Any]) -> None:
        self._state = state

    def serialize_state(self) -> dict[str, Any]:
        return self._state


def test_the_state_of_multi_agents_is_kept(client: Chatkeep) -> None:
    repository = ChatkeepSessionRepository(client)
    first: Any = Team({"nodes": ["a", None]})
    later: Any = Team({"nodes": []})
    assert repository.read_multi_agent("s", "team") is None
    assert raised(repository.create_multi_agent, "s", first) is SessionException
    repository.create_session(session())
    assert raised(repository.update_multi_agent, "s", first) is SessionException
    repository.create_multi_agent("s", first)
    assert repository.read_multi_agent("s", "team") == {"nodes": ["a", None]}
    repository.update_multi_agent("s", later)
    assert repository.read_multi_agent("s", "team") == {"nodes": []}
    huge: Any = Team({"x": "x" * 20_000})
    with pytest.raises(errors.LimitExceededError):
        repository.update_multi_agent("s", huge)


def test_no_change_of_several_is_lost(client: Chatkeep) -> None:
    repository = ChatkeepSessionRepository(client)
    repository.create_session(session())

    def work(its_id: str) -> None:
        repository.create_agent("s", agent(its_id))
        for number in range(4):
            repository.create_message("s", its_id, said(number))
            repository.update_agent("s", agent(its_id, number=number))

    threads = [threading.Thread(target=work, args=(f"a/{n}",)) for n in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    for n in range(5):
        assert repository.list_messages("s", f"a/{n}") == [said(number) for number in range(4)]
        assert repository.read_agent("s", f"a/{n}") == agent(f"a/{n}", number=3)


def test_its_messages_are_those_of_the_conversation(client: Chatkeep) -> None:
    client.create_conversation(conversation_id="s", title="Lunch", metadata={"team": "x"})
    client.append_messages("s", {"role": "user", "content": "From elsewhere"})
    repository = ChatkeepSessionRepository(client)
    assert repository.read_session("s") is None
    repository.create_session(session())
    repository.create_agent("s", agent())
    for each in RICH:
        repository.create_message("s", "a", each)
    assert repository.list_messages("s", "a") == RICH
    found = client.get_conversation("s")
    assert (found.title, found.metadata["team"]) == ("Lunch", "x")
    messages = list(client.iter_history("s"))[1:]
    assert [each.role for each in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[2].content == 'soup\n\n{"a":[1.5]}'
    assert messages[4].content == "x" * 1_000
    client.change_conversation("s", retain=True)
    with pytest.raises(errors.RetainedError):
        repository.update_message("s", "a", said(0))


class Cook(Model):
    """A model that says how many messages it got."""

    def update_config(self, **model_config: Any) -> None:
        raise NotImplementedError

    def get_config(self) -> Any:
        return {}

    def structured_output(self, *arguments: Any, **options: Any) -> Any:
        raise NotImplementedError

    async def stream(
        self, messages: Any, *arguments: Any, **options: Any
    ) -> AsyncIterable[StreamEvent]:
        yield {"messageStart": {"role": "assistant"}}
        yield {"contentBlockDelta": {"delta": {"text": f"{len(messages)} messages"}}}
        yield {"contentBlockStop": {}}
        yield {"messageStop": {"stopReason": "end_turn"}}


def test_an_agent_remembers(client: Chatkeep) -> None:
    for number in range(3):
        manager = RepositorySessionManager(
            "s", session_repository=ChatkeepSessionRepository(client)
        )
        remembering = Agent(
            model=Cook(),
            agent_id="a",
            session_manager=manager,
            conversation_manager=SlidingWindowConversationManager(window_size=4),
            callback_handler=None,
        )
        remembering.state.set("turns", number)
        answer = remembering("Soup?")
        assert str(answer).strip() == f"{min(number * 2, 4) + 1} messages"
    assert len(list(client.iter_history("s"))) == 6
    found = ChatkeepSessionRepository(client).read_agent("s", "a")
    assert found is not None
    assert found.state == {"turns": 2}


def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    run_example("ChatkeepSessionRepository", URL=service.url, KEY=service.service_key, MODEL=Cook())
    assert "4 messages" in capsys.readouterr().out
