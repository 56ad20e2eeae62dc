# Written by sync_from_async.py from _async/events.py; change that file.
"""Following a conversation, or all of the user's, live."""

import time
from collections.abc import Generator, Sequence
from typing import Final

import httpx

from chatkeep_client._events import IDLE, LAST, EventReader
from chatkeep_client._requests import Request, conversation, into, nothing
from chatkeep_client._sync.sending import Sender
from chatkeep_client.models import Event, EventPage

_PAUSE: Final = 0.25
_MINE: Final = "/v1/events"

_page = into(EventPage)


class Events(Sender):
    """The routes of events."""

    def follow_conversation(
        self, conversation_id: str, *, after: str | None = None, types: Sequence[str] = ()
    ) -> Generator[Event, None, None]:
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
        yield from self._follow(conversation(conversation_id, "events"), after, types)

    def follow_me(
        self, *, after: str | None = None, types: Sequence[str] = ()
    ) -> Generator[Event, None, None]:
        """Yield what happens to all conversations of the user, for a list that stays true.

        There are no drafts, and `conversation.created` comes, too. Otherwise it is like
        `follow_conversation`; it goes on behind a deleted conversation.
        """
        yield from self._follow(_MINE, after, types)

    def get_events(
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
        return self._page(conversation(conversation_id, "events"), after, wait, types)

    def get_my_events(
        self, *, after: str | None = None, wait: int = 0, types: Sequence[str] = ()
    ) -> EventPage:
        """Return the events of all conversations of the user after a cursor (a long poll)."""
        return self._page(_MINE, after, wait, types)

    def _page(self, path: str, after: str | None, wait: int, types: Sequence[str]) -> EventPage:
        query = {"after": after, "wait": wait, "types": _chosen(types)}
        return self._send(Request("GET", path, _page, query=query))

    def _follow(
        self, path: str, after: str | None, types: Sequence[str]
    ) -> Generator[Event, None, None]:
        if after is None:
            after = (self._page(path, None, 0, ())).next_cursor
        last = {IDLE} if path == _MINE else LAST
        reader, chosen = EventReader(after), _chosen(types)
        while True:
            request = Request("GET", path, nothing, query={"after": reader.cursor, "types": chosen})
            try:
                with self._stream(request) as response:
                    for chunk in response.iter_bytes():
                        for event in reader.feed(chunk):
                            yield event
                            if event.type in last:
                                return
            except httpx.TransportError:
                pass  # open another one behind the last event
            reader = EventReader(reader.cursor)
            time.sleep(_PAUSE)


def _chosen(types: Sequence[str]) -> str | None:
    return ",".join(types) or None
