"""Following a conversation, or all of the user's, live."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import httpx

from chatkeep_client._async.sending import AsyncSender
from chatkeep_client._events import IDLE, LAST, EventReader
from chatkeep_client._requests import Request, conversation, into, nothing
from chatkeep_client.models import Event, EventPage

_PAUSE: Final = 0.25
_MINE: Final = "/v1/events"

_page = into(EventPage)


class AsyncEvents(AsyncSender):
    """The routes of events."""

    async def follow_conversation(
        self, conversation_id: str, *, after: str | None = None, types: Sequence[str] = ()
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens to a conversation, as it happens, over as many streams as it takes.

        - `after`: the `cursor` of an event, to go on behind it; `start` for all messages. Without
          it, only what happens from now on.
        - `types`: only events of these types.
        - It ends with `conversation.deleted`, or with `stream.idle` when nothing has happened for a
          while, so that the database can sleep. To go on later, give the `cursor` of that event.
        - Each message comes at least once, in the order in which messages were stored, whatever
          breaks meanwhile. An event may come again only after one that was lost.

        Raises `NotFoundError`; `GoneError` if the conversation has changed since a cursor that is
        older than the service keeps changes; `ConnectionFailedError` if a stream cannot be opened
        again.
        """
        async for event in self._follow(conversation(conversation_id, "events"), after, types):
            yield event

    async def follow_me(
        self, *, after: str | None = None, types: Sequence[str] = ()
    ) -> AsyncGenerator[Event, None]:
        """Yield what happens to all conversations of the user, for a list that stays true.

        There are no drafts, and `conversation.created` comes, too. Otherwise it is like
        `follow_conversation`; it goes on behind a deleted conversation.
        """
        async for event in self._follow(_MINE, after, types):
            yield event

    async def get_events(
        self,
        conversation_id: str,
        *,
        after: str | None = None,
        wait: int = 0,
        types: Sequence[str] = (),
    ) -> EventPage:
        """Return the events after a cursor, as soon as there are any (a long poll).

        It waits at most `wait` seconds, up to 60 and less than the timeout of the client, and then
        returns none. `after`, `types` and `next_cursor` are those of `follow_conversation`. Raises
        `NotFoundError` and `GoneError`.
        """
        return await self._page(conversation(conversation_id, "events"), after, wait, types)

    async def get_my_events(
        self, *, after: str | None = None, wait: int = 0, types: Sequence[str] = ()
    ) -> EventPage:
        """Return the events of all conversations of the user after a cursor (a long poll)."""
        return await self._page(_MINE, after, wait, types)

    async def _page(
        self, path: str, after: str | None, wait: int, types: Sequence[str]
    ) -> EventPage:
        query = {"after": after, "wait": wait, "types": _chosen(types)}
        return await self._send(Request("GET", path, _page, query=query))

    async def _follow(
        self, path: str, after: str | None, types: Sequence[str]
    ) -> AsyncGenerator[Event, None]:
        if after is None:
            after = (await self._page(path, None, 0, ())).next_cursor
        last = {IDLE} if path == _MINE else LAST
        reader, chosen = EventReader(after), _chosen(types)
        while True:
            request = Request("GET", path, nothing, query={"after": reader.cursor, "types": chosen})
            try:
                async with self._stream(request) as response:
                    async for chunk in response.aiter_bytes():
                        for event in reader.feed(chunk):
                            yield event
                            if event.type in last:
                                return
            except httpx.TransportError:
                pass  # open another one behind the last event
            reader = EventReader(reader.cursor)
            await asyncio.sleep(_PAUSE)


def _chosen(types: Sequence[str]) -> str | None:
    return ",".join(types) or None
