"""The table of all formats: those to read, to write, and for contexts."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Final

from chatkeep.domain.context import Context
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import (
    ai_sdk,
    anthropic,
    anthropic_context,
    chatgpt,
    chatgpt_nodes,
    chatkeep,
    claude_ai,
    claude_ai_writing,
    openai_chat,
    openai_chat_context,
    sharegpt,
)
from chatkeep.domain.formats.chatgpt_writing import ChatGPTWriter
from chatkeep.domain.formats.chatkeep_writing import ChatkeepWriter
from chatkeep.domain.formats.claude_ai_writing import ClaudeWriter
from chatkeep.domain.formats.codec import (
    WHOLE,
    Document,
    Embed,
    FindOriginals,
    Line,
    Reader,
    Writer,
)
from chatkeep.domain.formats.originals_writer import OriginalsWriter
from chatkeep.domain.formats.tree_writing import TreeFormat

_SHOWN_KEYS: Final = 8


class FileFormat(StrEnum):
    """The formats of files; the values are their names in commands."""

    JSONL = "jsonl"
    CHATGPT = "chatgpt"
    CLAUDE_AI = "claude-ai"
    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    ANTHROPIC = "anthropic"
    AI_SDK = "ai-sdk"


class Format(StrEnum):
    """The formats of contexts, besides the service's own; the OpenAPI document uses this name."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    AI_SDK = "ai-sdk"


READERS: Final[Mapping[FileFormat, Reader]] = {
    # A document that several formats recognize is read as the first of these. Messages with only a
    # role and a text mean the same in all of them.
    FileFormat.JSONL: Reader(chatkeep.recognizes, lambda document, _: chatkeep.read(document), ""),
    FileFormat.CHATGPT: Reader(chatgpt.recognizes, chatgpt.read, "mapping"),
    FileFormat.CLAUDE_AI: Reader(claude_ai.recognizes, claude_ai.read, "chat_messages"),
    FileFormat.SHAREGPT: Reader(sharegpt.recognizes, sharegpt.read, "conversations"),
    FileFormat.AI_SDK: Reader(ai_sdk.recognizes, ai_sdk.read, "messages"),
    FileFormat.ANTHROPIC: Reader(anthropic.recognizes, anthropic.read, "messages"),
    FileFormat.OPENAI: Reader(openai_chat.recognizes, openai_chat.read, "messages"),
}
WRITERS: Final[Mapping[FileFormat, Writer]] = {
    FileFormat.JSONL: ChatkeepWriter(),
    FileFormat.OPENAI: openai_chat.OpenAIChatWriter(),
    FileFormat.AI_SDK: ai_sdk.UIMessageWriter(),
}
ORIGINALS: Final[Mapping[FileFormat, Writer]] = {
    # Only what was imported from the format can be written in it.
    FileFormat.ANTHROPIC: OriginalsWriter(anthropic.KEY, "messages"),
    FileFormat.SHAREGPT: OriginalsWriter(sharegpt.KEY, "conversations"),
}
TREES: Final[Mapping[FileFormat, TreeFormat]] = {
    # All branches, as other services export them.
    FileFormat.CHATGPT: TreeFormat(ChatGPTWriter, chatgpt_nodes.ends_of, "mapping", by_name=True),
    FileFormat.CLAUDE_AI: TreeFormat(
        ClaudeWriter, claude_ai_writing.ends_of, "chat_messages", by_name=False
    ),
}
CONTEXTS: Final[Mapping[Format, Callable[[Context, Embed], Document]]] = {
    Format.OPENAI: openai_chat_context.write_context,
    Format.ANTHROPIC: anthropic_context.write_context,
    Format.AI_SDK: ai_sdk.write_context,
}


def read_any(document: object, find_originals: FindOriginals | None = None) -> Line:
    """Return the conversation of a document in any format; the service's own is tried first.

    `find_originals` is that of `Reader.read`. Raises `InvalidValueError`; for an unknown format it
    describes the document.
    """
    own = READERS[FileFormat.JSONL]
    others = [reader for reader in READERS.values() if reader is not own]
    reader = next((each for each in others if each.recognizes(document)), None)
    try:
        if reader is None or not chatkeep.may_be_of_others(document):
            return own.read(document)
    except InvalidValueError:
        if reader is None:
            if isinstance(document, dict) and "messages" in document:
                raise
            raise InvalidValueError(WHOLE, _describe(document)) from None
    return _with_former_format(reader.read(document, find_originals), document, reader)


def _with_former_format(line: Line, document: object, reader: Reader) -> Line:
    """Return the line with what earlier versions made of it, if they took it for another format."""
    claimed = anthropic.was_recognized(document)
    former = READERS[FileFormat.ANTHROPIC if claimed else FileFormat.OPENAI]
    if reader is former or reader not in map(
        READERS.get, (FileFormat.ANTHROPIC, FileFormat.OPENAI)
    ):
        return line
    try:
        read = former.read(document)
    except InvalidValueError:
        return line
    return replace(line, formerly=read.formerly or read.canonical)


def _describe(document: object) -> str:
    match document:
        case {"role": _, "content": _} | {"from": _, "value": _}:
            seen = 'a message alone; the messages of one conversation go into {"messages": [...]}'
        case dict():
            keys = ", ".join(repr(key[:50]) for key in list(document)[:_SHOWN_KEYS])
            seen = f"an object with the keys {keys}" if document else "an empty object"
        case list():
            seen = "an array"
        case _:
            seen = repr(document)[:50]
    return f"is in none of the formats {', '.join(FileFormat)}: it is {seen}"
