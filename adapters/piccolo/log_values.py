"""The values that statements of the log are given, and how large entries may be."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from chatkeep.adapters.piccolo.log_pages import ITEM, MESSAGES, POSITIONS
from chatkeep.adapters.piccolo.rows import MESSAGE_TYPES, are_plain, message_arrays
from chatkeep.domain.items import ItemId, message_id_in
from chatkeep.domain.log import Bounds, Entry, NewEntry, messages_of
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    FIRST_POSITION,
    LAST_POSITION,
    ConversationId,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.window import NEED_ORIGINALS

_MOST_BYTES: Final = 8
"""Of a character, about: four in a text; in JSON, a digit and its comma are stored in twelve."""

_BYTES_OF_NONE: Final = 64
"""More than a message without texts has: its metadata are an object, though an empty one."""


NO_MESSAGE: Final = uuid4()
"""The id of no message. On Citus a statement that joins messages must have an id: with NULL there
is no row to look for, and so no node to ask."""


def have_items(entries: Sequence[NewEntry]) -> bool:
    return any(entry.item is not None for entry in entries)


def most_bytes(entries: Sequence[NewEntry], *, originals: bool = True) -> int:
    """Return how many bytes entries have at most when they are stored.

    Without `originals` only those count that a window has.
    """
    return sum(
        _MOST_BYTES
        * (
            len(each.content or "")
            + len(each.tool_calls or "")
            + len(each.metadata)
            + len(each.parts or "")
            + (
                len(each.original)
                if each.original and (originals or each.format in NEED_ORIGINALS)
                else 0
            )
        )
        + _BYTES_OF_NONE
        for each in messages_of(entries)
    ) + sum(_MOST_BYTES * len(each.item) + _BYTES_OF_NONE for each in entries if each.item)


def stored_at(
    entries: Sequence[NewEntry], conversation_id: ConversationId, first: int, at: datetime
) -> tuple[Entry, ...]:
    return tuple(
        entry.to_entry(conversation_id, Position(position), at)
        for position, entry in enumerate(entries, first)
    )


def place_values(
    user_id: UserId, conversation_id: ConversationId, messages: int, entries: int, at: datetime
) -> dict[str, Any]:
    """Return what gives a batch its positions."""
    return {
        "user_id": user_id,
        "conversation_id": conversation_id,
        "messages": messages,
        "entries": entries,
        "first": max(FIRST_POSITION, microseconds(at)),
        "at": at,
    }


def is_of_items(entries: Sequence[NewEntry]) -> bool:
    """Return whether no message has a field that the message of an item cannot have."""
    return all(
        each.name is None and each.metadata == EMPTY_OBJECT and each.created_at is None
        for each in messages_of(entries)
    ) and are_plain(messages_of(entries))


def entry_arrays(
    entries: Sequence[NewEntry], columns: Iterable[str] = MESSAGE_TYPES
) -> dict[str, Any]:
    """Return the values of entries by column, those of messages and those of the others."""
    numbered = [(str(n), entry) for n, entry in enumerate(entries, 1)]
    messages = [(n, entry) for n, entry in numbered if entry.message is not None]
    others = [(n, entry) for n, entry in numbered if entry.message is None]
    return {
        **message_arrays(messages_of(entries), columns),
        "item_id": [entry.own_item_id for _, entry in messages],
        "item": [entry.item for _, entry in messages],
        "n": [n for n, _ in messages],
        "other_item_id": [entry.item_id for _, entry in others],
        "other_item": [entry.item for _, entry in others],
        "other_created_at": [
            entry.created_at and entry.created_at.isoformat() for _, entry in others
        ],
        "other_n": [n for n, _ in others],
    }


def sought_values(ids: Sequence[ItemId]) -> dict[str, Any]:
    """Return item ids, and the messages that ids of their form stand for."""
    found = [message_id_in(each) for each in ids]
    return {"ids": ids, "in_messages": [each and str(each) for each in found]}


def bound_values(bounds: Bounds) -> tuple[str, dict[str, Any]]:
    """Return which statement bounds need, and their values."""
    if bounds.past_item is not None:
        in_message = message_id_in(bounds.past_item)
        return ITEM, {"past_item": bounds.past_item, "in_message": in_message}
    values: dict[str, Any] = {
        "after": FIRST_POSITION - 1 if bounds.after is None else bounds.after,
        "before": LAST_POSITION if bounds.before is None else bounds.before,
    }
    if bounds.after_message is None and bounds.before_message is None:
        return POSITIONS, values
    values["after_message"] = bounds.after_message or NO_MESSAGE
    values["before_message"] = bounds.before_message or NO_MESSAGE
    return MESSAGES, values
