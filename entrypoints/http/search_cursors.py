"""The cursors of searches. Each knows its query by a checksum, since the query may be long."""

from uuid import UUID
from zlib import crc32

import msgspec

from chatkeep.domain.model import LAST_POSITION, ConversationId, Position
from chatkeep.domain.search import SearchPlace
from chatkeep.entrypoints.http import cursors


class _SearchCursor(msgspec.Struct, array_like=True, frozen=True, tag="search"):
    """The start of the next page of a search."""

    position: int
    id: UUID
    is_title: bool
    search: int


def encode(after: SearchPlace, query: str, *, grouped: bool) -> str:
    search = _checksum(query, grouped=grouped)
    its_id = UUID(int=after.conversation_id.int)
    return cursors.encode(_SearchCursor(after.position, its_id, after.is_title, search))


def decode(text: str, query: str, *, grouped: bool) -> SearchPlace:
    """Return the place that `encode` wrote for this search. Raises `InvalidValueError`."""
    cursor = cursors.decode(text, _SearchCursor)
    if not 0 <= cursor.position <= LAST_POSITION:
        raise cursors.unknown_cursor()
    cursors.check_agrees("q", _checksum(query, grouped=grouped), cursor.search)
    return SearchPlace(Position(cursor.position), ConversationId(cursor.id), cursor.is_title)


def _checksum(query: str, *, grouped: bool) -> int:
    return crc32(query.encode("utf-8", "surrogatepass"), int(grouped))
