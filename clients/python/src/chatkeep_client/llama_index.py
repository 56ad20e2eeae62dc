"""Chat history of LlamaIndex, kept by chatkeep. Needs `chatkeep-client[llama-index]`.

    store = ChatkeepChatStore(AsyncChatkeep(URL, token=TOKEN))
    memory = Memory.from_defaults(session_id="chat-45", chat_store=store)

A key is the conversation with that id, and a chat message is a message there, so that both are also
there for everything else that reads conversations.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
from llama_index.core.base.llms.types import ChatMessage, MessageRole, ToolCallBlock
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._fitting import send_fitting
from chatkeep_client._native import as_native, text_of
from chatkeep_client._requests import uuid7
from chatkeep_client.errors import NotFoundError, RevisionConflictError, SuffixDiffersError
from chatkeep_client.models import JsonObject, Message

_FORMAT: Final = "llama-index"
_STATUS: Final = "llama_index_status"
_BY: Final = "llama_index_archived_by"
_ROLES: Final = {"user", "assistant", "system", "developer"}
_MOST: Final = 100


class _Log(NamedTuple):
    messages: list[Message]
    revision: int


class ChatkeepChatStore(AsyncDBChatStore):
    """Keeps the messages of each key in the conversation that has its id, of the client's user.

    - Messages come back exactly. Their text is cut to the service's limits for everything else that
      reads messages. What was appended by others is in the history too.
    - Adding and setting are done whole or not at all, and once, with up to 100 messages
      (`CHATKEEP_MAX_BATCH`); more raise `LimitExceededError`.
    - Of several who archive or delete the oldest messages, each gets others. What was archived
      stays in the conversation, and is marked in the metadata of the message.
    - `delete_messages` keeps the conversation itself, with its title and metadata. `get_keys`
      leaves out conversations without messages.
    - `delete_message` takes the place of a message among all of its key, from 0.

    While the conversation is on hold, archiving, setting and deleting raise `RetainedError`.
    """

    _client: AsyncChatkeep = PrivateAttr()

    def __init__(self, client: AsyncChatkeep) -> None:
        super().__init__()
        self._client = client

    @classmethod
    def class_name(cls) -> str:
        return "ChatkeepChatStore"

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return the messages with a status, or all, oldest first; none for a new key."""
        start = offset or 0
        end = None if limit is None else start + limit
        found = (await self._read(key, status, end)).messages
        return list(map(_as_added, found[start:]))

    async def count_messages(
        self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE
    ) -> int:
        """Count the messages with a status, or all."""
        return len((await self._read(key, status)).messages)

    async def add_message(
        self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Store a message at the end."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Store messages at the end, all or none."""
        if not messages:
            return
        await self._in_conversation(
            key, _to_add(messages, status), lambda sent: self._client.append_messages(key, sent)
        )

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Store messages in the place of all that are there, in one step."""
        new = _to_add(messages, status)
        expected: tuple[str, ...] | None = ()
        while expected is not None:
            expected = await self._replace(key, new, expected)

    async def _replace(
        self, key: str, messages: list[JsonObject], expected: tuple[str, ...]
    ) -> tuple[str, ...] | None:
        """Replace these messages; return those that are there if they are others or more."""
        try:
            await self._in_conversation(
                key,
                messages,
                lambda sent: self._client.replace_messages(
                    key, sent, after=None, expected=expected
                ),
            )
        except SuffixDiffersError as error:
            return error.found
        return None

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete the message at a place, and return it; None if there is none."""

        async def choose() -> _Log:
            log = await self._read(key, None, None if idx < 0 else idx + 1)
            return _Log(log.messages[idx : idx + 1] if idx >= 0 else [], log.revision)

        return next(iter(await self._take(1, choose, self._delete(key))), None)

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete the messages with a status, or all."""
        if status is not None:
            count = await self.count_messages(key, status)
            await self._take(count, lambda: self._read(key, status), self._delete(key))
        elif (await self._read(key, None, 1)).messages:
            await self.set_messages(key, [])

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Delete the oldest active messages, and return them."""
        return await self._take(
            n, lambda: self._read(key, MessageStatus.ACTIVE, n), self._delete(key)
        )

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the oldest active messages, and return them."""
        # Without its own mark, the same change by another caller would be taken for this one.
        marks = {_STATUS: MessageStatus.ARCHIVED.value, _BY: uuid7()}

        async def archive(message: Message, revision: int) -> int | None:
            changed = await self._client.patch_message(
                key,
                message.id,
                metadata=marks,
                expected_revision=revision,
            )
            return changed.revision

        return await self._take(n, lambda: self._read(key, MessageStatus.ACTIVE, n), archive)

    async def get_keys(self) -> list[str]:
        """Return the ids of the user's conversations that have messages."""
        return [
            each.id async for each in self._client.iter_conversations() if each.message_count > 0
        ]

    def _delete(self, key: str) -> Callable[[Message, int], Awaitable[int | None]]:
        async def delete(message: Message, revision: int) -> int | None:
            return await self._client.delete_message(key, message.id, expected_revision=revision)

        return delete

    async def _take(
        self,
        most: int,
        read: Callable[[], Awaitable[_Log]],
        change: Callable[[Message, int], Awaitable[int | None]],
    ) -> list[ChatMessage]:
        """Change messages one after the other, each only if the log is as it was read."""
        taken: list[ChatMessage] = []
        while len(taken) < most:
            log = await read()
            revision: int | None = log.revision
            for message in log.messages[: most - len(taken)]:
                if revision is None:
                    break  # unknown: look again
                try:
                    revision = await change(message, revision)
                except (RevisionConflictError, NotFoundError):
                    break  # somebody else was faster: look again
                taken.append(_as_added(message))
            else:
                break
        return taken

    async def _in_conversation(
        self,
        key: str,
        messages: list[JsonObject],
        send: Callable[[list[JsonObject]], Awaitable[object]],
    ) -> None:
        """Send messages. The conversation is created if it does not exist."""
        try:
            await send_fitting(messages, send)
        except NotFoundError:
            await self._client.get_or_create_conversation(key)
            await send_fitting(messages, send)

    async def _read(self, key: str, status: MessageStatus | None, most: int | None = None) -> _Log:
        """Return the messages with a status, or all, or the first of them."""
        found: list[Message] = []
        cursor: str | None = None
        while True:
            try:
                page = await self._client.get_history(
                    key, limit=_MOST, order="asc", cursor=cursor, originals=True
                )
            except NotFoundError:
                return _Log([], 0)
            found += [each for each in page.items if status in {None, _status_of(each)}]
            cursor = page.next_cursor
            if cursor is None or (most is not None and len(found) >= most):
                return _Log(found[:most], page.revision)


def _to_add(messages: list[ChatMessage], status: MessageStatus) -> list[JsonObject]:
    marks: JsonObject = {}
    if status != MessageStatus.ACTIVE:
        marks = {"metadata": {_STATUS: status.value}}
    return [{**_as_native(each), **marks} for each in messages]


def _as_native(message: ChatMessage) -> JsonObject:
    answered: Any = message.additional_kwargs.get("tool_call_id")
    role = message.role.value
    native = as_native(
        role if role in _ROLES else "assistant",
        message.content or "",
        calls=[
            (block.tool_call_id, block.tool_name, block.tool_kwargs)
            for block in message.blocks
            if isinstance(block, ToolCallBlock)
        ],
        answered=answered if message.role == MessageRole.TOOL else None,
    )
    original = msgspec.json.encode(message.model_dump(mode="json"))
    return {**native, "format": _FORMAT, "original": msgspec.Raw(original)}


def _as_added(message: Message) -> ChatMessage:
    """Return the message as it was added; one with its text, if somebody else appended it."""
    if message.format == _FORMAT and isinstance(message.original, msgspec.Raw):
        return ChatMessage.model_validate_json(bytes(message.original))
    return ChatMessage(role=MessageRole(message.role), content=text_of(message))


def _status_of(message: Message) -> MessageStatus:
    return MessageStatus(message.metadata.get(_STATUS, MessageStatus.ACTIVE.value))
