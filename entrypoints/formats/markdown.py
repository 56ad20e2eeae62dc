"""Conversations to read: Markdown, in which nothing that was said can pass for something else.

What was said stands in block quotes, which any text stays within; calls of tools stand in code.
"""

import json
import re
from datetime import datetime
from typing import Final

from domain.context import calls
from domain.entries import Entry
from domain.model import Message
from domain.transfer import Piece

_LINE: Final = re.compile(r"\r\n|\n|\r")
_BACKTICKS: Final = re.compile(r"`+")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$-])")
_SPACE: Final = re.compile(r"\s+")


class Markdown:
    """Writes all conversations into one document, one after the other."""

    def __init__(self) -> None:
        self._is_begun = False

    def write(self, piece: Piece) -> bytes:
        blocks = []
        if piece.is_first:
            conversation = piece.conversation
            if self._is_begun:
                blocks.append("---")
            self._is_begun = True
            began, latest = conversation.created_at, conversation.updated_at
            blocks += [
                f"# {_inline(conversation.title or 'Untitled conversation')}",
                f"{_at(began)} to {_at(latest)}, {conversation.status}, `{conversation.id}`",
            ]
        for entry in piece.entries:
            blocks += _entry(entry)
        return "".join(f"{block}\n\n" for block in blocks).encode()


def _entry(entry: Entry) -> list[str]:
    message = entry.message
    if message is None:
        return [f"## item, {_at(entry.created_at)}", _code(entry.item or "", "json")]
    name = "" if message.name is None else f" {_inline(message.name)}"
    blocks = [f"## {message.role}{name}, {_at(message.created_at)}"]
    if message.tool_call_id is not None:
        blocks.append(f"Result of call {_inline(message.tool_call_id)}:")
        blocks.append(_code(message.content or ""))
    elif message.content:
        blocks.append("\n".join(f"> {line}".rstrip() for line in _LINE.split(message.content)))
    return blocks + _calls(message)


def _calls(message: Message) -> list[str]:
    blocks = []
    for call in calls(message.tool_calls) if message.tool_calls is not None else ():
        blocks.append(f"Call {_inline(call.id)} of {_inline(call.name)}:")
        blocks.append(_code(call.payload, "json" if _is_json(call.payload) else ""))
    return blocks


def _code(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any in the text."""
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _inline(text: str) -> str:
    """Return a text as itself, on one line."""
    return _SPECIAL.sub(r"\\\1", _SPACE.sub(" ", text).strip())


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
