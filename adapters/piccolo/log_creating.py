"""Creates conversations with all their entries, and forks them: each is one statement."""

from collections.abc import Sequence
from typing import Any

import asyncpg

from chatkeep.adapters.piccolo.conversations import explain_unprovisioned
from chatkeep.adapters.piccolo.fork_statements import FORK
from chatkeep.adapters.piccolo.log_append_statements import (
    CREATE,
    CREATE_WHOLE,
    CREATE_WITH_BRANCHES,
    CREATE_WITH_ITEMS,
)
from chatkeep.adapters.piccolo.log_changes import LogChanges
from chatkeep.adapters.piccolo.log_values import (
    entry_arrays,
    have_items,
    place_values,
    stored_at,
)
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    MESSAGE_TYPES,
    PLAIN_COLUMNS,
    are_plain,
    conversation_values,
    message_arrays,
)
from chatkeep.adapters.piccolo.stored_paths import stored_paths
from chatkeep.adapters.piccolo.tree_rows import branch_arrays
from chatkeep.adapters.piccolo.users import NO_USER, is_about_user, may_be_of_users
from chatkeep.domain.branches import Tree
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    DatabaseRuleError,
    MessageNotFoundError,
)
from chatkeep.domain.ids import same_id
from chatkeep.domain.log import (
    Created,
    NewEntry,
    RequestKey,
    item_ids_given,
    messages_of,
)
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    ForkedFrom,
    MessageId,
    Order,
    UserId,
)
from chatkeep.domain.ranges import Range, contains


class LogCreating(LogChanges):
    @repeated_when_gone
    async def create(
        self,
        conversation: Conversation,
        entries: Sequence[NewEntry],
        *,
        key: RequestKey | None = None,
        tree: Tree | None = None,
        provision: bool,
    ) -> Created:
        item_ids_given(entries)
        new, at = conversation, conversation.updated_at
        messages = messages_of(entries)
        values = {
            **place_values(new.user_id, new.id, len(messages), len(entries), at),
            **conversation_values(new),
            "provision": provision,
        }
        try:
            if tree is not None or new.forked_from is not None:
                values |= _branch_values(new, tree, values["first"])
                values |= {"key": key and key.key, "digest": key and key.digest}
                await self._engine.fetch(CREATE_WITH_BRANCHES, **values, **entry_arrays(entries))
            elif key is None and not have_items(entries):
                create, columns = (
                    (CREATE, PLAIN_COLUMNS)
                    if are_plain(messages)
                    else (CREATE_WHOLE, MESSAGE_TYPES)
                )
                await self._engine.fetch(create, **values, **message_arrays(messages, columns))
            else:
                values |= {"key": key and key.key, "digest": key and key.digest}
                await self._engine.fetch(CREATE_WITH_ITEMS, **values, **entry_arrays(entries))
        except asyncpg.UniqueViolationError as error:
            return await self._repeats.recall_create(new, entries, key, error)
        except (*NO_USER, DatabaseRuleError) as error:
            if not await is_about_user(self._engine, new.user_id, error):
                if provision and may_be_of_users(error):
                    return await self.create(new, entries, key=key, tree=tree, provision=False)
                raise
            raise explain_unprovisioned(new.user_id, error, provision=provision) from error
        stored = stored_at(entries, new.id, values["first"], at)
        made = new._replace(
            message_count=len(messages), branch=None if tree is None else tree.current
        )
        return Created(made, stored, created=True)

    @repeated_when_gone
    async def fork(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        new: Conversation,
        *,
        at: MessageId | None = None,
        branch: BranchNumber | None = None,
    ) -> Created:
        read = await self._read_tree(user_id, conversation_id, at)
        if at is not None and read.place is None:
            raise MessageNotFoundError(at)
        _, path = read.tree.fork_path(branch, read.place)
        if at is not None and read.place is not None and not contains(path, read.place):
            raise MessageNotFoundError(at)
        source = await self.conversations.get(user_id, conversation_id)
        forked_from = str(source.id)
        try:
            rows = await self._engine.fetch(
                FORK,
                **conversation_values(new),
                source=conversation_id,
                forked_from=forked_from,
                lows=[str(each.first) for each in path],
                highs=[str(each.last) for each in path],
            )
        except asyncpg.UniqueViolationError as error:
            return await self._recall_fork(
                user_id, new, forked_from, (conversation_id, path), error
            )
        except asyncpg.ForeignKeyViolationError:  # the user has just been erased
            rows = []
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        made = new._replace(
            message_count=row["message_count"],
            forked_from=ForkedFrom(forked_from, row["forked_at"]),
        )
        return Created(made, (), created=True)

    async def _recall_fork(
        self,
        user_id: UserId,
        new: Conversation,
        forked_from: str,
        place: tuple[ConversationId, tuple[Range, ...]],
        error: Exception,
    ) -> Created:
        """Return an earlier, equal fork. Raises `ConversationIdTakenError`."""
        try:
            there = await self.conversations.get(user_id, new.id)
        except ConversationNotFoundError as gone:
            raise GoneError from gone
        source, path = place
        [end] = await self.ends(user_id, source, [path], Order.DESC)
        expected = ForkedFrom(forked_from, None if end is None else str(end[1]))
        if there.forked_from != expected or not same_id(there.id, new.id):
            raise ConversationIdTakenError(new.id) from error
        return Created(there, (), created=False)


def _branch_values(new: Conversation, tree: Tree | None, first: int) -> dict[str, Any]:
    """Return the values for the branches of a new conversation, and for where it was forked."""
    moved = None if tree is None else tree.moved(first - 1)
    changed = [] if moved is None else moved.changed_from(None)
    paths = {} if moved is None else stored_paths(moved, changed, {})
    forked_from = new.forked_from
    return {
        **branch_arrays(changed, paths),
        "branch": None if tree is None else tree.current,
        "forked_from": forked_from and forked_from.conversation_id,
        "forked_at": forked_from and forked_from.message_id,
    }
