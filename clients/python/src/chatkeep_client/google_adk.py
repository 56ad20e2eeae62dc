"""Sessions of Google's ADK, kept by chatkeep. Needs `chatkeep-client[google-adk]`.

    service = ChatkeepSessionService(AsyncChatkeep(URL, service_key=KEY))
    runner = Runner(app_name="cook", agent=agent, session_service=service)

A session is a conversation of its user, and an event is a message, so that both are also there for
everything else that reads conversations.
"""

import asyncio
import time
from collections.abc import Awaitable, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events.event import Event
from google.adk.sessions.base_session_service import (
    BaseSessionService,
    GetSessionConfig,
    ListSessionsResponse,
)
from google.adk.sessions.session import Session
from google.adk.sessions.state import State
from pydantic_core import to_jsonable_python

from chatkeep_client import _adk_state as states
from chatkeep_client._adk_events import append, as_message, as_stored, read_events
from chatkeep_client._adk_state import Deltas, Snapshot, session_key, state_key
from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._requests import uuid7
from chatkeep_client.errors import IdTakenError, NotFoundError, RevisionConflictError
from chatkeep_client.models import JsonObject

T = TypeVar("T")

APP_USER: Final = "google-adk"
"""The user whose conversations have the state of apps, unless another one is given."""

_MOST: Final = 100
_AT_ONCE: Final = 8
_FIRST_REVISION: Final = 1


