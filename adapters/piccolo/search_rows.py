"""Converts the rows of searches."""

from dataclasses import replace

from chatkeep.adapters.piccolo.rows import Row, from_jsonb, from_text, text_of_parts
from chatkeep.domain.ids import with_text
from chatkeep.domain.items import ItemText
from chatkeep.domain.model import ConversationId, MessageId, Role, Status, microseconds
from chatkeep.domain.search import FoundItem, FoundMessage, Hit, Searched, SearchPlace, Wanted
from chatkeep.domain.searched_item import searched_item
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS, searched_text


def text_in(row: Row) -> str:
    """Return what is searched of the message or the item of a row."""
    if row["item"] is not None:
        return searched_item(ItemText(row["item"])).text
    content, calls = row["content"], row["tool_calls"]
    if row["parts"] is not None:
        content = text_of_parts(row["parts"])
    return searched_text(
        None if content is None else from_text(content),
        None if calls is None else from_jsonb(calls),
    )


def size_of(row: Row) -> int:
    """Return about how many characters the texts of a row have."""
    return sum(len(row[name] or "") for name in ("content", "parts", "tool_calls", "item"))


def to_entry_hit(row: Row, wanted: Wanted) -> Hit | None:
    """Return the hit if the message or the item of a row matches."""
    place = SearchPlace(row["position"], row["conversation_id"], is_title=False)
    if row["item"] is None:
        searched = _to_searched_message(row)
        return _of(row, place, _to_found(row, searched)) if wanted.matches(searched) else None
    item = searched_item(ItemText(row["item"]))
    searched = Searched(
        text=item.text,
        conversation_id=row["conversation_id"],
        title=from_text(row["title"] or ""),
        status=Status(row["status"]),
        created_at=row["created_at"],
        has_tool=item.is_of_tool,
        has_file=item.has_file,
    )
    if not wanted.matches(searched):
        return None
    found = FoundItem(row["item_id"], item.kind, row["position"], row["created_at"], item.text)
    return replace(_of(row, place, None), item=found)


def _to_searched_message(row: Row) -> Searched:
    role = Role(row["role"])
    return Searched(
        text=text_in(row),
        conversation_id=row["conversation_id"],
        title=from_text(row["title"] or ""),
        status=Status(row["status"]),
        created_at=row["created_at"],
        role=role,
        has_tool=row["tool_calls"] is not None or role is Role.TOOL,
        has_file=row["has_file"],
    )


def to_searched_title(row: Row) -> Searched:
    title = from_text(row["title"])
    return Searched(
        text=title[:MAX_SEARCHED_CHARS],
        conversation_id=row["conversation_id"],
        title=title,
        status=Status(row["status"]),
        created_at=row["updated_at"],
        is_title=True,
    )


def _to_found(row: Row, searched: Searched) -> FoundMessage:
    return FoundMessage(
        MessageId(with_text(row["id"], row["text_id"])),
        row["position"],
        Role(row["role"]),
        row["created_at"],
        searched.text,
    )


def to_title_hit(row: Row, searched: Searched) -> Hit:
    place = SearchPlace(microseconds(searched.created_at), row["conversation_id"], is_title=True)
    return _of(row, place, None)


def _of(row: Row, place: SearchPlace, message: FoundMessage | None) -> Hit:
    return Hit(
        place=place,
        conversation_id=ConversationId(
            with_text(row["conversation_id"], row["conversation_text_id"])
        ),
        title=None if row["title"] is None else from_text(row["title"]),
        branch=row["branch"],
        message=message,
    )
