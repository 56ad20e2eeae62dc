"""State of Google's ADK: what is kept of a session, and what sessions share."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import msgspec
from google.adk.sessions.state import State

from chatkeep_client._adk_events import as_event
from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client.errors import ChatkeepError, NotFoundError, RevisionConflictError
from chatkeep_client.models import Conversation, JsonObject, MessagePage

APP: Final = "adk_app"
"""The metadata of a conversation that has the app of its session, for filters."""

_SESSION: Final = "adk"
_AT: Final = "adk_at"
_FORMAT: Final = "adk-state"
_STATE: Final = "state"
_MOST: Final = 100


class Deltas(NamedTuple):
    """A change of state by what it belongs to, without prefixes. Temporary state is nowhere."""

    app: JsonObject
    user: JsonObject
    session: JsonObject


def split(state: Mapping[str, Any]) -> Deltas:
    """Return the deltas of a state whose keys have prefixes."""
    deltas = Deltas({}, {}, {})
    for key, value in state.items():
        if key.startswith(State.APP_PREFIX):
            deltas.app[key.removeprefix(State.APP_PREFIX)] = value
        elif key.startswith(State.USER_PREFIX):
            deltas.user[key.removeprefix(State.USER_PREFIX)] = value
        elif not key.startswith(State.TEMP_PREFIX):
            deltas.session[key] = value
    return deltas


class Snapshot(msgspec.Struct, kw_only=True, frozen=True):
    """A session as it was after the event `last`, or before all events.

    - `metadata`: those of the conversation, which it is a part of.
    - `revision`: that of the conversation; None if it may have changed.
    """

    session_id: str
    app: str
    state: JsonObject
    time: float
    last: str | None
    metadata: JsonObject
    revision: int | None

    def changed(self, event_id: str, delta: JsonObject, time: float, revision: int) -> "Snapshot":
        """Return the snapshot after another event."""
        return msgspec.structs.replace(
            self, state={**self.state, **delta}, time=time, last=event_id, revision=revision
        )

    def written(self, revision: int) -> JsonObject:
        """Return the metadata of a conversation that has this revision from now on."""
        session = {
            "id": self.session_id,
            "state": self.state,
            "time": self.time,
            "last": self.last,
        }
        return {**self.metadata, APP: self.app, _SESSION: session, _AT: revision}


def _read(conversation: Conversation) -> Snapshot | None:
    """Return the snapshot of a conversation; None if it is not a session."""
    metadata = conversation.metadata
    written = metadata.get(_SESSION)
    if not isinstance(written, dict):
        return None
    return Snapshot(
        session_id=written["id"],
        app=metadata[APP],
        state=written["state"],
        time=written["time"],
        last=written["last"],
        metadata=metadata,
        revision=conversation.revision if metadata.get(_AT) == conversation.revision else None,
    )


async def find(client: AsyncChatkeep, conversation: Conversation) -> Snapshot | None:
    """Return what is true of a session; None if the conversation is none.

    That is in its metadata, unless something else has changed the conversation, or the metadata of
    the latest event could not be written: then what they lack is read from the events. Raises
    `NotFoundError`.
    """
    while True:
        snapshot = _read(conversation)
        if snapshot is None or snapshot.revision is not None:
            return snapshot
        snapshot = await _read_later(client, conversation.id, snapshot)
        if snapshot.revision == conversation.revision:
            return snapshot
        conversation = await client.get_conversation(conversation.id)


async def _read_later(client: AsyncChatkeep, key: str, snapshot: Snapshot) -> Snapshot:
    """Return the snapshot after the events that follow it, with the revision of the last page."""
    try:
        page = await client.get_history(key, limit=_MOST, after=snapshot.last, originals=True)
    except NotFoundError:  # that event was deleted
        page = await client.get_history(key, limit=_MOST, originals=True)
        snapshot = msgspec.structs.replace(snapshot, last=None)
    while True:
        snapshot = _with_events(snapshot, page)
        if page.next_cursor is None:
            return snapshot
        page = await client.get_history(key, limit=_MOST, cursor=page.next_cursor, originals=True)


def _with_events(snapshot: Snapshot, page: MessagePage) -> Snapshot:
    for message in page.items:
        event = as_event(message)
        delta = split(event.actions.state_delta).session
        snapshot = snapshot.changed(message.id, delta, event.timestamp, page.revision)
    return msgspec.structs.replace(snapshot, revision=page.revision)


async def write(client: AsyncChatkeep, key: str, snapshot: Snapshot) -> Snapshot:
    """Write a snapshot into the metadata, so that it is found at once, and return it as it is now.

    Where that fails, it is in the events all the same.
    """
    if snapshot.revision is None:
        return snapshot
    metadata = snapshot.written(snapshot.revision + 1)
    try:
        changed = await client.change_conversation(
            key, metadata=metadata, expected_revision=snapshot.revision
        )
    except ChatkeepError:
        return snapshot
    return msgspec.structs.replace(snapshot, metadata=metadata, revision=changed.revision)


def session_key(app_name: str, session_id: str) -> str:
    """Return the id of the conversation of a session."""
    return f"{quote(app_name, safe='')}/{session_id}"


def state_key(app_name: str) -> str:
    """Return the id of the conversation that has the state which sessions of an app share."""
    return f"adk-state:{quote(app_name, safe='')}"


async def read_shared(client: AsyncChatkeep, key: str) -> tuple[JsonObject, int | None]:
    """Return the state in a conversation, and its revision; None if it does not exist."""
    try:
        page = await client.get_history(key, limit=1, originals=True)
    except NotFoundError:
        return {}, None
    for message in page.items:
        if message.format == _FORMAT and isinstance(message.original, msgspec.Raw):
            state: JsonObject = msgspec.json.decode(message.original)
            return state, page.revision
    return {}, page.revision


async def change_shared(client: AsyncChatkeep, key: str, delta: JsonObject) -> None:
    """Merge a change into the state in a conversation. Of several at once none is lost."""
    while delta:
        state, revision = await read_shared(client, key)
        if revision is None:
            await client.get_or_create_conversation(key, title="State of Google's ADK")
            continue
        message = {
            "role": "developer",
            "content": "[state]",
            "format": _FORMAT,
            "original": {**state, **delta},
        }
        try:
            await client.put_message(key, _STATE, message, expected_revision=revision)
        except (RevisionConflictError, NotFoundError):
            continue  # something else changed it: look again
        return
