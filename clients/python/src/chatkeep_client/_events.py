"""Reads streams of server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html."""

from typing import Final

import msgspec

from chatkeep_client.errors import UnexpectedAnswerError
from chatkeep_client.models import Event

IDLE: Final = "stream.idle"
LAST: Final = frozenset({"conversation.deleted", IDLE})
"""The types of events after which nothing more comes."""

_DECODER: Final = msgspec.json.Decoder(Event)


class EventReader:
    """Makes events of the chunks of a stream. `cursor` is the latest id."""

    def __init__(self, cursor: str) -> None:
        self.cursor = cursor
        self._rest = b""
        self._id = cursor
        self._type = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that are complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        read = (self._read(line.removesuffix(b"\r")) for line in lines)
        return [event for event in read if event is not None]

    def _read(self, line: bytes) -> Event | None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"event":
            self._type = value
        elif name == b"data":
            self._data.append(value)
        elif name == b"id":
            self._id = value.decode()
        elif not line:
            return self._end()
        return None

    def _end(self) -> Event | None:
        """Return the event that an empty line ends; None if there is none."""
        self.cursor = self._id  # not before: half an event does not count
        kind, data = self._type.decode(), b"\n".join(self._data)
        self._type, self._data = b"", []
        if not kind:
            return None
        if kind == IDLE:
            return Event(type=kind, cursor=self.cursor)
        try:
            event = _DECODER.decode(data)
        except msgspec.DecodeError as error:
            raise UnexpectedAnswerError(f"an event {kind!r} cannot be read: {error}") from error
        event.cursor = self.cursor
        return event
