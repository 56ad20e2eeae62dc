"""Splits a file into conversations, with no more than one of them in memory.

A file is JSON Lines, one JSON array of conversations, or JSON objects one after the other, which
may take several lines each. An array that begins with a message is one conversation.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from chatkeep.domain.errors import ChatkeepError, InvalidValueError
from chatkeep.entrypoints.formats.decoding import decode

CHUNK_BYTES: Final = 256 * 1024
_LOOK_AHEAD: Final = 1024 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_QUOTE: Final = ord('"')
_OPENING: Final = b"[{"
_BEGINNING: Final = b'[{"'
_SPACE: Final = re.compile(rb"[ \t\r\n]*")
_SCALAR: Final = re.compile(rb"[^ \t\r\n,\]]*")
# A whole string, or a bracket, or a quote whose string does not end here.
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{}]', re.DOTALL)
_IN_STRING: Final = re.compile(rb'[^"\\]*(?:\\.[^"\\]*)*', re.DOTALL)
_OTHER_FILES: Final = {
    b"PK\x03\x04": "is a ZIP archive: give it as a file, since it cannot be read from a pipe",
    b"\x1f\x8b": "is compressed: unpack it, or pipe it in (gzip -dc FILE | chatkeep import -)",
    b"\xff\xfe": "is UTF-16: save it as UTF-8",
    b"\xfe\xff": "is UTF-16: save it as UTF-8",
    b"<": "is HTML or XML, not JSON: of an export of ChatGPT give conversations.json",
}


class Readable(Protocol):
    def read1(self, size: int, /) -> bytes:
        """Return at most `size` bytes, as soon as there are any; none at the end."""
        ...


class BrokenFileError(ChatkeepError):
    """The rest of the file cannot be split into conversations."""


@dataclass(frozen=True, slots=True)
class Element:
    """One conversation's JSON. `place` is the number of its line, or of the conversation.

    `data` is None when it is larger than `max_bytes`; `size` is its size in bytes.
    """

    place: str
    data: bytes | None
    size: int


def elements(file: Readable, *, max_bytes: int = 0, lines: bool = False) -> Iterator[Element]:
    """Yield the conversations of a file, in its order. With `lines` it has to be JSON Lines.

    One that is larger than `max_bytes` is skipped, in constant memory; 0 means no limit. Empty
    lines are skipped too. Raises `BrokenFileError`.
    """
    source = _Source(file)
    source.begin()
    if lines:
        return _lines(source, max_bytes)
    opening = source.data[:1]
    if opening == b"[" and not _is_line(source):
        if _is_conversation(source):
            return _values(source, max_bytes, in_array=False)
        del source.data[:1]
        return _values(source, max_bytes, in_array=True)
    if opening == b"{" and _goes_on(source):
        return _values(source, max_bytes, in_array=False)
    return _lines(source, max_bytes)


class _Source:
    """The data that was read and not yet yielded. `line` is the number of its first line."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.data = bytearray()
        self.line = 1

    def fill(self) -> bool:
        chunk = self._file.read1(CHUNK_BYTES)
        self.data += chunk
        return bool(chunk)

    def begin(self) -> None:
        """Skip to the first element. Raises `BrokenFileError` for a file that cannot be JSON."""
        while len(self.data) < 4 and self.fill():  # noqa: PLR2004 - the longest of the signatures
            pass
        if self.data.startswith(_BOM):
            del self.data[: len(_BOM)]
        self.skip_space()
        for signature, reason in _OTHER_FILES.items():
            if self.data.startswith(signature):
                raise BrokenFileError(reason)

    def skip_space(self) -> bool:
        """Skip white space; return whether anything follows it."""
        while True:
            end = _end(_SPACE, self.data, 0)
            self.line += self.data.count(b"\n", 0, end)
            del self.data[:end]
            if self.data:
                return True
            if not self.fill():
                return False


class _Nesting:
    """Finds the end of a JSON value that begins with a bracket or a quote, chunk by chunk."""

    def __init__(self) -> None:
        self.depth = 0
        self.in_string = False

    def feed(self, data: bytes | bytearray, at: int) -> tuple[int, bool]:
        """Continue at `at`; return where to continue next, and whether the value ended there."""
        while True:
            if self.in_string:
                at = _end(_IN_STRING, data, at)
                if at == len(data) or data[at] != _QUOTE:  # or in the middle of an escape
                    return at, False
                self.in_string = False
                at += 1
                if self.depth == 0:
                    return at, True
            for token in _TOKEN.finditer(data, at):
                first = data[token.start()]
                if first == _QUOTE:
                    if token.end() - token.start() == 1:
                        at = token.end()
                        self.in_string = True
                        break
                elif first in _OPENING:
                    self.depth += 1
                else:
                    self.depth -= 1
                    if self.depth == 0:
                        return token.end(), True
            else:
                return len(data), False


