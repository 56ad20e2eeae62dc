"""Writes native messages as items of OpenAI's Conversations API."""

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from chatkeep.domain.context import calls
from chatkeep.domain.formats.openai_items import PREFIXES
from chatkeep.domain.items import Item, ItemId, ItemText
from chatkeep.domain.json_sources import dump
from chatkeep.domain.model import Message, Role

_Found = tuple[str, str, dict[str, object]]  # an item's kind, its id without prefix, its members


class NativeItems:
    """Writes messages as items. The messages are given in their order.

    `earlier`: the ids of calls in messages before the first one, each with whether it is a custom
    tool's. OpenAI accepts the result of a custom tool only as an item of another kind.
    """

    def __init__(self, earlier: Mapping[str, bool] = MappingProxyType({})) -> None:
        self._custom = dict(earlier)

    def of(self, message: Message) -> tuple[Item, ...]:
        """Return the items of the next message: at least one, in their order.

        A text becomes a message, each tool call a call, and a message of a tool the output of the
        last call of its id.
        """
        if message.role is Role.TOOL:
            return _items(message, [self._output(message)])
        found: list[_Found] = []
        called = calls(message.tool_calls) if message.tool_calls is not None else []
        self._custom.update((call.id, call.is_custom) for call in called)
        if message.content or not called:
            found.append(("message", message.id.hex, _said(message)))
        for index, call in enumerate(called):
            members: dict[str, object] = {"call_id": call.id, "name": call.name}
            if call.is_custom:
                members["input"] = call.payload
            else:
                members |= {"arguments": call.payload, "status": "completed"}
            kind = "custom_tool_call" if call.is_custom else "function_call"
            found.append((kind, f"{message.id.hex}_{index}", members))
        return _items(message, found)

    def _output(self, message: Message) -> _Found:
        members: dict[str, object] = {
            "call_id": message.tool_call_id,
            "output": message.content or "",
        }
        if self._custom.get(message.tool_call_id or ""):
            return "custom_tool_call_output", message.id.hex, members
        return "function_call_output", message.id.hex, {**members, "status": "completed"}


def calls_answered_from_before(messages: Collection[Message]) -> set[str]:
    """Return the ids of calls that these messages, in their order, answer and do not make."""
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
    for kind, suffix, members in found:
        item_id = ItemId(f"{PREFIXES[kind]}_{suffix}")
        items.append(
            Item(
                id=item_id,
                text=ItemText(dump({"id": item_id, "type": kind, **members})),
                position=message.position,
                created_at=message.created_at,
            )
        )
    return tuple(items)


def _said(message: Message) -> dict[str, object]:
    text = message.content or ""
    part: dict[str, object] = {"type": "input_text", "text": text}
    if message.role is Role.ASSISTANT:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"status": "completed", "role": message.role.value, "content": [part]}
