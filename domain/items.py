"""The items of OpenAI's Conversations API.

An item is a JSON object. Its text is stored as it was sent, since models get it again. Items that
are messages, function calls or their outputs are also stored as ordinary messages.
"""

import re
from datetime import datetime
from typing import Final, NamedTuple, NewType
from uuid import UUID

from chatkeep.domain.model import Position

ItemId = NewType("ItemId", str)

ItemText = NewType("ItemText", str)
"""A JSON object, well-formed and without unpaired surrogates, with the escapes of its author."""

MAX_ITEM_ID_CHARS: Final = 255
MAX_KEY_CHARS: Final = 255

_OF_A_MESSAGE: Final = re.compile(r"(?:msg|fc|fco|ctc|ctco)_([0-9a-f]{32})(?:_[0-9]{1,9})?")


class Item(NamedTuple):
    """An item in its conversation. The items of one message share its position."""

    id: ItemId
    text: ItemText
    position: Position
    created_at: datetime


def is_item_id(text: str) -> bool:
    """Return whether an item may have this id: Unicode without NUL, of at most 255 characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return 0 < len(text) <= MAX_ITEM_ID_CHARS and "\x00" not in text


def message_id_in(item_id: ItemId) -> UUID | None:
    """Return the message id in a generated item id; None if the client chose the id."""
    found = _OF_A_MESSAGE.fullmatch(item_id)
    return UUID(found[1]) if found else None
