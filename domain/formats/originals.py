"""Originals: the documents of clients, of which the service reads what other formats need.

A message can be sent as an original alone, in a format of `READERS`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats import ai_sdk_writing, anthropic, openai_chat
from chatkeep.domain.formats.ai_sdk_files import content_parts
from chatkeep.domain.formats.ai_sdk_messages import UIMessage, parse_ui_message
from chatkeep.domain.formats.codec import Reader, path
from chatkeep.domain.ids import NamedId, parse_id, same_id
from chatkeep.domain.json_fields import metadata_text
from chatkeep.domain.json_sources import dump
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    JsonText,
    Limits,
    MessageId,
    NewMessage,
    OriginalText,
)
from chatkeep.domain.parts import text_of

_FIRST: Final = "messages[0]"
_OPENAI: Final = Reader(openai_chat.recognizes, openai_chat.read, "messages")
_ANTHROPIC: Final = Reader(anthropic.recognizes, anthropic.read, "messages")
_FAILED: Final = JsonText('{"anthropic":{"is_error":true}}')
"""The metadata of a result that is an error: contexts say so."""


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
    if given.id is not None and _is_other_uuid(read.id, given.id):
        raise InvalidValueError(f"{within}id", f"is not that of the original, {read.id}")
    has_content = any(each is not None for each in (given.content, given.parts, given.tool_calls))
    return given._replace(
        content=given.content if has_content else read.content,
        parts=given.parts if has_content else read.parts,
        tool_calls=given.tool_calls if has_content else read.tool_calls,
        tool_call_id=given.tool_call_id or read.tool_call_id,
        name=given.name or read.name,
        metadata=read.metadata if given.metadata == EMPTY_OBJECT else given.metadata,
        id=given.id or read.id,
    )


def _read_ui_message(original: OriginalText, field: str, limits: Limits) -> NewMessage:
    message = parse_ui_message(original, field=field)
    parts = content_parts(message)
    return NewMessage(
        role=message.role,
        content=text_of(parts) if parts else message.text(),
        parts=JsonText(dump(parts)) if parts else None,
        metadata=_metadata(message, path(field, "metadata"), limits),
        id=_id(message.id),
        format=ai_sdk_writing.FORMAT,
        original=original,
    )


def _id(text: str) -> MessageId | None:
    """Return the id of a UIMessage; None if it cannot be one here, such as an empty one."""
    try:
        return MessageId(parse_id(text))
    except InvalidValueError:
        return None


def _is_other_uuid(of_original: MessageId | None, given: MessageId) -> bool:
    """Return whether an original has a UUID other than the id that was given; a text may differ."""
    return (
        of_original is not None
        and not isinstance(of_original, NamedId)
        and not same_id(of_original, given)
    )


def _metadata(message: UIMessage, field: str, limits: Limits) -> JsonText:
    if message.metadata is None:
        return EMPTY_OBJECT
    limits.check("max_metadata_bytes", len(message.metadata), field=field, unit="bytes")
    try:
        decoded = json.loads(message.metadata)
    except ValueError:  # a number with thousands of digits
        raise InvalidValueError(field, "contains a number that is out of range") from None
    return metadata_text(decoded, field=field, limits=limits)


def _read_chat_message(original: OriginalText, field: str, _: Limits) -> NewMessage:
    """Return a message of OpenAI's chat API. What has no field is only in the original."""
    [message] = _read_messages(_OPENAI, original, field)
    return message._replace(metadata=EMPTY_OBJECT, format=openai_chat.KEY, original=original)


def _read_anthropic_message(original: OriginalText, field: str, _: Limits) -> NewMessage:
    """Return a message of Anthropic's API. What has no field is only in the original.

    Several results, or a text with results, are several messages here, and so not one.
    """
    messages = _read_messages(_ANTHROPIC, original, field)
    if len(messages) > 1:
        raise InvalidValueError(
            f"{field}.content",
            f"is {len(messages)} messages: each tool_result is one, and the rest another; "
            "send each in a separate original",
        )
    [message] = messages
    kept = json.loads(message.metadata).get(anthropic.KEY, {})
    is_error = kept.get("is_error") is True
    return message._replace(
        metadata=_FAILED if is_error else EMPTY_OBJECT, format=anthropic.KEY, original=original
    )


def _read_messages(reader: Reader, original: OriginalText, field: str) -> Sequence[NewMessage]:
    try:
        return reader.read({"messages": [json.loads(original)]}).messages
    except InvalidValueError as error:
        within = error.field.removeprefix(_FIRST) if error.field.startswith(_FIRST) else ""
        raise InvalidValueError(f"{field}{within}", error.reason) from None
    except ValueError:  # a number with thousands of digits
        raise InvalidValueError(field, "contains a number that is out of range") from None


READERS: Final[Mapping[str, Callable[[OriginalText, str, Limits], NewMessage]]] = {
    ai_sdk_writing.FORMAT: _read_ui_message,
    openai_chat.KEY: _read_chat_message,
    anthropic.KEY: _read_anthropic_message,
}
"""Reads an original in a format; the text is the name of its field for errors."""
