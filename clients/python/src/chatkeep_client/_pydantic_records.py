"""The records of Pydantic AI's conversations, in the metadata of conversations and messages."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import TypeAdapter
from pydantic_ai.conversation_store import ConversationEntry, ConversationRecord
from pydantic_ai.messages import ModelMessage

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._fitting import send_fitting
from chatkeep_client._pydantic_messages import as_native
from chatkeep_client.errors import (
    ChatkeepError,
    ConnectionFailedError,
    NotFoundError,
)
from chatkeep_client.models import Appended, Conversation, JsonObject, Message

SCOPE: Final = "pydantic_ai_scope"
"""The metadata of a conversation that has the scope, for filters."""

_RECORD: Final = "pydantic_ai"
_AT: Final = "pydantic_ai_at"
_FORMAT: Final = "pydantic-ai"
_PREFIX: Final = "entry:"
_FIRST_REVISION: Final = 1

_records: Final = TypeAdapter(ConversationRecord)
_messages: Final[TypeAdapter[ModelMessage]] = TypeAdapter(ModelMessage)


class State(NamedTuple):
    """A record as it is stored. `number` grows with each save."""

    record: ConversationRecord
    number: int


class Stored(NamedTuple):
    """A record, and the conversation that it was read from."""

    state: State
    conversation: Conversation


class Records:
    """Reads and writes records and their entries, of the client's user.

    Writes raise `RevisionConflictError` if the conversation is not the one that was read, and
    `NotFoundError` or `ConflictError` if something they need is not there or in the way.
    """

    def __init__(self, client: AsyncChatkeep) -> None:
        self._client = client

    async def find(self, conversation_id: str) -> Stored | None:
        try:
            return await self.read(await self._client.get_conversation(conversation_id))
        except NotFoundError:
            return None

    async def read(self, conversation: Conversation) -> Stored | None:
        """Return the record of a conversation; None if it has none.

        It is in the metadata of the conversation, unless the latest save could not write it there:
        then it is in those of the last message of that save.
        """
        state = _read_state(conversation.metadata, conversation.id)
        if state is None or conversation.metadata.get(_AT) != conversation.revision:
            later = await self._read_latest(conversation.id)
            if later is not None and (state is None or later.number > state.number):
                state = later
        if state is None:
            return None
        return Stored(state, conversation)

    async def _read_latest(self, conversation_id: str) -> State | None:
        async for message in self._client.iter_history(
            conversation_id, order="desc", branch="all", page_size=10
        ):
            state = _read_state(message.metadata, conversation_id)
            if state is not None:
                return state
        return None

    async def create(
        self, record: ConversationRecord, new_entries: Sequence[ConversationEntry]
    ) -> None:
        """Store a new conversation with its entries."""
        metadata = _metadata({}, State(record, 1), _FIRST_REVISION)
        messages = _to_messages(new_entries, State(record, 1))
        await send_fitting(
            messages,
            lambda sent: self._client.create_conversation(
                conversation_id=record.conversation_id, metadata=metadata, messages=sent
            ),
        )

    async def fork(self, home: str, entry_id: str, record: ConversationRecord) -> None:
        """Store a new conversation with copies of the entries of another one, up to this one."""
        await self._client.fork_conversation(
            home,
            new_id=record.conversation_id,
            at=_PREFIX + entry_id,
            title=None,
            metadata=_metadata({}, State(record, 1), _FIRST_REVISION),
        )

    async def append(
        self, stored: Stored, record: ConversationRecord, new_entries: Sequence[ConversationEntry]
    ) -> None:
        """Store new entries and the record, both or neither."""
        state = State(record, stored.state.number + 1)
        appended = await self._append_messages(stored.conversation, new_entries, state)
        # It is stored: from here on the record is only easier to find.
        metadata = _metadata(stored.conversation.metadata, state, appended.revision + 1)
        with suppress(ChatkeepError):
            await self._client.change_conversation(
                record.conversation_id, metadata=metadata, expected_revision=appended.revision
            )

    async def _append_messages(
        self, conversation: Conversation, new_entries: Sequence[ConversationEntry], state: State
    ) -> Appended:
        parent = new_entries[0].parent_id
        after = None if parent is None else _PREFIX + parent
        messages = _to_messages(new_entries, state)
        return await send_fitting(
            messages,
            lambda sent: self._client.append_messages(
                conversation.id,
                sent,
                after=after if after or conversation.message_count else msgspec.UNSET,
                expected_revision=conversation.revision,
            ),
        )

    async def change(self, stored: Stored, record: ConversationRecord) -> None:
        """Store the record."""
        conversation = stored.conversation
        if record.head_id is not None:  # raises NotFoundError if it is gone
            await self._client.get_message(conversation.id, _PREFIX + record.head_id)
        state = State(record, stored.state.number + 1)
        metadata = _metadata(conversation.metadata, state, conversation.revision + 1)
        try:
            await self._client.change_conversation(
                conversation.id, metadata=metadata, expected_revision=conversation.revision
            )
        except ConnectionFailedError:
            now = await self.find(conversation.id)
            if now is None or now.state.record.revision != record.revision:
                raise

    async def has(self, conversation_id: str, entry_id: str) -> bool:
        """Return whether a conversation has an entry."""
        try:
            await self._client.get_message(conversation_id, _PREFIX + entry_id)
        except NotFoundError:
            return False
        return True

    async def read_path(
        self, conversation_id: str, head_id: str, limit: int | None
    ) -> list[ConversationEntry]:
        """Return the entries up to this one, or the last `limit` of them. Raises `KeyError`."""
        # A message is always after its parent, so one way backwards through all branches is enough.
        path: list[Message] = []
        wanted: object = _PREFIX + head_id
        count = 0
        async for message in self._client.iter_history(
            conversation_id, order="desc", branch="all", originals=True
        ):
            if message.id != wanted:
                continue
            path.append(message)
            wanted = message.parent_id
            count += message.format == _FORMAT
            if wanted is None or (limit is not None and count > limit):
                break
        if not path:
            raise KeyError(head_id)
        entries: list[ConversationEntry] = []
        parent_id = None
        for message in reversed(path):
            if message.format != _FORMAT or not isinstance(message.original, msgspec.Raw):
                continue  # somebody else's message
            its_id = message.id.removeprefix(_PREFIX)
            entries.append(
                ConversationEntry(
                    id=its_id,
                    parent_id=parent_id,
                    message=_messages.validate_json(bytes(message.original)),
                )
            )
            parent_id = its_id
        return entries if limit is None else entries[-limit:]


def _metadata(others: Mapping[str, Any], state: State, revision: int) -> JsonObject:
    """Return the metadata of a conversation that has this revision from now on."""
    metadata = {**others, **_write_state(state), _AT: revision}
    if state.record.scope is None:
        metadata.pop(SCOPE, None)
    else:
        metadata[SCOPE] = state.record.scope
    return metadata


def _write_state(state: State) -> JsonObject:
    record = _records.dump_python(state.record, mode="json")
    return {_RECORD: {"number": state.number, "record": record}}


def _read_state(metadata: JsonObject, conversation_id: str) -> State | None:
    """Return the state in metadata. That of another conversation came with a fork."""
    written = metadata.get(_RECORD)
    if written is None or written["record"]["conversation_id"] != conversation_id:
        return None
    return State(_records.validate_python(written["record"]), written["number"])


def _to_messages(entries: Sequence[ConversationEntry], state: State) -> list[JsonObject]:
    """Return the messages of entries; the last one has the record."""
    messages: list[JsonObject] = [
        {
            **as_native(entry.message),
            "id": _PREFIX + entry.id,
            "format": _FORMAT,
            "original": msgspec.Raw(_messages.dump_json(entry.message)),
        }
        for entry in entries
    ]
    if messages:
        messages[-1]["metadata"] = _write_state(state)
    return messages
