"""Model messages of Pydantic AI as messages that everything else can read."""

from typing import Final

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    RetryPromptPart,
    SystemPromptPart,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from chatkeep_client.errors import LimitExceededError
from chatkeep_client.models import JsonObject

_OF_USERS: Final = "CHATKEEP_MAX_USER_MESSAGE_CHARS"


def as_native(message: ModelMessage) -> JsonObject:
    """Return role, content and calls of a message."""
    if isinstance(message, ModelRequest):
        return _request(message)
    text = "".join(part.content for part in message.parts if isinstance(part, TextPart))
    calls = [
        {
            "id": part.tool_call_id,
            "type": "function",
            "function": {"name": part.tool_name, "arguments": part.args_as_json_str()},
        }
        for part in message.parts
        if isinstance(part, ToolCallPart)
    ]
    if not calls:
        return {"role": "assistant", "content": text}
    return {"role": "assistant", "content": text or None, "tool_calls": calls}


def _request(message: ModelRequest) -> JsonObject:
    """Return a request as what the user said in it, or else a result, or else the instructions."""
    said = [part for part in message.parts if isinstance(part, UserPromptPart)]
    if said:
        return {"role": "user", "content": "\n\n".join(map(_text_of, said))}
    results = [part for part in message.parts if isinstance(part, ToolReturnPart | RetryPromptPart)]
    if results:
        texts = [
            part.model_response_str() if isinstance(part, ToolReturnPart) else part.model_response()
            for part in results
        ]
        return {
            "role": "tool",
            "tool_call_id": results[0].tool_call_id,
            "content": "\n\n".join(texts),
        }
    system = [part.content for part in message.parts if isinstance(part, SystemPromptPart)]
    return {"role": "system", "content": "\n\n".join(system)}


def _text_of(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n\n".join(each for each in part.content if isinstance(each, str))


def fit(messages: list[JsonObject], error: LimitExceededError) -> list[JsonObject]:
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