class ChatkeepSessionService(BaseSessionService):
    """Keeps the sessions of each user in conversations of that user. Needs a service key.

    - Events come back exactly, in the order in which they were appended. Their text is cut to the
      service's limits for everything else that reads messages. What was appended by others is an
      event too.
    - An event with its change of the session's state is stored whole or not at all, and once.
      Changes of `user:` and `app:` state follow in separate requests.
    - A session that is not as it was read raises `StaleSessionError` when an event is appended, as
      with ADK's database.
    - `user:` state is in a conversation of the user, `app:` state in one of `app_user`.
    - `list_sessions` without a `user_id` reads the list of all users.

    A session is found quickly while its state has at most 16 KiB (`CHATKEEP_MAX_METADATA_BYTES`);
    a larger one is put together from its events, and cannot be given to `create_session`. While a
    session's conversation is on hold, `delete_session` raises `RetainedError`.
    """

    def __init__(self, client: AsyncChatkeep, *, app_user: str = APP_USER) -> None:
        self._client = client
        self._app_user = app_user

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Create a session. Raises `AlreadyExistsError`."""
        its_id = (session_id or "").strip() or uuid7()
        deltas = states.split(to_jsonable_python(state or {}))
        snapshot = Snapshot(
            session_id=its_id,
            app=app_name,
            state=deltas.session,
            time=time.time(),
            last=None,
            metadata={"adk_made": uuid7()},  # so that no other attempt is taken for this one
            revision=_FIRST_REVISION,
        )
        client = self._client.as_user(user_id)
        try:
            made = await client.create_conversation(
                conversation_id=session_key(app_name, its_id),
                metadata=snapshot.written(_FIRST_REVISION),
            )
        except IdTakenError as error:
            raise AlreadyExistsError(f"Session with id {its_id} already exists.") from error
        await self._change_shared(app_name, user_id, deltas)
        shared = await self._read_shared(app_name, user_id)
        snapshot = msgspec.structs.replace(snapshot, metadata=made.metadata)
        return _to_session(user_id, snapshot, shared, [])

    async def get_session(
        self,
        *,
        app_name: str,
        user_id: str,
        session_id: str,
        config: GetSessionConfig | None = None,
    ) -> Session | None:
        """Return a session with its events, or the latest of them; None if there is none."""
        client = self._client.as_user(user_id)
        key = session_key(app_name, session_id.strip())
        asked = config or GetSessionConfig()
        try:
            while True:
                snapshot = await states.find(client, await client.get_conversation(key))
                if snapshot is None:
                    return None
                last, events = await read_events(client, key, asked)
                if last == snapshot.last or (last is None and asked != GetSessionConfig()):
                    shared = await self._read_shared(app_name, user_id)
                    return _to_session(user_id, snapshot, shared, events)
                # An event was appended between the requests: read again.
        except NotFoundError:
            return None

    async def list_sessions(
        self, *, app_name: str, user_id: str | None = None
    ) -> ListSessionsResponse:
        """Return the sessions of a user, or of all, without events, latest update last."""
        users = await self._all_users() if user_id is None else [user_id]
        few = asyncio.Semaphore(_AT_ONCE)
        app, _ = await states.read_shared(self._of_app(), state_key(app_name))
        lists = await _together(self._list_of(app_name, each, few) for each in users)
        sessions = [
            _to_session(each, snapshot, (app, state), [])
            for each, (state, snapshots) in zip(users, lists, strict=True)
            for snapshot in snapshots
        ]
        sessions.sort(key=lambda session: (session.last_update_time, session.user_id, session.id))
        return ListSessionsResponse(sessions=sessions)

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete a session with its events, permanently. Raises `RetainedError`."""
        with suppress(NotFoundError):
            await self._client.as_user(user_id).delete_conversation(
                session_key(app_name, session_id.strip())
            )

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return the state that all sessions of a user share, without prefixes."""
        state, _ = await states.read_shared(self._client.as_user(user_id), state_key(app_name))
        return state

    async def append_event(self, session: Session, event: Event) -> Event:
        """Store an event, and apply it to the session; one that is partial is returned as it is.

        Raises `StaleSessionError` and `SessionNotFoundError`.
        """
        if event.partial:
            return event
        stored = as_stored(event)
        actions = stored.get("actions", {})
        delta = actions.get("state_delta", {})
        if delta:
            kept = {
                key: value for key, value in delta.items() if not key.startswith(State.TEMP_PREFIX)
            }
            stored["actions"] = {**actions, "state_delta": kept}
        deltas = states.split(delta)
        try:
            snapshot, is_new = await self._append(session, event, stored, deltas.session)
        except NotFoundError as error:
            raise SessionNotFoundError(f"Session {session.id} not found.") from error
        await self._change_shared(session.app_name, session.user_id, deltas)
        if is_new:
            await super().append_event(session, event)
        session.last_update_time = snapshot.time
        _remember(session, snapshot)
        return event

    async def _append(
        self, session: Session, event: Event, stored: JsonObject, delta: JsonObject
    ) -> tuple[Snapshot, bool]:
        """Store an event. Return what is true now, and whether the event was not there before."""
        client = self._client.as_user(session.user_id)
        key = session_key(session.app_name, session.id)
        message = {**as_message(event, stored), "id": event.id}
        known = _remembered(session)
        expected = known.last if known else (session.events[-1].id if session.events else None)
        while True:
            if known is None or known.revision is None:
                known = await states.find(client, await client.get_conversation(key))
                if known is None:
                    raise SessionNotFoundError(f"Session {session.id} not found.")
                if known.last != expected:
                    raise StaleSessionError(
                        f"Session {session.id} was modified in storage after it was read."
                        " Get it again before you append events."
                    )
            try:
                appended = await append(client, key, message, known.revision)
            except RevisionConflictError:
                known = None  # something else changed: look again
            except IdTakenError:  # another event has the same id
                message["id"] = uuid7()
            else:
                break
        if appended.revision == known.revision:
            return known, False
        now = known.changed(appended.messages[0].id, delta, event.timestamp, appended.revision)
        return await states.write(client, key, now), True

    async def _list_of(
        self, app_name: str, user_id: str, few: asyncio.Semaphore
    ) -> tuple[JsonObject, list[Snapshot]]:
        """Return the state and the sessions of a user."""
        client = self._client.as_user(user_id)
        snapshots = []
        async with few:
            state, _ = await states.read_shared(client, state_key(app_name))
            async for each in client.iter_conversations(metadata={states.APP: app_name}):
                with suppress(NotFoundError):  # it was deleted meanwhile
                    snapshot = await states.find(client, each)
                    if snapshot is not None:
                        snapshots.append(snapshot)
        return state, snapshots

    async def _all_users(self) -> list[str]:
        users: list[str] = []
        cursor = None
        while True:
            page = await self._client.list_users(limit=_MOST, cursor=cursor)
            users += [user.id for user in page.items if user.conversations.value]
            cursor = page.next_cursor
            if cursor is None:
                return users

    def _of_app(self) -> AsyncChatkeep:
        return self._client.as_user(self._app_user)

    async def _read_shared(self, app_name: str, user_id: str) -> tuple[JsonObject, JsonObject]:
        key = state_key(app_name)
        clients = (self._of_app(), self._client.as_user(user_id))
        (app, _), (user, _) = await _together(states.read_shared(each, key) for each in clients)
        return app, user

    async def _change_shared(self, app_name: str, user_id: str, deltas: Deltas) -> None:
        key = state_key(app_name)
        await states.change_shared(self._of_app(), key, deltas.app)
        await states.change_shared(self._client.as_user(user_id), key, deltas.user)


async def _together(awaitables: Iterable[Awaitable[T]]) -> list[T]:
    """Return all results. If one fails, the others are still waited for."""
    tasks = [asyncio.ensure_future(each) for each in awaitables]
    await asyncio.gather(*tasks, return_exceptions=True)
    return [task.result() for task in tasks]


def _to_session(
    user_id: str, snapshot: Snapshot, shared: tuple[JsonObject, JsonObject], events: list[Event]
) -> Session:
    """Return a session with the state that it shares with the app and with the user."""
    app, user = shared
    session = Session(
        id=snapshot.session_id,
        app_name=snapshot.app,
        user_id=user_id,
        state={
            **snapshot.state,
            **{State.APP_PREFIX + key: value for key, value in app.items()},
            **{State.USER_PREFIX + key: value for key, value in user.items()},
        },
        events=events,
        last_update_time=snapshot.time,
    )
    _remember(session, snapshot)
    return session


def _remember(session: Session, snapshot: Snapshot) -> None:
    """Note in a session what it was read as, where ADK's own database does."""
    session._storage_update_marker = msgspec.json.encode(snapshot).decode()  # noqa: SLF001 - see above


def _remembered(session: Session) -> Snapshot | None:
    marker = session._storage_update_marker  # noqa: SLF001 - see `_remember`
    return None if marker is None else msgspec.json.decode(marker, type=Snapshot)
