"""Writes conversations as Markdown to read, in which no message can pass for another.

Messages are in block quotes, where Markdown in them shows as Markdown. A text that would affect the
document outside its quote is in a code block instead, unchanged: HTML, which can close the quote;
headings, which count for the whole document; links and their definitions, which work anywhere.
Tool calls and their results are always in code blocks. Images and files are links, or named with
their size. Control characters are made visible.
"""

import json
import re
from datetime import datetime
from typing import Final

from chatkeep.domain.context import calls
from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.expansion import expand_message
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, Message
from chatkeep.domain.parts import TEXTS, Part, split_parts
from chatkeep.entrypoints.formats.markdown_parts import describe, link_target, shorten
from chatkeep.entrypoints.visible import visible, visible_lines

_HTML_OR_LINK: Final = re.compile(r"[<\[]|&[#\w]")
_BEFORE_A_HEADING: Final = " \t>*+-.)0123456789"  # quotes and lists, which may have one in them
_BACKTICKS: Final = re.compile(r"`+")
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]()<>#+!|~&$-])")
_SPACE: Final = re.compile(r"\s+")


class Markdown:
    """Writes all conversations into one document, one after the other."""

    writes_branches = False

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
                f"{_at(began)} to {_at(latest)}, {conversation.status}, {_id(conversation)}",
            ]
        for entry in piece.entries:
            for each in _expand(entry):
                blocks += _entry(each)
        return "".join(f"{block}\n\n" for block in blocks).encode()


def _expand(entry: Entry) -> list[Entry]:
    """Return the entry; in place of a UIMessage its steps, each followed by results of calls."""
    message = entry.message
    if message is None:
        return [entry]
    return [entry._replace(message=each) for each in expand_message(message) or (message,)]


def _entry(entry: Entry) -> list[str]:
    message = entry.message
    if message is None:
        return [f"## item, {_at(entry.created_at)}", _code(entry.item or "", "json")]
    name = "" if message.name is None else f" {_inline(message.name)}"
    blocks = [f"## {message.role}{name}, {_at(message.created_at)}"]
    if message.tool_call_id is not None:
        blocks.append(f"Result of call {_inline(message.tool_call_id)}:")
        if message.parts is None:
            blocks.append(_code(message.content or ""))
    if message.parts is not None:
        blocks += [_part(part, message) for part in split_parts(message.parts)]
    elif message.tool_call_id is None and message.content:
        blocks.append(_said(message.content))
    return blocks + _calls(message)


def _part(part: Part, message: Message) -> str:
    if part.kind in TEXTS:
        text = part.value[TEXTS[part.kind]]
        return _said(text) if message.tool_call_id is None else _code(text)
    what, url, details = describe(part)
    said = f"{what}: {_inline(details)}" if details else what
    return said if url is None else f"{said} [{_inline(shorten(url))}](<{link_target(url)}>)"


def _calls(message: Message) -> list[str]:
    blocks = []
    for call in calls(message.tool_calls) if message.tool_calls is not None else ():
        blocks.append(f"Call {_inline(call.id)} of {_inline(call.name)}:")
        blocks.append(_code(call.payload, "json" if _is_json(call.payload) else ""))
    return blocks


def _said(text: str) -> str:
    text = visible_lines(text)
    if _reaches_out(text):
        return _code(text)
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def _reaches_out(text: str) -> bool:
    """Return whether text in a quote may affect the rest, or show as another text."""
    return _HTML_OR_LINK.search(text) is not None or any(map(_is_heading, text.split("\n")))


def _is_heading(line: str) -> bool:
    """Return whether the line may be a heading, or make the line before it one."""
    if line.lstrip(_BEFORE_A_HEADING).startswith("#"):
        return True
    return line.rstrip(" \t").endswith(("=", "-")) and not line.strip(f"{_BEFORE_A_HEADING}=")


def _code(text: str, language: str = "") -> str:
    """Return a code block whose fence is longer than any in the text."""
    text = visible_lines(text)
    longest = max((len(run) for run in _BACKTICKS.findall(text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _inline(text: str) -> str:
    """Return a text as itself, on one line."""
    return _SPECIAL.sub(r"\\\1", visible(_SPACE.sub(" ", text).strip()))


def _id(conversation: Conversation) -> str:
    """Return the id as code, unless it would end the code."""
    text = str(conversation.id)
    return _inline(text) if "`" in text else f"`{visible(text)}`"


def _at(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
