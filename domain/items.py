"""The items of a conversation, as OpenAI's Conversations API knows them.

An item is a JSON object. It is stored as the text it was sent as, for models are handed it again;
messages, calls of functions and their outputs are ordinary messages besides.
"""

import re
from datetime import datetime
from typing import Final, NamedTuple, NewType
from uuid import UUID

from chatkeep.domain.model import Position

ItemId = NewType("ItemId", str)

ItemText = NewType("ItemText", str)
"""A JSON object, well-formed and without half surrogate pairs, with escapes as its author set."""

MAX_ITEM_ID_CHARS: Final = 255
MAX_KEY_CHARS: Final = 255

_OF_A_MESSAGE: Final = re.compile(r"(?:msg|fc|fco|ctc|ctco)_([0-9a-f]{32})(?:_[0-9]{1,9})?")


class Item(NamedTuple):
    """An item as it is in its conversation. Those of one message have its position."""

    id: ItemId
    text: ItemText
    position: Position
    created_at: datetime


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
