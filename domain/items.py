"""The items of a conversation, as OpenAI's Conversations API knows them.

An item is a JSON object. It is stored as the text it was sent as, for models are handed it again;
messages, calls of functions and their outputs are ordinary messages besides.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NewType
from uuid import UUID

from chatkeep.domain.errors import ItemIdTakenError
from chatkeep.domain.model import NewMessage, Position

ItemId = NewType("ItemId", str)

ItemText = NewType("ItemText", str)
"""A JSON object, well-formed and without half surrogate pairs, with escapes as its author set."""

MAX_ITEM_ID_CHARS: Final = 255
MAX_KEY_CHARS: Final = 255

_OF_A_MESSAGE: Final = re.compile(r"(?:msg|fc|fco|ctc|ctco)_([0-9a-f]{32})(?:_[0-9]{1,9})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """An item as it stands in its conversation. Those of one message have its position."""

    id: ItemId
    text: ItemText
    position: Position
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class NewItem:
    """An item to store.

    `message` is what it is natively, with its id; None for an item that is no message. `minted`:
    its id was made here; for a message it follows from the message's (`message_id_in`).
    """

    id: ItemId
    minted: bool
    text: ItemText
    message: NewMessage | None

    def stored(self, position: Position, at: datetime) -> Item:
        return Item(id=self.id, text=self.text, position=position, created_at=at)


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An `Idempotency-Key`, and a digest of the request that it was first sent with."""

    key: str
    digest: str


def is_item_id(text: str) -> bool:
    """Whether an item may have this id: Unicode without NUL, of a length that is allowed."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text) <= MAX_ITEM_ID_CHARS and "\x00" not in text


def message_id_in(item_id: ItemId) -> UUID | None:
    """Return the id of the message that an item of this id belongs to, unless it was given it."""
    found = _OF_A_MESSAGE.fullmatch(item_id)
    return UUID(found[1]) if found else None


def given_ids(items: Sequence[NewItem]) -> list[ItemId]:
    """Return the ids that were not made here. Raises `ItemIdTakenError` when one comes twice."""
    ids = [item.id for item in items if not item.minted]
    [(id_, times)] = Counter(ids).most_common(1) or [(ItemId(""), 0)]
    if times > 1:
        raise ItemIdTakenError(id_)
    return ids
