"""Messages for models, in place of those that are more than their fields.

A UIMessage of the AI SDK holds several steps of an answer. For a model it becomes several messages.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.ai_sdk_context import ModelMessage, to_model_messages
from chatkeep.domain.formats.ai_sdk_messages import parse_ui_message
from chatkeep.domain.formats.ai_sdk_writing import FORMAT
from chatkeep.domain.json_sources import dump
from chatkeep.domain.model import EMPTY_OBJECT, JsonText, Message
from chatkeep.domain.window import Window, latest_start

_FAILED: Final = JsonText('{"anthropic":{"is_error":true}}')
"""The metadata of a tool's result that is an error, in the form of Anthropic's API."""


def expand(window: Window) -> Window:
    """Return the window with the messages that a model gets instead of those in other forms.

    `message_count` grows by as many, so that it is still known what the window leaves out.
    """
    if all(each.original is None for each in window.messages()):
        return window
    # What comes before the message where the context begins is only counted.
    at = latest_start(window.tail) or 0
    head, start, kept = map(_expand, (window.head, window.start, window.tail[at:]))
    expanded = replace(window, head=head, start=start, tail=(*window.tail[:at], *kept))
    added = len(expanded.messages()) - len(window.messages())
    return replace(expanded, message_count=window.message_count + added)


def _expand(messages: Iterable[Message]) -> tuple[Message, ...]:
    return tuple(chain.from_iterable(map(expand_message, messages)))


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
        content=None if (made.calls or made.parts) and not made.text else made.text,
        parts=JsonText(dump(made.parts)) if made.parts else None,
        tool_calls=JsonText(dump(made.calls)) if made.calls else None,
        tool_call_id=made.call_id,
        name=None,
        metadata=_FAILED if made.is_error else EMPTY_OBJECT,
        tokens=tokens if tokens is None or is_last else 0,
        starts_context=message.starts_context and is_first,
        format=None,
        original=None,
    )
