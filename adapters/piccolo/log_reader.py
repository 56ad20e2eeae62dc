"""Reads the log of conversations on Postgres: each call is one statement, one round trip.

Only large entries need a second statement (`bounds.py`).
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from chatkeep.adapters.piccolo.branches import Known, PiccoloBranches
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_entries import TO_ENTRY
from chatkeep.adapters.piccolo.log_pages import (
    AT,
    FIND,
    ITEM,
    MESSAGES,
    PAGE,
    PATH_PAGE,
    PATH_WINDOW,
)
from chatkeep.adapters.piccolo.log_statements import CALLS_BEFORE, COUNT, GET, GET_WHOLE, WINDOW
from chatkeep.adapters.piccolo.log_values import bound_values
from chatkeep.adapters.piccolo.rows import Row, from_text, to_message, to_text, to_whole_message
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.context import MAX_HEAD, Window, most_counted
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    ItemNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.items import ItemId, is_item_id, message_id_in
from chatkeep.domain.log import Appended, Bounds, Entry, LogPage, View
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    Message,
    MessageId,
    Order,
    Position,
    UserId,
)
from chatkeep.domain.pages import NO_BOUND, count_fitting

CALLS_WITHIN: Final = 200
"""The messages before a page that are searched for the calls that its results answer."""


class LogReader(PiccoloBranches):
    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._branched = Known()
        self.conversations = PiccoloConversations(engine)

    async def page(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        branch: BranchNumber | None = None,
        max_bytes: int = NO_BOUND,
    ) -> LogPage:
        kind, values = bound_values(bounds)
        if bounds.past_item is not None and not is_item_id(bounds.past_item):
            await self.conversations.get(user_id, conversation_id)
            raise ItemNotFoundError(bounds.past_item)
        # The entry of the item may come again.
        most = limit + (values.get("in_message") is not None)
        share = max_bytes // most
        values |= {
            "conversation_id": conversation_id,
            "user_id": user_id,
            "limit": most + 1,
            "share": share,
        }
        key = (view, order, kind)
        rows = await self._read(branch, PAGE[key], PATH_PAGE[key], values)
        _check_found(bounds, kind, rows[0])
        # A conversation without entries gives one empty row.
        found = rows if rows[0]["position"] is not None else []
        again = int(bool(found) and kind == ITEM and rows[0]["position"] == rows[0]["place"])
        page = found[: limit + again]
        if are_withheld(page, share):
            page = page[: again + count_fitting((row["bytes"] for row in page[again:]), max_bytes)]
        more = len(page) < len(found)
        whole = await self._whole(user_id, conversation_id, page, share, view)
        if more and len(whole) <= again:  # the entries of this page have just been deleted
            return await self.page(
                user_id,
                conversation_id,
                bounds,
                view=view,
                order=order,
                limit=limit,
                branch=branch,
                max_bytes=max_bytes,
            )
        to_entry = TO_ENTRY[view]
        entries = [to_entry(row, conversation_id) for row in whole]
        return LogPage(entries, more, rows[0]["revision"])

    async def window(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        limit: int,
        branch: BranchNumber | None = None,
        max_bytes: int = NO_BOUND,
    ) -> Window:
        share = share_of_end(max_bytes, limit)
        values = {
            "conversation_id": conversation_id,
            "user_id": user_id,
            "limit": limit,
            "share": share,
        }
        rows = await self._read(branch, WINDOW, PATH_WINDOW, values)
        opening: Sequence[Row] = [row for row in rows if row["opening"]]
        latest: Sequence[Row] = [row for row in rows if row["opening"] is False]
        if are_withheld(rows, share):
            half = max_bytes // 2
            opening = opening[: count_fitting((row["bytes"] for row in opening), half, least=0)]
            latest = latest[-count_fitting((row["bytes"] for row in reversed(latest)), half) :]
            opening = await self._whole(user_id, conversation_id, opening, share, View.ORIGINALS)
            latest = await self._whole(user_id, conversation_id, latest, share, View.ORIGINALS)
        return Window.of(
            [to_whole_message(row, conversation_id) for row in opening],
            [to_whole_message(row, conversation_id) for row in latest],
            limit=limit,
            message_count=rows[0]["message_count"],
            revision=rows[0]["revision"],
        )

    async def get(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        message_id: MessageId,
        *,
        original: bool = False,
    ) -> Message:
        statement = GET_WHOLE if original else GET
        rows = await self._engine.fetch(
            statement, conversation_id=conversation_id, user_id=user_id, message_id=message_id
        )
        if not rows:
            raise MessageNotFoundError(message_id)
        to_one = to_whole_message if original else to_message
        return to_one(rows[0], conversation_id)

    async def find(
        self, user_id: UserId, conversation_id: ConversationId, item_id: ItemId
    ) -> Sequence[Entry]:
        if not is_item_id(item_id):  # Postgres would refuse the parameter
            return ()
        rows = await self._engine.fetch(
            FIND,
            conversation_id=conversation_id,
            user_id=user_id,
            item_id=item_id,
            in_message=message_id_in(item_id),
        )
        return [TO_ENTRY[View.ITEMS](row, conversation_id) for row in rows]

    async def calls_before(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        position: Position,
        call_ids: Collection[str],
    ) -> Mapping[str, bool]:
        rows = await self._engine.fetch(
            CALLS_BEFORE,
            conversation_id=conversation_id,
            user_id=user_id,
            position=position,
            ids=[to_text(call_id) for call_id in call_ids],
            limit=CALLS_WITHIN,
        )
        return {from_text(row["id"]): row["is_custom"] for row in rows}

    async def between(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        first: Position,
        last: Position,
        view: View,
    ) -> tuple[Entry, ...]:
        """Return the entries from one position to another, both included, oldest first."""
        rows = await self._engine.fetch(
            AT[view],
            conversation_id=conversation_id,
            user_id=user_id,
            positions=[str(position) for position in range(first, last + 1)],
        )
        return tuple(TO_ENTRY[view](row, conversation_id) for row in rows)

    async def counters(self, user_id: UserId, conversation_id: ConversationId) -> tuple[int, int]:
        """Return the conversation's number of messages, and its revision."""
        found = await self.appended_before(user_id, conversation_id, ())
        return found.message_count, found.revision

    async def appended_before(
        self, user_id: UserId, conversation_id: ConversationId, entries: tuple[Entry, ...]
    ) -> Appended:
        """Return the result of an append that stored these entries earlier."""
        rows = await self._engine.fetch(COUNT, conversation_id=conversation_id, user_id=user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        [row] = rows
        branch = row["branch"]
        if branch is not None and entries:
            tree = await self.tree(user_id, conversation_id)
            branch = tree.writer(entries[0].position)
        return Appended(entries, row["message_count"], None, row["revision"], branch)

    async def _read(
        self,
        branch: BranchNumber | None,
        whole: Statement,
        path: Statement,
        values: Mapping[str, Any],
    ) -> Sequence[Row]:
        """Return the rows of a branch: with `whole` if there are no branches, else with `path`."""
        conversation_id = values["conversation_id"]
        every = {"whole": branch == EVERY} if "whole" in whole.parameters else {}
        if branch == EVERY or (branch is None and not self._branched.has(conversation_id)):
            rows = await self._engine.fetch(whole, **values, **every)
            if not rows:
                raise ConversationNotFoundError(conversation_id)
            if branch == EVERY or rows[0]["branch"] is None:
                return rows
            self._branched.add(conversation_id)
        most = {"most": most_counted(values["limit"])} if "most" in path.parameters else {}
        rows = await self._engine.fetch(path, **values, **most, branch=branch)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        if rows[0]["is_there"]:
            return rows
        if branch in {None, MAIN}:  # perhaps there are no branches
            rows = await self._engine.fetch(whole, **values, **every)
            if rows and rows[0]["branch"] is None:
                return rows
        raise BranchNotFoundError(branch or MAIN)

    async def _whole(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        rows: Sequence[Row],
        share: int,
        view: View,
    ) -> Sequence[Row]:
        """Return the rows, now with the texts that were withheld.

        Rows that were deleted meanwhile are left out.
        """
        large = [str(row["position"]) for row in rows if row["bytes"] > share]
        if not large:
            return rows
        found = await self._engine.fetch(
            AT[view], conversation_id=conversation_id, user_id=user_id, positions=large
        )
        whole = {row["position"]: row for row in rows if row["bytes"] <= share}
        whole |= {row["position"]: row for row in found}
        return [whole[row["position"]] for row in rows if row["position"] in whole]


def share_of_end(max_bytes: int, limit: int, added: int = 0) -> int:
    """Return the size in bytes that each message of a window may have for all to fit."""
    return max(0, max_bytes // 2 - added) // max(limit, MAX_HEAD)


def are_withheld(rows: Sequence[Row], share: int) -> bool:
    return any(row["bytes"] > share for row in rows if row["bytes"] is not None)


def _check_found(bounds: Bounds, kind: str, row: Row) -> None:
    """Raise `MessageNotFoundError` or `ItemNotFoundError` if a bound is not in the conversation."""
    if kind == ITEM and bounds.past_item is not None and row["place"] is None:
        raise ItemNotFoundError(bounds.past_item)
    if kind == MESSAGES:
        for message_id, position in (
            (bounds.after_message, row["after"]),
            (bounds.before_message, row["before"]),
        ):
            if message_id is not None and position is None:
                raise MessageNotFoundError(message_id)
