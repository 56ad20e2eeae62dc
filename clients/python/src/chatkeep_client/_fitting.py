"""Messages whose whole is their `original`, cut to the limits of the service."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from chatkeep_client.errors import LimitExceededError
from chatkeep_client.models import JsonObject

T = TypeVar("T")

_OF_USERS: Final = "CHATKEEP_MAX_USER_MESSAGE_CHARS"


async def send_fitting(
    messages: list[JsonObject], send: Callable[[list[JsonObject]], Awaitable[T]]
) -> T:
    """Send the messages, cut to the limits that the service names."""
    try:
        return await send(messages)
    except LimitExceededError as error:
        shorter = _fit(messages, error)
    return await send_fitting(shorter, send)


def send_fitting_now(messages: list[JsonObject], send: Callable[[list[JsonObject]], T]) -> T:
    """Do what `send_fitting` does, with a synchronous client."""
    try:
        return send(messages)
    except LimitExceededError as error:
        shorter = _fit(messages, error)
    return send_fitting_now(shorter, send)


def _fit(messages: list[JsonObject], error: LimitExceededError) -> list[JsonObject]:
    """Return the messages with contents and calls cut to a limit; their originals stay whole.

    Raises the error if that is not what it is about, or does not help.
    """
    limit = error.limit
    if limit is None:
        raise error
    shorter = [_cut(message, limit, error) for message in messages]
    if shorter == messages:
        raise error
    return shorter


def _cut(message: JsonObject, limit: int, error: LimitExceededError) -> JsonObject:
    if error.setting == _OF_USERS and message["role"] != "user":
        return message
    field = (error.field or "").rpartition(".")[2]
    if field == "content" and len(message["content"] or "") > limit:
        return {**message, "content": message["content"][:limit]}
    if field == "tool_calls" and "tool_calls" in message:
        others = {key: value for key, value in message.items() if key != "tool_calls"}
        return {**others, "content": message["content"] or ""}
    return message
