"""The text of an item of OpenAI's API that a search sees: every string in it that people read."""

import json
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from chatkeep.domain.items import ItemText
from chatkeep.domain.searched_text import MAX_SEARCHED_CHARS, unescaped

# Ids, states, encrypted or encoded data, and the definitions of tools.
_NOT_TEXT: Final = frozenset(
    {
        *("id", "type", "role", "status", "phase", "created_by", "execution"),
        *(
            "encrypted_content",
            "image_url",
            "data",
            "file_data",
            "annotations",
            "logprobs",
            "tools",
        ),
        *("detail", "background", "output_format", "quality", "size"),
    }
)
_IMAGE: Final = "image_generation_call"
_ENDS_OF_TOOLS: Final = ("_call", "_output", "_tools")
_FILE: Final = re.compile(r'"type"\s*:\s*"(?:input_image|input_file|input_audio)"')


class SearchedItem(NamedTuple):
    """An item as a search sees it. `kind` is its type, and `is_of_tool` whether a tool is in it."""

    kind: str
    text: str
    is_of_tool: bool
    has_file: bool


def searched_item(item: ItemText) -> SearchedItem:
    """Return the strings of an item on lines, in order. Arguments are as people read them."""
    try:
        found = json.loads(item, parse_int=float)
    except (ValueError, RecursionError):
        found = None  # another program wrote it
    kind = found.get("type") if isinstance(found, dict) else None
    kind = kind if isinstance(kind, str) else ""
    return SearchedItem(
        kind,
        "\n".join(_within_limit(_strings(found, kind))),
        kind.startswith("mcp_") or kind.endswith(_ENDS_OF_TOOLS),
        kind == _IMAGE or _FILE.search(item) is not None,
    )


def _strings(item: object, kind: str) -> Iterator[str]:
    """Yield the strings in document order. A list and not the stack holds what is left."""
    left: list[tuple[str, object]] = [("", item)]
    while left:
        name, value = left.pop()
        if isinstance(value, str):
            if value and not value.startswith("data:"):
                yield unescaped(value) if name == "arguments" else value
        elif isinstance(value, list):
            left += [(name, each) for each in reversed(value)]
        elif isinstance(value, dict):
            left += [each for each in reversed(value.items()) if _is_text(*each, kind)]


def _is_text(name: str, value: object, kind: str) -> bool:
    if not isinstance(value, str | list | dict) or name in _NOT_TEXT or name.endswith("_id"):
        return False
    return not (kind == _IMAGE and name == "result")


def _within_limit(strings: Iterator[str]) -> Iterator[str]:
    left = MAX_SEARCHED_CHARS
    for each in strings:
        if left <= 0:
            return
        yield each[:left]
        left -= len(each) + 1
