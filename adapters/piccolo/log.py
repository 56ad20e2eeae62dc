"""The log of conversations on Postgres: each call is one statement, one round trip.

Only if a call cannot be done as requested, a second statement finds out why (`log_repeats.py`). An
append first locks its conversation's row by updating it: that decides the order.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import takewhile

import asyncpg

from chatkeep.adapters.piccolo.branches import TRIES, crowded, pause
from chatkeep.adapters.piccolo.engine import was_repeated
from chatkeep.adapters.piccolo.log_append_statements import (
    APPEND_ITEMS,
    APPEND_ITEMS_WITH_IDS,
    APPEND_ITEMS_WITH_KEY,
    APPEND_MIXED,
    APPEND_PLACED,
    APPEND_PLAIN,
    APPEND_WHOLE,
)
from chatkeep.adapters.piccolo.log_creating import LogCreating
from chatkeep.adapters.piccolo.log_values import (
    entry_arrays,
    have_items,
    is_of_items,
    most_bytes,
    place_values,
    sought_values,
    stored_at,
)
from chatkeep.adapters.piccolo.page_reader import are_withheld
from chatkeep.adapters.piccolo.races import repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    ITEM_MESSAGE_COLUMNS,
    MESSAGE_TYPES,
    Row,
    are_plain,
    message_arrays,
    message_values,
    to_whole_message,
)
from chatkeep.adapters.piccolo.tree_rows import ReadTree
from chatkeep.adapters.piccolo.window_reader import parts_of, share_of_end
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    MessageNotFoundError,
    RevisionConflictError,
)
from chatkeep.domain.log import (
    Appended,
    Entry,
    NewEntry,
    RequestKey,
    item_ids_given,
    messages_in,
    messages_of,
)
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    UserId,
    is_opening,
)
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import Place
from chatkeep.domain.revisions import revision_after
from chatkeep.domain.window import MAX_HEAD, Window, for_window, latest_start


class PiccoloLog(LogCreating):
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


def _appended(stored: tuple[Entry, ...], row: Row) -> Appended:
    return Appended(stored, row["message_count"], None, row["revision"], row["branch"])
