"""Originals: the documents of clients, of which the service reads what other formats need.

A message can be sent as an original alone, in a format of `READERS`. A UIMessage of the AI SDK
holds several steps of an answer; for a model it becomes several messages (`expand`).
"""

import json
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Final
from uuid import UUID

from chatkeep.domain.context import Window
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.ai_sdk_context import ModelMessage, to_model_messages
from chatkeep.domain.formats.ai_sdk_messages import (
    UIMessage,
    parse_ui_message,
)
from chatkeep.domain.formats.ai_sdk_writing import FORMAT
from chatkeep.domain.formats.codec import path
from chatkeep.domain.json_fields import metadata_text
from chatkeep.domain.json_sources import dump
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    OriginalText,
)

_FAILED: Final = JsonText('{"anthropic":{"is_error":true}}')
"""The metadata of a tool's result that is an error, in the form of Anthropic's API."""


def read_original(
    form: str, original: OriginalText, *, field: str, limits: Limits
) -> NewMessage | None:
    """Return the message that an original is; None for a format that the service does not know.

    Raises `InvalidValueError` or `LimitExceededError` naming the field below `field`.
    """
    read = READERS.get(form)
    return None if read is None else read(original, field, limits)


def complete(given: NewMessage, read: NewMessage, *, within: str) -> NewMessage:
    """Return a message with what is read from its original in place of what it lacks.

    `within` is a prefix for the names of fields. Raises `InvalidValueError` if the role or the id
    is another one than that in the original.
    """
    if given.role is not read.role:
        reason = f"is {given.role}, but that of the original is {read.role}"
        raise InvalidValueError(f"{within}role", reason)
    if given.id is not None and read.id is not None and given.id != read.id:
        raise InvalidValueError(f"{within}id", f"is not that of the original, {read.id}")
    has_content = any(each is not None for each in (given.content, given.parts, given.tool_calls))
    return given._replace(
        content=given.content if has_content else read.content,
        metadata=read.metadata if given.metadata == EMPTY_OBJECT else given.metadata,
        id=given.id or read.id,
    )


def _read_ui_message(original: OriginalText, field: str, limits: Limits) -> NewMessage:
    message = parse_ui_message(original, field=field)
    return NewMessage(
        role=message.role,
        content=message.text(),
        metadata=_metadata(message, path(field, "metadata"), limits),
        id=_id(message.id),
        format=FORMAT,
        original=original,
    )


def _id(text: str) -> MessageId | None:
    try:
        return MessageId(UUID(text)) if str(UUID(text)) == text else None
    except ValueError:
        return None


def _metadata(message: UIMessage, field: str, limits: Limits) -> JsonText:
    if message.metadata is None:
        return EMPTY_OBJECT
    limits.check("max_metadata_bytes", len(message.metadata), field=field, unit="bytes")
    try:
        decoded = json.loads(message.metadata)
    except ValueError:  # a number with thousands of digits
        raise InvalidValueError(field, "contains a number that is out of range") from None
    return metadata_text(decoded, field=field, limits=limits)


READERS: Final[Mapping[str, Callable[[OriginalText, str, Limits], NewMessage]]] = {
    FORMAT: _read_ui_message,
}
"""Reads an original in a format; the text is the name of its field for errors."""


def expand(window: Window) -> Window:
    """Return the window with the messages that a model gets instead of those in other forms.

    `message_count` grows by as many, so that it is still known what the window leaves out.
    """
    if all(each.original is None for each in (*window.head, *window.tail)):
        return window
    head = tuple(chain.from_iterable(map(expand_message, window.head)))
    # What comes before the message where the context begins is only counted.
    starts = [at for at, each in enumerate(window.tail) if each.starts_context]
    start = starts[-1] if starts else 0
    kept = chain.from_iterable(map(expand_message, window.tail[start:]))
    tail = (*window.tail[:start], *kept)
    added = len(head) + len(tail) - len(window.head) - len(window.tail)
    return Window(head, tail, window.message_count + added)


def expand_message(message: Message) -> tuple[Message, ...]:
    """Return the messages that a model gets for one; most are given as they are."""
    if message.original is None or message.format != FORMAT:
        return (message,)
    try:
        found = to_model_messages(parse_ui_message(message.original, field="original"))
    except InvalidValueError:  # an import may have brought it with any document
        return (message._replace(original=None),)
    if not found and message.starts_context:
        found = [ModelMessage(message.role, "")]
    last = len(found) - 1
    return tuple(
        _message(message, each, is_first=at == 0, is_last=at == last)
        for at, each in enumerate(found)
    )


def _message(message: Message, made: ModelMessage, *, is_first: bool, is_last: bool) -> Message:
    """Return a message for a model.

    The first one says where a context begins. The last one counts for the tokens of all: a context
    keeps the latest messages that fit, so it has all of them or none.
    """
    tokens = message.tokens
    return message._replace(
        role=made.role,
        content=None if made.calls and not made.text else made.text,
        tool_calls=JsonText(dump(made.calls)) if made.calls else None,
        tool_call_id=made.call_id,
        name=None,
        metadata=_FAILED if made.is_error else EMPTY_OBJECT,
        tokens=tokens if tokens is None or is_last else 0,
        starts_context=message.starts_context and is_first,
        format=None,
        original=None,
    )
