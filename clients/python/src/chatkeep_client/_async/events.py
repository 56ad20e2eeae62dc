"""Following a conversation live."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Final

import httpx

from chatkeep_client._async.sending import AsyncSender
from chatkeep_client._events import LAST, EventReader
from chatkeep_client._requests import Request, conversation, into, nothing
from chatkeep_client.models import Event, EventPage

_PAUSE: Final = 0.25

_page = into(EventPage)


class AsyncEvents(AsyncSender):
    """The route of events."""

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
        if after is None:
            after = (await self.get_events(conversation_id)).next_cursor
        path = conversation(conversation_id, "events")
        reader, chosen = EventReader(after), _chosen(types)
        while True:
            request = Request("GET", path, nothing, query={"after": reader.cursor, "types": chosen})
            try:
                async with self._stream(request) as response:
                    async for chunk in response.aiter_bytes():
                        for event in reader.feed(chunk):
                            yield event
                            if event.type in LAST:
                                return
            except httpx.TransportError:
                pass  # open another one behind the last event
            reader = EventReader(reader.cursor)
            await asyncio.sleep(_PAUSE)

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
        path = conversation(conversation_id, "events")
        query = {"after": after, "wait": wait, "types": _chosen(types)}
        return await self._send(Request("GET", path, _page, query=query))


def _chosen(types: Sequence[str]) -> str | None:
    return ",".join(types) or None
