"""Writes exports as JSON Lines: one document per conversation and line, written piece by piece.

Lines end with a line feed and nothing else; the text is UTF-8.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from chatkeep.domain.formats.branches import BranchWriter
from chatkeep.domain.formats.codec import Document, Piece, Writer
from chatkeep.domain.formats.table import WRITERS, FileFormat
from chatkeep.domain.log import Entry

_encode: Final = msgspec.json.Encoder().encode


class JsonLines:
    """Writes conversations with the writer of a format, and counts what it leaves out.

    The default is the service's own format, which leaves out nothing.
    """

    def __init__(self, writer: Writer = WRITERS[FileFormat.JSONL]) -> None:
        self._writer = writer
        self._opening = f'"{writer.messages_in}":['.encode()
        # Goes before the next entry; None until the line has begun.
        self._separator: bytes | None = None
        self._held: list[Entry] = []
        self._members: Document = {}
        self._entries_left_out = 0
        self._conversations_left_out = 0
        self._branches_left_out = 0
        self._branches: BranchWriter | None = None

    @property
    def writes_branches(self) -> bool:
        return self._writer.writes_branches

    def write(self, piece: Piece) -> bytes:
        """Return what comes next in the file."""
        parts = []
        if piece.is_first:
            self._separator = None
            self._members = {}
            self._branches = None if piece.tree is None else BranchWriter(piece.tree)
            self._branches_left_out += piece.other_branches
            if self._writer.writes_empty:
                parts.append(self._begin(piece))
        for entry in piece.entries:
            if not self._writer.continues(entry):
                parts += self._write_held(piece)
            self._held.append(entry)
        if piece.is_last:
            parts += self._write_held(piece)
            if self._separator is None:
                self._conversations_left_out += 1
            else:
                members = self._members | self._writer.tail(piece.conversation, msgspec.Raw)
                if self._branches is not None:
                    members = members | self._branches.tail()
                tail = _encode(members)
                parts += [b"]", tail[1:] if tail == b"{}" else b"," + tail[1:], b"\n"]
        return b"".join(parts)

    def left_out(self) -> str:
        """Say what was left out since the format has no place for it; nothing if nothing was."""
        counts = []
        if self._entries_left_out:
            counts.append(f"{self._entries_left_out} {self._writer.skips}")
        if self._conversations_left_out:
            counts.append(f"{self._conversations_left_out} conversations without messages")
        if self._branches_left_out:
            counts.append(f"{self._branches_left_out} branches that are not the current one")
        return " and ".join(counts)

    def _write_held(self, piece: Piece) -> Iterator[bytes]:
        """Yield the entries that wait for those to be written together with them."""
        if not self._held:
            return
        documents = self._writer.write(self._held, msgspec.Raw)
        members = self._writer.members(self._held, msgspec.Raw)
        self._members |= members
        if not documents and not members:
            self._entries_left_out += len(self._held)
        if self._branches is not None:
            documents = [*map(self._branches.mark, documents, self._held)]
        self._held = []
        for document in documents:
            yield self._begin(piece) if self._separator is None else self._separator
            yield _encode(document)
            self._separator = b","

    def _begin(self, piece: Piece) -> bytes:
        self._separator = b""
        head = _encode(self._writer.head(piece.conversation, msgspec.Raw))
        return (head[:-1] if head == b"{}" else head[:-1] + b",") + self._opening
