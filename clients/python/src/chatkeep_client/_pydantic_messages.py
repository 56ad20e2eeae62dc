"""Model messages of Pydantic AI as messages that everything else can read."""

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

from chatkeep_client.models import JsonObject


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
