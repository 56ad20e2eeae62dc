"""History of Microsoft's Agent Framework, kept by chatkeep.

Needs `chatkeep-client[agent-framework]`.

    history = ChatkeepHistoryProvider(AsyncChatkeep(URL, token=TOKEN))
    agent = Agent(client, context_providers=[history])
    await agent.run("Is there soup?", session=agent.create_session(session_id="chat-47"))

A session is the conversation with its id, and its messages are messages there, so that both are
also there for everything else that reads conversations.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from agent_framework import HistoryProvider, Message

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._fitting import send_fitting
from chatkeep_client._native import as_native, as_text, text_of
from chatkeep_client.errors import NotFoundError, RevisionConflictError
from chatkeep_client.models import JsonObject
from chatkeep_client.models import Message as StoredMessage

_FORMAT: Final = "agent-framework"
_ROLES: Final = {"user", "assistant", "system", "developer"}
_MOST: Final = 100


class ChatkeepHistoryProvider(HistoryProvider):
    """Keeps the messages of each session in the conversation that has its id, of the client's user.

    - Messages come back as the framework serializes them itself, with their contents and
      properties. Their text is cut to the service's limits for everything else that reads messages.
      What was appended by others is in the history too.
    - The messages of a run are stored whole or not at all, and once, up to 100
      (`CHATKEEP_MAX_BATCH`); more raise `LimitExceededError`. Those that the history ends with
      already are left out, as the framework's own providers do.
    - The conversation is created if it does not exist.

    The other parameters are those of `HistoryProvider`.
    """

    def __init__(  # noqa: PLR0913 - the parameters are those of the framework
        self,
        client: AsyncChatkeep,
        source_id: str = "chatkeep",
        *,
        load_messages: bool = True,
        store_inputs: bool = True,
        store_context_messages: bool = False,
        store_context_from: set[str] | None = None,
        store_outputs: bool = True,
    ) -> None:
        super().__init__(
            source_id,
            load_messages=load_messages,
            store_inputs=store_inputs,
            store_context_messages=store_context_messages,
            store_context_from=store_context_from,
            store_outputs=store_outputs,
        )
        self._client = client

    async def get_messages(
        self,
        session_id: str | None,
        *,
        state: dict[str, Any] | None = None,  # noqa: ARG002 - as there
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> list[Message]:
        """Return the messages of a session, oldest first; none for a new one."""
        key = _required(session_id)
        try:
            return [
                _as_added(each) async for each in self._client.iter_history(key, originals=True)
            ]
        except NotFoundError:
            return []

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,  # noqa: ARG002 - as there
        **kwargs: Any,  # noqa: ARG002, ANN401 - as there
    ) -> None:
        """Store the messages that are new, all or none."""
        key = _required(session_id)
        while messages:
            latest, revision = await self._latest(key, len(messages))
            new = _without_known(latest, messages)
            if not new:
                return
            if revision is None:
                await self._client.get_or_create_conversation(key)
                continue
            try:
                await self._append(key, new, revision)
            except (RevisionConflictError, NotFoundError):
                continue  # somebody else changed it: look again
            return

    async def _append(self, key: str, messages: Sequence[Message], revision: int) -> None:
        await send_fitting(
            list(map(_to_add, messages)),
            lambda sent: self._client.append_messages(key, sent, expected_revision=revision),
        )

    async def _latest(self, key: str, most: int) -> tuple[list[Message], int | None]:
        """Return the latest messages and the revision; None if there is no conversation."""
        # As many as are added are enough: more cannot be among them.
        try:
            page = await self._client.get_history(
                key, limit=min(most, _MOST), order="desc", originals=True
            )
        except NotFoundError:
            return [], None
        return list(map(_as_added, reversed(page.items))), page.revision


def _required(session_id: str | None) -> str:
    if not session_id:
        raise ValueError("a session needs a session_id, which is the id of its conversation")
    return session_id


def _without_known(latest: Sequence[Message], messages: Sequence[Message]) -> Sequence[Message]:
    """Return the messages after those that the history has already, as the framework counts them.

    These are all of it, or else as many as possible of its end. A user who says the same again, in
    a message without an id, repeats nothing.
    """
    old, new = list(map(_identity, latest)), list(map(_identity, messages))
    is_one_of_user = bool(latest) and latest[-1].role == "user" and not latest[-1].message_id
    for start in range(len(new) - len(old) + 1 if old else 0):
        if new[start : start + len(old)] == old:
            if start == 0 and len(old) == 1 and is_one_of_user:
                break
            return messages[start + len(old) :]
    for both in range(min(len(old), len(new)), 0, -1):
        if old[-both:] == new[:both] and not (both == 1 and is_one_of_user):
            return messages[both:]
    return messages


def _identity(message: Message) -> object:
    return message.message_id or message.to_dict()


def _to_add(message: Message) -> JsonObject:
    calls = [each for each in message.contents if each.type == "function_call"]
    results = [each for each in message.contents if each.type == "function_result"]
    text = message.text
    if results and not text:
        text = "\n\n".join(as_text(each.result) for each in results)
    native = as_native(
        str(message.role) if message.role in _ROLES else "assistant",
        text,
        calls=[(each.call_id, each.name or "", each.arguments or {}) for each in calls],
        answered=results[0].call_id if results else None,
    )
    original = msgspec.json.encode(message.to_dict(), enc_hook=str)
    return {**native, "format": _FORMAT, "original": msgspec.Raw(original)}


def _as_added(message: StoredMessage) -> Message:
    """Return the message as it was added; one with its text, if somebody else appended it."""
    if message.format == _FORMAT and isinstance(message.original, msgspec.Raw):
        return Message.from_dict(msgspec.json.decode(message.original))
    return Message(role=message.role, contents=[text_of(message)], message_id=message.id)
