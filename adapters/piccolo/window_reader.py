"""Reads windows of conversations on Postgres: each is one statement, unless it is large."""

from collections.abc import Sequence
from typing import Final

from chatkeep.adapters.piccolo.page_reader import PageReader, are_withheld
from chatkeep.adapters.piccolo.path_statements import (
    DEEP_WINDOW,
    PATH_WINDOW,
)
from chatkeep.adapters.piccolo.rows import Row, starts_context, to_whole_message
from chatkeep.adapters.piccolo.window_statements import LATEST, OPENING, WINDOW
from chatkeep.domain.log import View
from chatkeep.domain.model import BranchNumber, ConversationId, UserId
from chatkeep.domain.pages import NO_BOUND, count_fitting
from chatkeep.domain.window import MAX_HEAD, Start, Window

_OWN_ROWS: Final = MAX_HEAD + 1
"""The most rows of a window that are not the latest: the opening ones, and the start."""


class WindowReader(PageReader):
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
        rows = await self._read(branch, WINDOW, (PATH_WINDOW, DEEP_WINDOW), values)
        opening, latest, own = parts_of(rows)
        is_counted = "message_count" in rows[0]
        if rows[0].get("has_start") and not (
            is_counted and any(map(starts_context, latest)) and not are_withheld(rows, share)
        ):
            # The context starts further back, or what is before its start must be counted.
            self._started.add(conversation_id)
            rows = await self._path(DEEP_WINDOW, branch, values)
            opening, latest, own = parts_of(rows)
            is_counted = False
        others, shown = latest[:-limit], latest[-limit:]
        part = own[0]["part"] if own else 0
        if are_withheld(rows, share):
            half = max_bytes // 2
            first = [row["bytes"] for row in (*own, *opening)]
            opening = opening[: count_fitting(first, half, least=len(own)) - len(own)]
            fitting = count_fitting((row["bytes"] for row in reversed(shown)), half)
            others, shown = [*others, *shown[:-fitting]], shown[-fitting:]
            own = await self._whole(user_id, conversation_id, own, share, View.ORIGINALS)
            opening = await self._whole(user_id, conversation_id, opening, share, View.ORIGINALS)
            shown = await self._whole(user_id, conversation_id, shown, share, View.ORIGINALS)
        latest_messages = [to_whole_message(row, conversation_id) for row in shown]
        opening_messages = [to_whole_message(row, conversation_id) for row in opening]
        if is_counted:
            return Window.of(
                opening_messages,
                latest_messages,
                limit=limit,
                message_count=rows[0]["message_count"],
                revision=rows[0]["revision"],
            )
        start = None
        if own:
            message = to_whole_message(own[0], conversation_id)
            behind = any(row["position"] > message.position for row in others)
            start = Start(message, part // 2, is_apart=behind or part % 2 == 1)
        elif branch is None and not self._branched.has(conversation_id):
            self._started.discard(conversation_id)
        return Window.of_branch(
            opening_messages,
            latest_messages,
            before=others[-1]["position"] if others else None,
            revision=rows[0]["revision"],
            start=start,
        )


def share_of_end(max_bytes: int, limit: int, added: int = 0) -> int:
    """Return the size in bytes that each message of a window may have for all to fit."""
    return max(0, max_bytes // 2 - added) // max(limit, _OWN_ROWS)


def parts_of(rows: Sequence[Row]) -> tuple[Sequence[Row], Sequence[Row], Sequence[Row]]:
    """Return the opening rows of a window, the latest ones, and the one where a context starts."""
    opening = [row for row in rows if row["part"] == OPENING]
    latest = [row for row in rows if row["part"] == LATEST]
    if len(opening) + len(latest) == len(rows):
        return opening, latest, ()
    return opening, latest, [row for row in rows if row["part"] is not None and row["part"] >= 0]
