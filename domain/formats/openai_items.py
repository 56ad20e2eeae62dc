"""Items of OpenAI's Conversations API, as its published specification describes them.

Items are texts: an item that is complete is stored as it was sent, to the letter.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final
from uuid import UUID

from chatkeep.domain.context import calls
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.item_parts import read_item_parts, write_item_parts
from chatkeep.domain.formats.openai_item_types import PREFIXES, complete
from chatkeep.domain.items import MAX_ITEM_ID_CHARS, Item, ItemId, ItemText, is_item_id
from chatkeep.domain.json_sources import Members, dump, members, value_of, write
from chatkeep.domain.json_values import TooManyValuesError
from chatkeep.domain.log import NewEntry
from chatkeep.domain.model import JsonText, Message, MessageId, NewMessage, Role, uuid7
from chatkeep.domain.parts import BETWEEN_TEXTS

_ROLES: Final = {role.value: role for role in Role if role is not Role.TOOL}
# Roles that only OpenAI's messages may have: an item with one is not a message here.
_FOREIGN_ROLES: Final = frozenset({"unknown", "critic", "discriminator", "tool"})
# Added members that come first in their item.
_FIRST: Final = ("id", "type")
_WITH_STATUS: Final = frozenset({"message", "function_call", "function_call_output"})
# The Agents SDK writes the last one if a model of another provider does not return an id.
_NO_IDS: Final = (None, "", "__fake_id__")

_Found = tuple[
    str, str, dict[str, object]
]  # an item's kind, its id without prefix, its other members


@dataclass(frozen=True, slots=True)
class ParsedItem:
    """A normalised item. `text(id)` is the text to store. `id` is None if the item has none.

    `message` is the item as a native message, without an id; None if it is not a message.
    """

    id: ItemId | None
    kind: str
    message: NewMessage | None
    _before_id: str
    _after_id: str
    _incomplete: str | None = None

    def text(self, id: ItemId) -> ItemText:  # noqa: A002 - the word for it
        return ItemText(f"{self._before_id}{id}{self._after_id}")

    def new(self, at: datetime) -> NewEntry:
        """Return the entry to store, with new ids if it has none."""
        uuid = uuid7(at)
        item_id = self.id or mint_id(self.kind, uuid)
        return NewEntry(
            message=self.message and self.message._replace(id=MessageId(uuid)),
            item=ItemText(self._before_id) if self.id else self.text(item_id),
            item_id=item_id,
            is_minted=self.id is None,
            is_of_item=self.message is not None,
        )

    def is_stored_as(self, item: Item) -> bool:
        """Return whether this is stored as `item`, regardless of a generated id."""
        return item.text == (self._before_id if self.id else self.text(item.id))

    def canonical(self) -> str:
        """Return the normalised item without the additions of `complete`.

        Digests of requests and exports use this text, so they stay valid if `complete` adds more.
        """
        if self._incomplete is not None:
            return self._incomplete
        return self._before_id + self._after_id


def mint_id(kind: str, uuid: UUID) -> ItemId:
    return ItemId(f"{PREFIXES.get(kind, 'item')}_{uuid.hex}")


def parse_item(text: ItemText, *, field: str) -> ParsedItem:
    """Parse an item, a JSON text, and complete it as OpenAI does.

    A missing `type` becomes `message` if there is a `role`, and `item_reference` if there is only
    an `id`. A string as a message's `content` becomes a list with that text. The `status` of
    messages, calls and outputs defaults to `completed`. `complete` adds the rest. Null and an empty
    `id` count as missing. Everything else stays unchanged and in order.
    Raises `InvalidValueError` naming the field below `field`.
    """
    try:
        return _parse(text, field)
    except RecursionError:
        raise InvalidValueError(field, "is nested too deeply") from None
    except TooManyValuesError as error:
        raise InvalidValueError(field, str(error)) from None


def _parse(text: ItemText, field: str) -> ParsedItem:
    item = members(text)
    if item is None:
        raise InvalidValueError(field, "is not a JSON object")
    item_id = _id(item, f"{field}.id")
    kind = _kind(item, field)
    message = _MESSAGES[kind](item, field) if kind in _MESSAGES else None

    changes: dict[str, str] = {}
    if value_of(item, "type") is None:
        changes["type"] = f'"{kind}"'
    if kind in _WITH_STATUS and value_of(item, "status") is None:
        changes["status"] = '"completed"'
    if kind == "message" and isinstance(value_of(item, "content"), str):
        said_by_model = value_of(item, "role") == Role.ASSISTANT
        changes["content"] = _part(item["content"].text, said_by_model=said_by_model)
    added = complete(kind, item)
    before, after = _around_id(text, item, item_id, changes | added)
    incomplete = "".join(_around_id(text, item, item_id, changes)) if added else None
    return ParsedItem(item_id, kind, message, before, after, incomplete)


def _around_id(
    text: ItemText, item: Members, item_id: ItemId | None, changes: dict[str, str]
) -> tuple[str, str]:
    """Return the item's text before and after the place of its id; all and "" if it has an id."""
    if item_id is not None:
        return write(item, changes, first=_FIRST) if changes else text, ""
    written = write(item, {"id": _ID_PLACE, **changes}, first=_FIRST)
    before, after = written.split(_ID_PLACE, 1)
    return f'{before}"', f'"{after}'


