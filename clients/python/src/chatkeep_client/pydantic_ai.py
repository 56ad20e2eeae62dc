"""Conversations of Pydantic AI, kept by chatkeep. Needs `chatkeep-client[pydantic-ai]`.

store = ChatkeepConversationStore(AsyncChatkeep(URL, token=TOKEN))
conversation = await store.load("chat-42") or Conversation(conversation_id="chat-42")
await store.save(await agent.run("Is there soup?", conversation=conversation))
"""

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
)

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._pydantic_records import SCOPE, Records, Stored
from chatkeep_client.errors import ConflictError, NotFoundError, RevisionConflictError

_MOST_HOMES: Final = 10_000


class ChatkeepConversationStore(ConversationStore):
    """Keeps each conversation in the one that has its id, of the client's user.

    A model message is a message there, with the whole of it as its `original`; its role, text and
    calls can be read by everything else that reads conversations, cut to the service's limits. What
    a history leaves when it is rewritten or branched stays as a branch. A fork has copies of the
    entries, with the same ids.

    A save is stored whole or not at all: new entries and the record are one append, made only if
    the conversation still has the revision that was read. `scope` is a filter. What keeps users
    apart is the client's user.

    `delete` deletes a conversation with all its entries, permanently; copies in forks stay. It
    raises `RetainedError` while the conversation is on hold. A save has at most 100 new entries
    (`CHATKEEP_MAX_BATCH`), and a record without its entries 16 KiB (`CHATKEEP_MAX_METADATA_BYTES`):
    more raise `LimitExceededError`.

    `read_entry` and `read_history` find an entry of a record that this object has read or written
    with one request; for any other they look into all conversations of the user.
    """

    def __init__(self, client: AsyncChatkeep) -> None:
        self._client = client
        self._stored_records = Records(client)
        self._homes: dict[str, str] = {}

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record of a conversation, or None."""
        stored = await self._find_record(conversation_id)
        return None if stored is None else stored.state.record

    async def read_records(
        self, *, scope: str | None = None, limit: int | None = None
    ) -> Sequence[ConversationRecord]:
        """Return the records, or those of a scope, latest first."""
        filters = None if scope is None else {SCOPE: scope}
        records = []
        async for conversation in self._client.iter_conversations(metadata=filters):
            stored = await self._stored_records.read(conversation)
            if stored is not None and scope in {None, stored.state.record.scope}:
                self._remember_ends(stored.state.record)
                records.append(stored.state.record)
        records.sort(key=lambda record: record.updated_at, reverse=True)
        return records[:limit]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record and its new entries, all or nothing. Raises `ConversationConflict`."""
        while True:
            stored = await self._find_record(record.conversation_id)
            found = None if stored is None else stored.state.record.revision
            if found != expected_revision:
                raise ConversationConflict(record.conversation_id)
            with suppress(RevisionConflictError):  # then something else changed: look again
                await self._store_record(stored, record, new_entries)
                break
        for entry in new_entries:
            self._remember(entry.id, record.conversation_id)
        self._remember_ends(record)

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation with its entries. Raises `ConversationConflict`."""
        while True:
            stored = await self._find_record(conversation_id)
            if stored is None or stored.state.record.revision != expected_revision:
                raise ConversationConflict(conversation_id)
            with suppress(RevisionConflictError, NotFoundError):
                await self._client.delete_conversation(
                    conversation_id, expected_revision=stored.conversation.revision
                )
                return

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return an entry. Raises `KeyError`."""
        [entry] = await self.read_history(entry_id, limit=1)
        return entry

    async def read_history(
        self, head_id: str | None, *, limit: int | None = None
    ) -> list[ConversationEntry]:
        """Return the entries up to this one, oldest first, or the last `limit` of them.

        Raises `KeyError`.
        """
        if head_id is None or limit == 0:
            return []
        home = self._homes.get(head_id)
        if home is not None:
            with suppress(NotFoundError, KeyError):
                return await self._stored_records.read_path(home, head_id, limit)
        return await self._stored_records.read_path(await self._search(head_id), head_id, limit)

    async def _search(self, entry_id: str) -> str:
        """Return the conversation of an entry. Raises `KeyError`."""
        async for conversation in self._client.iter_conversations():
            if await self._stored_records.has(conversation.id, entry_id):
                self._remember(entry_id, conversation.id)
                return conversation.id
        raise KeyError(entry_id)

    async def _find_record(self, conversation_id: str) -> Stored | None:
        stored = await self._stored_records.find(conversation_id)
        if stored is not None:
            self._remember_ends(stored.state.record)
        return stored

    async def _store_record(
        self,
        stored: Stored | None,
        record: ConversationRecord,
        new_entries: Sequence[ConversationEntry],
    ) -> None:
        records = self._stored_records
        try:
            if stored is not None and new_entries:
                await records.append(stored, record, new_entries)
            elif stored is not None:
                await records.change(stored, record)
            elif not new_entries and record.head_id is not None:
                home = self._homes.get(record.head_id) or await self._search(record.head_id)
                await records.fork(home, record.head_id, record)
            else:
                await records.create(record, new_entries)
        except (KeyError, NotFoundError, ConflictError) as error:
            raise ConversationConflict(record.conversation_id) from error

    def _remember_ends(self, record: ConversationRecord) -> None:
        for entry_id in (record.head_id, *record.branches):
            if entry_id is not None:
                self._remember(entry_id, record.conversation_id)

    def _remember(self, entry_id: str, conversation_id: str) -> None:
        if len(self._homes) >= _MOST_HOMES:
            self._homes.clear()
        self._homes[entry_id] = conversation_id
