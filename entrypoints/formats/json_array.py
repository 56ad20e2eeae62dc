"""Writes exports of other services: one JSON array of conversations, each a tree."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.links import Links
from chatkeep.domain.formats.tree_writing import Named, TreeFormat, TreeWriter

_encode: Final = msgspec.json.Encoder().encode


class JsonArray:
    """Writes conversations with the writer of a format, piece by piece, and counts what it lacks.

    `end` closes the array.
    """

    writes_branches = True

    def __init__(self, form: TreeFormat) -> None:
        self.form = form
        self._opening = f'{{"{form.documents_in}":'.encode() + (b"{" if form.by_name else b"[")
        self._closing = b"}" if form.by_name else b"]"
        self._left_out: Counter[str] = Counter()
        self._writer: TreeWriter | None = None
        self._separator = b""
        self._has_begun = False

    def write(self, piece: Piece) -> bytes:
        """Return what comes next in the file."""
        parts = []
        if piece.is_first or self._writer is None:
            links = piece.links or Links()
            self._writer = self.form.make(piece.conversation, links, msgspec.Raw)
            self._separator = b""
            parts += [b",\n" if self._has_begun else b"[\n", self._opening]
            self._has_begun = True
        for entry in piece.entries:
            parts += self._documents(self._writer.add(entry))
        if piece.is_last:
            parts += self._documents(self._writer.rest())
            tail = _encode(self._writer.tail())
            parts += [self._closing, tail[1:] if tail == b"{}" else b"," + tail[1:]]
            self._left_out += self._writer.left_out
            self._writer = None
        return b"".join(parts)

    def end(self) -> bytes:
        """Return the end of the file."""
        return b"\n]\n" if self._has_begun else b"[]\n"

    def left_out(self) -> str:
        """Say what was left out since the format has no place for it; nothing if nothing was."""
        return ", ".join(f"{name} ({count})" for name, count in sorted(self._left_out.items()))

    def _documents(self, documents: Iterable[Named]) -> Iterator[bytes]:
        for name, document in documents:
            yield self._separator
            if self.form.by_name:
                yield _encode(name) + b":"
            yield _encode(document)
            self._separator = b",\n"