def _id(item: Members, field: str) -> ItemId | None:
    given = value_of(item, "id")
    if given in _NO_IDS:
        return None
    if not isinstance(given, str):
        raise InvalidValueError(field, "must be a string")
    if not is_item_id(given):
        raise InvalidValueError(
            field, f"must have at most {MAX_ITEM_ID_CHARS} characters, and no NUL"
        )
    return ItemId(given)


def _kind(item: Members, field: str) -> str:
    kind = value_of(item, "type")
    if kind is None:
        if value_of(item, "id") not in _NO_IDS and item.keys() <= {"id", "type"}:
            return "item_reference"
        if value_of(item, "role") is None:
            raise InvalidValueError(f"{field}.type", "is missing")
        return "message"
    if not isinstance(kind, str) or not kind:
        raise InvalidValueError(f"{field}.type", "must be a string that is not empty")
    return kind


def _message(item: Members, field: str) -> NewMessage | None:
    role = value_of(item, "role")
    if not isinstance(role, str) or not (role in _ROLES or role in _FOREIGN_ROLES):
        raise InvalidValueError(f"{field}.role", f"must be one of {', '.join(_ROLES)}")
    content = _text(item, "content", field)
    if role not in _ROLES:
        return None
    return _with_parts(NewMessage(role=_ROLES[role], content=content), item["content"].text)


def _function_call(item: Members, field: str) -> NewMessage:
    call_id, name, arguments = (
        _string(item, key, field) for key in ("call_id", "name", "arguments")
    )
    function = {"name": name, "arguments": arguments}
    call = {"id": call_id, "type": "function", "function": function}
    return NewMessage(role=Role.ASSISTANT, content=None, tool_calls=JsonText(dump([call])))


def _function_call_output(item: Members, field: str) -> NewMessage | None:
    output = _text(item, "output", field)
    if value_of(item, "call_id") is None:
        return None
    call_id = _string(item, "call_id", field)
    if not call_id:
        return None
    message = NewMessage(role=Role.TOOL, content=output, tool_call_id=call_id)
    return _with_parts(message, item["output"].text)


def _with_parts(message: NewMessage, content: str) -> NewMessage:
    """Return the message of an item with its parts, if it has more than texts."""
    found = read_item_parts(content)
    return message if found is None else message._replace(content=found.text, parts=found.parts)


_MESSAGES: Final = {
    "message": _message,
    "function_call": _function_call,
    "function_call_output": _function_call_output,
}


def _string(item: Members, key: str, field: str) -> str:
    value = value_of(item, key)
    if not isinstance(value, str):
        raise InvalidValueError(f"{field}.{key}", "must be a string")
    return value


