"""Sessions of Strands agents, kept by chatkeep. Needs `chatkeep-client[strands]`.

    repository = ChatkeepSessionRepository(Chatkeep(URL, token=TOKEN))
    manager = RepositorySessionManager("chat-46", session_repository=repository)
    agent = Agent(session_manager=manager)

A session is the conversation with its id, and the messages of its agents are messages there, so
that both are also there for everything else that reads conversations.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from strands.multiagent import MultiAgentBase
from strands.session.session_repository import SessionRepository
from strands.types.exceptions import SessionException
from strands.types.session import Session, SessionAgent, SessionMessage

from chatkeep_client._fitting import send_fitting_now
from chatkeep_client._strands_messages import FORMAT, as_message
from chatkeep_client._sync.client import Chatkeep
from chatkeep_client.errors import (
    ConnectionFailedError,
    IdTakenError,
    NotFoundError,
    RevisionConflictError,
)
from chatkeep_client.models import Conversation, JsonObject, Message

_KEY: Final = "strands"
_AGENT: Final = "strands_agent"
_LOST_ANSWERS: Final = 3


class ChatkeepSessionRepository(SessionRepository):
    """Keeps each session in the conversation that has its id, of the client's user.

    - Messages come back exactly, with their bytes. Their text is cut to the service's limits for
      everything else that reads messages. Those that others append are not an agent's.
    - Messages are safe to send again: one is stored once under its number.
    - The session itself, and the state of its agents and multi-agents, are in the metadata of the
      conversation: 16 KiB in all (`CHATKEEP_MAX_METADATA_BYTES`), otherwise `LimitExceededError`.
      Of several changes at once none is lost.

    What exists already or does not exist raises Strands' `SessionException`. While the conversation
    is on hold, changing a message raises `RetainedError`.
    """

    def __init__(self, client: Chatkeep) -> None:
        self._client = client

    def create_session(self, session: Session, **kwargs: Any) -> Session:  # noqa: ARG002, ANN401 - as there
        """Store a new session. Raises `SessionException`."""
        written = {"session": session.to_dict(), "agents": {}, "multi_agents": {}}
        its_id = session.session_id
        found = self._client.get_or_create_conversation(its_id, metadata={_KEY: written})

        def add(stored: JsonObject | None) -> JsonObject:
            if stored not in (None, written):
                raise SessionException(f"Session {its_id} already exists")
            return written

        if not found.created:
            self._change_conversation(its_id, add)
        return session

    def read_session(self, session_id: str, **kwargs: Any) -> Session | None:  # noqa: ARG002, ANN401 - as there
        """Return a session, or None."""
        stored = self._read(session_id)
        return None if stored is None else Session.from_dict(stored["session"])

    def create_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:  # noqa: ARG002, ANN401 - as there
        """Store a new agent of a session. Raises `SessionException`."""
        its_id, written = session_agent.agent_id, session_agent.to_dict()

        def add(stored: JsonObject) -> JsonObject:
            if stored["agents"].get(its_id) not in (None, written):
                raise SessionException(f"Agent {its_id} already exists in session {session_id}")
            return {**stored, "agents": {**stored["agents"], its_id: written}}

        self._change(session_id, add)

    def read_agent(self, session_id: str, agent_id: str, **kwargs: Any) -> SessionAgent | None:  # noqa: ARG002, ANN401 - as there
        """Return an agent, or None."""
        written = (self._read(session_id) or {"agents": {}})["agents"].get(agent_id)
        return None if written is None else SessionAgent.from_dict(written)

    def update_agent(self, session_id: str, session_agent: SessionAgent, **kwargs: Any) -> None:  # noqa: ARG002, ANN401 - as there
        """Store an agent in the place of the one with its id. Raises `SessionException`."""
        its_id, written = session_agent.agent_id, session_agent.to_dict()

        def replace(stored: JsonObject) -> JsonObject:
            earlier = stored["agents"].get(its_id)
            if earlier is None:
                raise SessionException(f"Agent {its_id} does not exist in session {session_id}")
            now = {**written, "created_at": earlier["created_at"]}
            return {**stored, "agents": {**stored["agents"], its_id: now}}

        self._change(session_id, replace)

    def create_message(
        self,
        session_id: str,
        agent_id: str,
        session_message: SessionMessage,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> None:
        """Store a new message of an agent at the end. Raises `SessionException`."""
        message = {
            **_to_message(agent_id, session_message),
            "id": _message_id(agent_id, session_message.message_id),
        }
        try:
            send_fitting_now([message], lambda sent: self._client.append_messages(session_id, sent))
        except NotFoundError as error:
            raise SessionException(f"Session {session_id} does not exist") from error
        except IdTakenError as error:
            raise SessionException(
                f"Message {session_message.message_id} of agent {agent_id} already exists"
            ) from error

    def read_message(
        self,
        session_id: str,
        agent_id: str,
        message_id: int,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> SessionMessage | None:
        """Return a message of an agent, or None."""
        try:
            found = self._client.get_message(
                session_id, _message_id(agent_id, message_id), originals=True
            )
        except NotFoundError:
            return None
        return _from_message(found)

    def update_message(
        self,
        session_id: str,
        agent_id: str,
        session_message: SessionMessage,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> None:
        """Store a message in the place of the one with its number.

        Raises `SessionException` and `RetainedError`.
        """
        earlier = self.read_message(session_id, agent_id, session_message.message_id)
        if earlier is None:
            raise SessionException(
                f"Message {session_message.message_id} of agent {agent_id} does not exist"
            )
        session_message.created_at = earlier.created_at
        its_id = _message_id(agent_id, session_message.message_id)
        send_fitting_now(
            [_to_message(agent_id, session_message)],
            lambda sent: self._client.put_message(session_id, its_id, sent[0]),
        )

    def list_messages(
        self,
        session_id: str,
        agent_id: str,
        limit: int | None = None,
        offset: int = 0,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> list[SessionMessage]:
        """Return the messages of an agent, in order, without the first `offset`."""
        try:
            found = [
                _from_message(each)
                for each in self._client.iter_history(session_id, originals=True)
                if each.format == FORMAT and each.metadata.get(_AGENT) == agent_id
            ]
        except NotFoundError:
            return []
        messages = sorted(filter(None, found), key=lambda each: each.message_id)
        return messages[offset : None if limit is None else offset + limit]

    def create_multi_agent(
        self,
        session_id: str,
        multi_agent: MultiAgentBase,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> None:
        """Store the state of a multi-agent. Raises `SessionException`."""
        self._write_multi_agent(session_id, multi_agent, must_exist=False)

    def read_multi_agent(
        self,
        session_id: str,
        multi_agent_id: str,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> dict[str, Any] | None:
        """Return the state of a multi-agent, or None."""
        stored = self._read(session_id) or {"multi_agents": {}}
        state: JsonObject | None = stored["multi_agents"].get(multi_agent_id)
        return state

    def update_multi_agent(
        self,
        session_id: str,
        multi_agent: MultiAgentBase,
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> None:
        """Replace the state of a multi-agent. Raises `SessionException`."""
        self._write_multi_agent(session_id, multi_agent, must_exist=True)

    def _write_multi_agent(
        self, session_id: str, multi_agent: MultiAgentBase, *, must_exist: bool
    ) -> None:
        its_id, state = multi_agent.id, multi_agent.serialize_state()

        def replace(stored: JsonObject) -> JsonObject:
            if must_exist and its_id not in stored["multi_agents"]:
                raise SessionException(f"{its_id} does not exist in session {session_id}")
            return {**stored, "multi_agents": {**stored["multi_agents"], its_id: state}}

        self._change(session_id, replace)

    def _read(self, session_id: str) -> JsonObject | None:
        try:
            return _stored(self._client.get_conversation(session_id))
        except NotFoundError:
            return None

    def _change(self, session_id: str, change: Callable[[JsonObject], JsonObject]) -> None:
        """Change what is stored of a session. Raises `SessionException` if there is none."""

        def change_it(stored: JsonObject | None) -> JsonObject:
            if stored is None:
                raise SessionException(f"Session {session_id} does not exist")
            return change(stored)

        self._change_conversation(session_id, change_it)

    def _change_conversation(
        self, session_id: str, change: Callable[[JsonObject | None], JsonObject]
    ) -> None:
        lost = 0
        while True:
            try:
                found = self._client.get_conversation(session_id)
            except NotFoundError as error:
                raise SessionException(f"Session {session_id} does not exist") from error
            metadata = {**found.metadata, _KEY: change(_stored(found))}
            try:
                self._client.change_conversation(
                    session_id, metadata=metadata, expected_revision=found.revision
                )
            except RevisionConflictError:
                continue  # something else changed: look again
            except ConnectionFailedError as error:
                lost += 1
                if not error.may_be_done or lost == _LOST_ANSWERS:
                    raise
            else:
                return


def _stored(conversation: Conversation) -> JsonObject | None:
    """Return what is stored of a session; None if the conversation is not one."""
    stored = conversation.metadata.get(_KEY)
    return stored if isinstance(stored, dict) else None


def _message_id(agent_id: str, number: int) -> str:
    return f"{agent_id}/{number}"


def _to_message(agent_id: str, message: SessionMessage) -> JsonObject:
    return {**as_message(message), "metadata": {_AGENT: agent_id}}


def _from_message(message: Message) -> SessionMessage | None:
    if message.format != FORMAT or not isinstance(message.original, msgspec.Raw):
        return None
    return SessionMessage.from_dict(msgspec.json.decode(message.original))