def _lines(source: _Source, max_bytes: int) -> Iterator[Element]:
    number, size, looked_at, is_over = source.line, 0, 0, False
    more = True
    while more:
        end = source.data.find(b"\n", looked_at)
        if end < 0 and (more := source.fill()):
            looked_at = len(source.data)
            end = source.data.find(b"\n", max(0, looked_at - CHUNK_BYTES))
        if end < 0:
            looked_at = len(source.data)
            if max_bytes and size + looked_at > max_bytes:
                is_over = True
                size += looked_at
                source.data.clear()
                looked_at = 0
            if more:
                continue
            end = len(source.data)
        size += end
        is_over = is_over or 0 < max_bytes < size
        line = b"" if is_over else bytes(source.data[:end])
        if is_over or line.strip():
            yield Element(str(number), None if is_over else line, size)
        del source.data[: end + 1]
        number, size, looked_at, is_over = number + 1, 0, 0, False


def _values(source: _Source, max_bytes: int, *, in_array: bool) -> Iterator[Element]:
    number = 0
    while source.skip_space():
        first = source.data[:1]
        if in_array:
            if first == b"]":
                del source.data[:1]
                if source.skip_space():
                    raise BrokenFileError("goes on after the end of its array")
                return
            if number:
                if first != b",":
                    raise BrokenFileError(f"has no comma after conversation {number}")
                del source.data[:1]
                if not source.skip_space():
                    break
        elif first not in _OPENING:
            raise BrokenFileError(f"has no object after conversation {number}")
        number += 1
        yield _value(source, f"conversation {number}", max_bytes)
    if in_array:
        raise BrokenFileError(f"ends before its array does, after conversation {number}")


def _value(source: _Source, place: str, max_bytes: int) -> Element:
    if source.data[0] not in _BEGINNING:
        while (end := _end(_SCALAR, source.data, 0)) == len(source.data) and source.fill():
            pass
        data = bytes(source.data[: max(end, 1)])
        del source.data[: len(data)]
        return Element(place, data, len(data))
    nesting = _Nesting()
    nesting.in_string = source.data[0] == _QUOTE
    passed_over, at = 0, int(nesting.in_string)
    while True:
        at, is_whole = nesting.feed(source.data, at)
        if max_bytes and passed_over + at > max_bytes:
            passed_over += at
            del source.data[:at]
            at = 0
        if is_whole:
            break
        if not source.fill():
            raise BrokenFileError(f"ends in the middle of {place}")
    size = passed_over + at
    data = bytes(source.data[:at])
    del source.data[:at]
    return Element(place, None if passed_over else data, size)


def _is_line(source: _Source) -> bool:
    """Return whether the file begins with an array on one line, and other lines follow."""
    nesting, at, is_whole = _Nesting(), 0, False
    while not is_whole:
        at, is_whole = nesting.feed(source.data, at)
        if not is_whole and (at > _LOOK_AHEAD or not source.fill()):
            return False
    if b"\n" in source.data[:at]:
        return False
    while (end := _end(_SPACE, source.data, at)) == len(source.data):
        if not source.fill():
            return False
    return b"\n" in source.data[at:end]


def _is_conversation(source: _Source) -> bool:
    """Return whether the array at the start of the file has the messages of one conversation."""
    at = 1
    while (at := _end(_SPACE, source.data, at)) == len(source.data):
        if not source.fill():
            return False
    if source.data[at : at + 1] != b"{":
        return False
    nesting, begin, is_whole = _Nesting(), at, False
    while not is_whole:
        at, is_whole = nesting.feed(source.data, at)
        if not is_whole and (at > _LOOK_AHEAD or not source.fill()):
            return False
    try:
        first = decode(bytes(source.data[begin:at]))
    except InvalidValueError:
        return False
    return isinstance(first, dict) and isinstance(first.get("role"), str)


def _goes_on(source: _Source) -> bool:
    """Return whether the object at the beginning of the file continues after its first line."""
    while (end := source.data.find(b"\n")) < 0 or len(source.data) == end + 1:
        # Wait for the next line only if this one is not complete.
        if end >= 0 and _Nesting().feed(source.data[:end], 0)[1]:
            return False
        if len(source.data) > _LOOK_AHEAD or not source.fill():
            return False
    nesting = _Nesting()
    _, is_whole = nesting.feed(source.data[:end], 0)
    # If the next line begins an object too, the file is JSON Lines with a broken first line.
    return not is_whole and not nesting.in_string and source.data[end + 1 : end + 2] != b"{"


def _end(pattern: re.Pattern[bytes], data: bytes | bytearray, at: int) -> int:
    """Return where the match ends. The pattern matches at every place."""
    found = pattern.match(data, at)
    return at if found is None else found.end()
