"""The log of conversations on Postgres: each call is one statement, one round trip.

Only if a call cannot be done as requested, a second statement finds out why (`log_repeats.py`). An
append first locks its conversation's row by updating it: that decides the order.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile
from typing import Any

import asyncpg

from chatkeep.adapters.piccolo.branches import TRIES, ReadTree, branch_arrays, crowded, pause
from chatkeep.adapters.piccolo.conversations import explain_unprovisioned
from chatkeep.adapters.piccolo.engine import was_repeated
from chatkeep.adapters.piccolo.fork_statements import FORK
from chatkeep.adapters.piccolo.log_changes import LogChanges
from chatkeep.adapters.piccolo.log_statements import (
    APPEND_ITEMS,
    APPEND_ITEMS_WITH_IDS,
    APPEND_ITEMS_WITH_KEY,
    APPEND_MIXED,
    APPEND_PLACED,
    APPEND_PLAIN,
    APPEND_WHOLE,
    CREATE,
    CREATE_WHOLE,
    CREATE_WITH_BRANCHES,
    CREATE_WITH_ITEMS,
)
from chatkeep.adapters.piccolo.log_values import (
    entry_arrays,
    have_items,
    is_of_items,
    most_bytes,
    place_values,
    sought_values,
    stored_at,
)
from chatkeep.adapters.piccolo.page_reader import (
    are_withheld,
    parts_of,
    share_of_end,
)
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    ITEM_MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    PLAIN_COLUMNS,
    Row,
    are_plain,
    conversation_values,
    message_arrays,
    message_values,
    to_whole_message,
)
from chatkeep.adapters.piccolo.stored_paths import stored_paths
from chatkeep.adapters.piccolo.users import NO_USER, is_about_user, may_be_of_users
from chatkeep.domain.branches import Place, Range, Tree, contains
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationIdTakenError,
    ConversationNotFoundError,
    DatabaseRuleError,
    MessageNotFoundError,
    RevisionConflictError,
)
from chatkeep.domain.ids import same_id
from chatkeep.domain.log import (
    Appended,
    Created,
    Entry,
    NewEntry,
    RequestKey,
    item_ids_given,
    messages_in,
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
    is_opening,
)
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.revisions import revision_after
from chatkeep.domain.window import MAX_HEAD, Window, for_window, latest_start


class PiccoloLog(LogChanges):
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
    async def append(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        *,
        key: RequestKey | None = None,
        expected: int | None = None,
        window: int | None = None,
        place: Place | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Appended:
        if place is not None:
            appended = await self._append_placed(
                user_id, conversation_id, entries, at, key, expected, place
            )
            if window is None:
                return appended
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return replace(appended, window=ends)
        if key is None and expected is None and not have_items(entries):
            return await self._append_messages(
                user_id, conversation_id, entries, at, window, max_bytes
            )
        appended = await self._append_items(user_id, conversation_id, entries, at, key, expected)
        if window is None:
            return appended
        ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
        return replace(appended, window=ends)

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

    async def _append_messages(  # noqa: PLR0913, PLR0917 - as `append`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        window: int | None,
        max_bytes: int,
    ) -> Appended:
        messages = messages_of(entries)
        values = place_values(user_id, conversation_id, len(messages), len(messages), at)
        one = len(messages) == 1
        append = APPEND_PLAIN if are_plain(messages) else APPEND_WHOLE
        values |= (
            message_values(messages[0], append.columns)
            if one
            else message_arrays(messages, append.columns)
        )
        share = 0
        try:
            if window is None:
                rows = await self._engine.fetch(append.one if one else append.many, **values)
            else:
                share = share_of_end(max_bytes, window, most_bytes(entries, originals=False))
                statement = append.one_window if one else append.many_window
                rows = await self._engine.fetch(statement, **values, limit=window, share=share)
        except asyncpg.UniqueViolationError:
            return await self._repeats.recall_messages(
                user_id, conversation_id, entries, window, max_bytes
            )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        count: int = rows[0]["message_count"]
        revision: int = rows[0]["revision"]
        branch: BranchNumber | None = rows[0]["branch"]
        added = stored_at(entries, conversation_id, rows[0]["first"], at)
        if window is None:
            return Appended(added, count, None, revision, branch)
        is_outdated = rows[0]["count_before"] != count - len(messages)
        if is_outdated or branch is not None or are_withheld(rows, share):
            # Another append came between the snapshot and the lock, and its messages were not read;
            # or there are branches, or some messages are so large that not all may fit.
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return Appended(added, count, ends, revision, branch)
        said = [for_window(message) for message in messages_in(added)]
        opening_rows, latest_rows, _ = parts_of(rows)
        opening = [to_whole_message(row, conversation_id) for row in opening_rows]
        if len(opening) == rows[0]["count_before"]:
            opening += takewhile(is_opening, said)  # all messages before are opening ones
        latest = [*(to_whole_message(row, conversation_id) for row in latest_rows), *said]
        if rows[0]["has_start"] and latest_start(latest[-window:]) is None:  # it is further back
            ends = await self.window(user_id, conversation_id, limit=window, max_bytes=max_bytes)
            return Appended(added, count, ends, revision, branch)
        ends = Window.of(
            opening[:MAX_HEAD],
            latest,
            limit=window,
            message_count=count,
            revision=revision,
        )
        return Appended(added, count, ends, revision, branch)

    async def _append_items(  # noqa: PLR0913, PLR0917 - as `append`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        key: RequestKey | None,
        expected: int | None,
    ) -> Appended:
        given = item_ids_given(entries)
        messages = sum(entry.message is not None for entry in entries)
        values = place_values(user_id, conversation_id, messages, len(entries), at)
        is_mixed = expected is not None or not is_of_items(entries)
        values |= entry_arrays(entries, MESSAGE_TYPES if is_mixed else ITEM_MESSAGE_COLUMNS)
        try:
            if is_mixed:
                values |= sought_values(given)
                rows, again = await self._engine.fetch_noting(
                    APPEND_MIXED,
                    **values,
                    key=key and key.key,
                    digest=key and key.digest,
                    expected=expected,
                )
            elif key is not None:
                values |= sought_values(given)
                rows, again = await self._engine.fetch_noting(
                    APPEND_ITEMS_WITH_KEY, **values, key=key.key, digest=key.digest
                )
            elif given:
                rows, again = await self._engine.fetch_noting(
                    APPEND_ITEMS_WITH_IDS, **values, **sought_values(given)
                )
            else:
                rows, again = await self._engine.fetch_noting(APPEND_ITEMS, **values)
        except asyncpg.UniqueViolationError as error:
            rows, again = [], was_repeated(error)
        if rows:
            stored = stored_at(entries, conversation_id, rows[0]["first"], at)
            return _appended(stored, rows[0])
        before = await self._repeats.recall_entries(
            user_id, conversation_id, entries, at, key, expected, again=again
        )
        stored_before = await self.appended_before(user_id, conversation_id, before)
        revision = revision_after(stored_before.revision, expected)
        return replace(stored_before, revision=revision)

    async def _append_placed(  # noqa: PLR0913, PLR0917 - as `append`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        entries: Sequence[NewEntry],
        at: datetime,
        key: RequestKey | None,
        expected: int | None,
        place: Place,
    ) -> Appended:
        messages = sum(entry.message is not None for entry in entries)
        values = place_values(user_id, conversation_id, messages, len(entries), at)
        values |= entry_arrays(entries) | sought_values(item_ids_given(entries))
        values |= {"key": key and key.key, "digest": key and key.digest}
        refused: ReadTree | None = None
        is_again = False
        for attempt in range(TRIES):
            try:
                read, tree = await self.find_place(user_id, conversation_id, place, at)
                if read == refused:  # nothing has changed, so an id or the key is taken
                    break
                read.check(expected)
                rows, again = await self._engine.fetch_noting(
                    APPEND_PLACED, **values, **read.saved_by_append(tree)
                )
                is_again = is_again or again
            except asyncpg.UniqueViolationError as error:
                is_again = is_again or was_repeated(error)
                break
            except (MessageNotFoundError, BranchNotFoundError, RevisionConflictError):
                if await self._repeats.is_stored(user_id, conversation_id, entries, key):
                    break
                raise
            if rows:
                return _appended(stored_at(entries, conversation_id, rows[0]["first"], at), rows[0])
            refused = read
            await pause(attempt)
        else:
            raise crowded()
        if key is None and not have_items(entries):
            before = await self._repeats.recall_messages(
                user_id, conversation_id, entries, None, NO_BOUND
            )
        else:
            stored = await self._repeats.recall_entries(
                user_id, conversation_id, entries, at, key, None, again=is_again
            )
            before = await self.appended_before(user_id, conversation_id, stored)
        return replace(before, revision=revision_after(before.revision, expected))


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


def _appended(stored: tuple[Entry, ...], row: Row) -> Appended:
    return Appended(stored, row["message_count"], None, row["revision"], row["branch"])
