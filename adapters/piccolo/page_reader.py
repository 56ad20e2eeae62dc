"""Reads pages and windows of conversations on Postgres: each call is one statement.

Only large entries need a second statement (`bounds.py`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from chatkeep.adapters.piccolo.branches import PiccoloBranches, message_id_of
from chatkeep.adapters.piccolo.conversations import PiccoloConversations
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.known import Known
from chatkeep.adapters.piccolo.log_entries import TO_ENTRY
from chatkeep.adapters.piccolo.log_pages import AT, ITEM, MESSAGES, PAGE
from chatkeep.adapters.piccolo.log_values import bound_values
from chatkeep.adapters.piccolo.path_statements import (
    BRANCH_PAGE,
    DEEP_PAGE,
    PATH_PAGE,
)
from chatkeep.adapters.piccolo.rows import Row, id_of, to_message, to_whole_message
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.window_statements import WINDOW
from chatkeep.domain.branch_pages import BranchLogPage, BranchMessage
from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.errors import (
    BranchNotFoundError,
    ConversationNotFoundError,
    ItemNotFoundError,
    MessageNotFoundError,
)
from chatkeep.domain.items import is_item_id
from chatkeep.domain.log import Bounds, LogPage, View
from chatkeep.domain.model import BranchNumber, ConversationId, Order, UserId
from chatkeep.domain.pages import NO_BOUND, count_fitting


class _Rows(NamedTuple):
    """The rows of a page, complete. `first` has what is said of all; `next` is the row behind."""

    first: Row
    rows: Sequence[Row]
    next: Row | None


class PageReader(PiccoloBranches):
    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._branched, self._deep, self._started = Known(), Known(), Known()
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
        found = await self._page(
            user_id, conversation_id, bounds, view, order, limit, branch, max_bytes
        )
        to_entry = TO_ENTRY[view]
        entries = [to_entry(row, conversation_id) for row in found.rows]
        return LogPage(entries, found.next is not None, found.first["revision"])

    async def branch_page(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        *,
        view: View,
        order: Order,
        limit: int,
        branch: BranchNumber,
        max_bytes: int = NO_BOUND,
    ) -> BranchLogPage:
        found = await self._page(
            user_id, conversation_id, bounds, view, order, limit, branch, max_bytes, written=True
        )
        to_one = to_whole_message if view is View.ORIGINALS else to_message
        messages = [to_one(row, conversation_id) for row in found.rows]
        ids = [message.id for message in messages]
        before = None
        if order is Order.DESC and found.next is not None:
            before = id_of(found.next)
        elif found.first["earlier_id"] is not None:
            before = message_id_of(found.first["earlier_id"], found.first["earlier_text"])
        parents = [before, *ids[:-1]] if order is Order.ASC else [*ids[1:], before]
        writers = [row["writer"] for row in found.rows]
        items = [*map(BranchMessage, messages, parents, writers)]
        return BranchLogPage(items, found.next is not None, found.first["revision"])

    async def _page(  # noqa: PLR0913, PLR0917 - as `page`
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        bounds: Bounds,
        view: View,
        order: Order,
        limit: int,
        branch: BranchNumber | None,
        max_bytes: int,
        *,
        written: bool = False,
    ) -> _Rows:
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
        ways = (BRANCH_PAGE[key],) if written else (PATH_PAGE[key], DEEP_PAGE[key])
        rows = await self._read(branch, PAGE[key], ways, values)
        first = rows[0]
        _check_found(bounds, kind, first)
        # A conversation without entries gives one empty row.
        found = rows if first["position"] is not None else []
        again = int(bool(found) and kind == ITEM and first["position"] == first["place"])
        page = found[: limit + again]
        if are_withheld(page, share):
            page = page[: again + count_fitting((row["bytes"] for row in page[again:]), max_bytes)]
        behind = found[len(page)] if len(page) < len(found) else None
        whole = await self._whole(user_id, conversation_id, page, share, view)
        if behind is not None and len(whole) <= again:  # the entries have just been deleted
            return await self._page(
                user_id,
                conversation_id,
                bounds,
                view,
                order,
                limit,
                branch,
                max_bytes,
                written=written,
            )
        return _Rows(first, whole, behind)

    async def _read(
        self,
        branch: BranchNumber | None,
        whole: Statement,
        ways: Sequence[Statement],
        values: Mapping[str, Any],
    ) -> Sequence[Row]:
        """Return the rows of a branch.

        With `whole` if there are no branches, else with the first of the `ways`; if its path is not
        stored, or a context starts further back than its window, with the last.
        """
        conversation_id = values["conversation_id"]
        is_started = whole is WINDOW and self._started.has(conversation_id)
        is_path = is_started or self._branched.has(conversation_id)
        is_guess = branch is None and not is_path
        if branch == EVERY or is_guess:
            every = {"whole": branch == EVERY} if "whole" in whole.parameters else {}
            rows = await self._engine.fetch(whole, **values, **every)
            if rows:
                return rows
            if branch == EVERY:
                raise ConversationNotFoundError(conversation_id)
        way = ways[-1 if is_started or self._deep.has(conversation_id) else 0]
        path = await self._path(way, branch, values)
        if is_guess:
            self._branched.add(conversation_id)
        if path[0]["is_deep"] and way is not ways[-1]:
            self._deep.add(conversation_id)
            return await self._path(ways[-1], branch, values)
        return path

    async def _path(
        self, way: Statement, branch: BranchNumber | None, values: Mapping[str, Any]
    ) -> Sequence[Row]:
        """Return the rows of a statement of `path_statements`, at least one."""
        rows = await self._engine.fetch(way, **values, branch=branch)
        if not rows:
            raise ConversationNotFoundError(values["conversation_id"])
        if not rows[0]["is_there"]:
            raise BranchNotFoundError(branch or MAIN)
        return rows

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