def _text(item: Members, key: str, field: str) -> str:
    """Return the text of all parts of a content, joined."""
    content = value_of(item, key)
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not all(isinstance(part, dict) for part in content):
        raise InvalidValueError(f"{field}.{key}", "must be a string or a list of parts")
    texts = (part.get("text", part.get("refusal")) for part in content)
    return "".join(text for text in texts if isinstance(text, str))


def _part(source: str, *, said_by_model: bool) -> str:
    if said_by_model:
        return f'[{{"type":"output_text","text":{source},"annotations":[],"logprobs":[]}}]'
    return f'[{{"type":"input_text","text":{source}}}]'


# A placeholder for the id while the text around it is written. JSON never contains NUL.
_ID_PLACE: Final = "\x00"


class ItemWriter:
    """Writes messages as items. The messages must be given in order.

    `earlier` has the ids of calls in messages before the first one, and for each whether it calls a
    custom tool: OpenAI requires another kind of item for the result of a custom tool.
    """

    def __init__(self, earlier: Mapping[str, bool] = MappingProxyType({})) -> None:
        self._custom = dict(earlier)

    def write(self, message: Message) -> tuple[Item, ...]:
        """Return the items of the next message: at least one, in order.

        A text becomes a message, each tool call a call, and a tool message the output of the last
        call with its id.
        """
        if message.role is Role.TOOL:
            return _items(message, [self._output(message)])
        found: list[_Found] = []
        called = calls(message.tool_calls) if message.tool_calls is not None else []
        self._custom.update((call.id, call.is_custom) for call in called)
        parts = write_item_parts(message)
        if message.content or parts or not called:
            found.append(("message", message.id.hex, _said(message, parts)))
        for index, call in enumerate(called):
            fields: dict[str, object] = {"call_id": call.id, "name": call.name}
            if call.is_custom:
                fields["input"] = call.payload
            else:
                fields |= {"arguments": call.payload, "status": "completed"}
            kind = "custom_tool_call" if call.is_custom else "function_call"
            found.append((kind, f"{message.id.hex}_{index}", fields))
        return _items(message, found)

    def _output(self, message: Message) -> _Found:
        parts = write_item_parts(message)
        output: object = parts
        if not parts:
            output = message.content or ""
        elif all(part["type"] == "input_text" for part in parts):
            output = BETWEEN_TEXTS.join(part["text"] for part in parts)
        fields: dict[str, object] = {"call_id": message.tool_call_id, "output": output}
        if self._custom.get(message.tool_call_id or ""):
            return "custom_tool_call_output", message.id.hex, fields
        return "function_call_output", message.id.hex, {**fields, "status": "completed"}


def find_earlier_calls(messages: Collection[Message]) -> set[str]:
    """Return the ids of calls that these messages answer, but that were made before them."""
    if not any(message.role is Role.TOOL for message in messages):
        return set()
    called: set[str] = set()
    answered: set[str] = set()
    for message in messages:
        if message.role is Role.TOOL and message.tool_call_id not in called:
            answered.add(message.tool_call_id or "")
        elif message.tool_calls is not None:
            called.update(call.id for call in calls(message.tool_calls))
    return answered - {""}


def _items(message: Message, found: Sequence[_Found]) -> tuple[Item, ...]:
    items = []
    for kind, suffix, fields in found:
        item_id = ItemId(f"{PREFIXES[kind]}_{suffix}")
        items.append(
            Item(
                id=item_id,
                text=ItemText(dump({"id": item_id, "type": kind, **fields})),
                position=message.position,
                created_at=message.created_at,
            )
        )
    return tuple(items)


def _said(message: Message, parts: Sequence[Document]) -> dict[str, object]:
    if not parts:
        text = message.content or ""
        part: Document = {"type": "input_text", "text": text}
        if message.role is Role.ASSISTANT:
            part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        parts = [part]
    return {"status": "completed", "role": message.role.value, "content": parts}
