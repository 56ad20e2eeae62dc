"""Chunks of a draft as lines of JSON, so that each has a number that both sides know."""

import codecs
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

Chunk = str | Mapping[str, Any]
MediaType = Literal["text/plain", "application/x-ndjson", "text/event-stream"]
"""What a body is: the answer's text, chunks as lines of JSON, or as the data of events."""

_EVENTS: Final = "text/event-stream"
_DONE: Final = b"[DONE]"
_encode: Final = msgspec.json.Encoder().encode


class ChunkLines:
    """Makes lines of chunks; of pieces of a body, wherever they are cut, with its `media_type`."""

    def __init__(self, media_type: MediaType | None) -> None:
        self._is_split = media_type not in {None, "text/plain"}
        self._has_events = media_type == _EVENTS
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._rest: list[bytes] = []

    def read(self, piece: Chunk | bytes) -> list[bytes]:
        """Return the lines that are complete now. An empty text is left out."""
        if self._is_split and not isinstance(piece, Mapping):
            data = piece.encode() if isinstance(piece, str) else piece
            self._rest.append(data)
            if b"\n" not in data:  # a long line is joined once, however many pieces it has
                return []
            *lines, rest = b"".join(self._rest).split(b"\n")
            self._rest = [rest]
            return [found for line in lines if (found := self._chunk_of(line))]
        if isinstance(piece, bytes | bytearray | memoryview):
            piece = self._decoder.decode(piece)
        return [_encode(piece) + b"\n"] if piece or isinstance(piece, Mapping) else []

    def end(self) -> list[bytes]:
        """Return what is left. Raises `UnicodeDecodeError` for half a character."""
        if self._is_split:
            return self.read(b"\n")
        return self.read(self._decoder.decode(b"", final=True))

    def _chunk_of(self, line: bytes) -> bytes:
        line = line.strip()
        if self._has_events:
            name, _, data = line.partition(b":")
            line = data.strip() if name == b"data" else b""
        return b"" if line in {b"", _DONE} else line + b"\n"
