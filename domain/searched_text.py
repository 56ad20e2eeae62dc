"""The text of a message that a search sees: what was said, then the calls of tools."""

import json
import re
from collections.abc import Iterator
from typing import Final

from chatkeep.domain.model import JsonText

MAX_SEARCHED_CHARS: Final = 200_000
"""Only the beginning of a longer message is searched."""

# Without unpaired surrogates, which are left as they are written.
_HIGH: Final = r"u[dD][89abAB][0-9a-fA-F]{2}"
_LOW: Final = r"u[dD][c-fC-F][0-9a-fA-F]{2}"
_ESCAPE: Final = re.compile(
    rf'\\(?:{_HIGH}\\{_LOW}|u(?![dD][89a-fA-F])[0-9a-fA-F]{{4}}|["\\/bfnrt])'
)
_SHORT: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def searched_text(content: str | None, tool_calls: JsonText | None) -> str:
    """Return the content, and for each call the tool's name and its arguments, on lines."""
    text = (content or "")[:MAX_SEARCHED_CHARS]
    if tool_calls is None or len(text) == MAX_SEARCHED_CHARS:
        return text
    return "\n".join([*([text] if text else ()), *_calls(tool_calls)])[:MAX_SEARCHED_CHARS]


def _calls(tool_calls: JsonText) -> Iterator[str]:
    try:
        calls = json.loads(tool_calls, parse_int=float)
    except (ValueError, RecursionError):
        return  # another program wrote it
    for call in calls if isinstance(calls, list) else ():
        for kind, argument in (("function", "arguments"), ("custom", "input")):
            tool = call.get(kind) if isinstance(call, dict) else None
            if isinstance(tool, dict):
                name, value = tool.get("name"), tool.get(argument)
                words = name if isinstance(name, str) else ""
                if isinstance(value, str):
                    value = value[:MAX_SEARCHED_CHARS]
                    words += f" {unescaped(value) if kind == 'function' else value}"
                yield words


def unescaped(arguments: str) -> str:
    """Return a text of JSON, which may have been cut off, with the characters it stands for."""
    return _ESCAPE.sub(_character, arguments) if "\\" in arguments else arguments


def _character(escape: re.Match[str]) -> str:
    code = escape[0][1:]
    if not code.startswith("u"):
        return _SHORT.get(code, code)
    if len(code) > len("u0000"):
        return bytes.fromhex(code[1:5] + code[7:]).decode("utf-16-be")
    return chr(int(code[1:], 16))
