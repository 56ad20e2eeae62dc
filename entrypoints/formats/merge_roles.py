"""What the formats of others have in common: calls of tools, and what answers which."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

_object: Final = msgspec.json.Decoder(dict[str, object])


def call(call_id: str, name: str, argument: str, *, is_json: bool) -> dict[str, Any]:
    """Return a tool call: of a function when its argument is JSON, else of a custom tool."""
    if is_json:
        function = {"name": name, "arguments": argument}
        return {"id": call_id, "type": "function", "function": function}
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": argument}}


def is_json_object(text: str) -> bool:
    try:
        _object.decode(text)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True


def known_as(calls: Sequence[tuple[str, str]], name: str | None) -> str | None:
    """Return the id of the last call of that name, else of the last call, else None.

    `calls` are names and ids.
    """
    named = [call_id for called, call_id in calls if called == name]
    if named:
        return named[-1]
    return calls[-1][1] if calls else None
