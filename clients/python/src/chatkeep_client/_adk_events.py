"""Events of Google's ADK as messages that everything else can read."""

from typing import Final

import msgspec
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import GetSessionConfig
from google.genai.types import Content, FunctionResponse, Part

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._fitting import send_fitting
from chatkeep_client._native import as_native, as_text, text_of
from chatkeep_client.models import Appended, JsonObject, Message

_FORMAT: Final = "adk-event"
_MOST: Final = 100


def as_message(event: Event, stored: JsonObject) -> JsonObject:
    """Return an event as a message, with `stored`, the whole of it, as its `original`."""
    parts = (event.content.parts or []) if event.content else []
    calls = [each.function_call for each in parts if each.function_call]
    results = [each.function_response for each in parts if each.function_response]
    text = "".join(part.text for part in parts if part.text and not part.thought)
    if results and not text:
        text = "\n\n".join(map(_result, results))
    role = "user" if event.author == "user" else "assistant"
    native = as_native(
        role,
        text,
        calls=[(call.id, call.name or "", call.args or {}) for call in calls],
        answered=results[0].id if results else None,
    )
    return {**native, "format": _FORMAT, "original": msgspec.Raw(msgspec.json.encode(stored))}


def as_stored(event: Event) -> JsonObject:
    """Return an event as JSON. What is as it is without being set is left out."""
    stored: JsonObject = event.model_dump(mode="json", exclude_defaults=True)
    return {**stored, "id": event.id, "timestamp": event.timestamp}


def as_event(message: Message) -> Event:
    """Return the event of a message; a new one with its text, if it was not stored as one."""
    if message.format == _FORMAT and isinstance(message.original, msgspec.Raw):
        return Event.model_validate_json(bytes(message.original))
    is_user = message.role == "user"
    return Event(
        id=message.id,
        author="user" if is_user else message.role,
        timestamp=message.created_at.timestamp(),
        content=Content(role="user" if is_user else "model", parts=[Part(text=text_of(message))]),
    )


async def append(
    client: AsyncChatkeep, key: str, message: JsonObject, revision: int | None
) -> Appended:
    """Append the message of an event to a conversation that has this revision."""
    return await send_fitting(
        [message], lambda sent: client.append_messages(key, sent, expected_revision=revision)
    )


async def read_events(
    client: AsyncChatkeep, key: str, config: GetSessionConfig
) -> tuple[str | None, list[Event]]:
    """Return the id of the last message, and the events that are asked for, oldest first."""
    most, since = config.num_recent_events, config.after_timestamp
    last: str | None = None
    events: list[Event] = []
    if most == 0:
        return last, events
    async for message in client.iter_history(
        key, order="desc", originals=True, page_size=min(most or _MOST, _MOST)
    ):
        event = as_event(message)
        if since is not None and event.timestamp < since:
            break
        last = last or message.id
        events.append(event)
        if len(events) == most:
            break
    return last, events[::-1]


def _result(result: FunctionResponse) -> str:
    return as_text(result.response or {})
