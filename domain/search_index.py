"""The search index: which parts of a conversation may have the words of a query.

The index of a conversation is a list of segments, each of successive messages. A segment is divided
into at most eight lanes, runs of messages of about the same length, and has a filter of bits. Each
key of a lane's text sets four of the lane's bits, at places that are computed from the key. So a
lane may have a key only if all four are set.

A filter never misses a key, but now and then it seems to have one that is not there. What it finds
is therefore compared with the text. No word can be read from it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from math import ceil
from typing import Final, NamedTuple

from chatkeep.domain.folding import UNSPACED
from chatkeep.domain.model import Position
from chatkeep.domain.terms import distinct_terms, index_term

INDEX_VERSION: Final = 3
"""Grows whenever a text gets other keys, so that indexes that do not have them are made again.

Version 2 has the calls of tools, too, and version 3 the items of OpenAI's API.
"""

MAX_LANES: Final = 8

SEGMENT_BYTES: Final = 8_192
"""A segment ends before its text exceeds this, unless a single entry does."""

STORED_BYTES: Final = 262_144
"""A segment ends before what is stored of its entries, such as images, exceeds this."""

PREFIX_CHARS: Final = 4
"""The beginning of a word is looked up by its first characters, this many at least."""

PLACE_BYTES: Final = 6
"""The bytes of a lane's place in its segment: enough for nine years in microseconds."""

HASHES: Final = 4
"""The bits that a key sets."""

# A lane then seems to have one key in eighty that it does not have.
_BITS_PER_KEY: Final = 10
_LEAST_BYTES: Final = 4
_MAX_SPAN: Final = 256**PLACE_BYTES - 1
_UNSPACED: Final = re.compile(f"[{''.join(UNSPACED)}]")


class IndexedText(NamedTuple):
    """The text of an entry, and the version and the bytes of what it was read from."""

    position: Position
    text: str
    version: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of the index: the messages from `first` to `last`.

    `places` has where its lanes start, but for the first one. `mark` is another number after any
    change of the messages.
    """

    first: Position
    last: Position
    mark: int
    places: bytes
    filter: bytes

    @property
    def lanes(self) -> int:
        return len(self.places) // PLACE_BYTES + 1

    def may_have(self, key: str) -> int:
        """Return the lanes that may have the key, as bits: the first lane is the lowest one."""
        lanes, size = self.lanes, len(self.filter)
        groups = MAX_LANES // lanes
        found = (1 << lanes) - 1
        for number in hashes(key):
            group = number // size % groups
            found &= self.filter[number % size] >> group * lanes
        return found


def build_segments(texts: Sequence[IndexedText]) -> list[Segment]:
    """Return the segments of successive messages, oldest first."""
    return [_segment(part) for part in _cut(texts)]


def latest_lane(
    first: Position, last: Position, places: bytes, lanes: int
) -> tuple[Position, Position, int]:
    """Return where the latest of the `lanes` of a segment is, and the others.

    `lanes` is a set of bits, not empty. The lane is from one position up to another.
    """
    number = lanes.bit_length() - 1
    at = number * PLACE_BYTES
    start = first + int.from_bytes(places[at - PLACE_BYTES : at]) if number else first
    after = places[at : at + PLACE_BYTES]
    end = first + int.from_bytes(after) - 1 if after else last
    return Position(start), Position(end), lanes ^ (1 << number)


def mark(versions: Collection[int]) -> int:
    """Return a number that tells apart the versions of a segment's messages."""
    return sum(versions) * 1_000 + len(versions)


def keys_of(terms: Collection[str]) -> set[str]:
    """Return the keys by which a text with these terms is found: its terms, and beginnings."""
    keys = set(terms)
    for term in terms:
        if not term.isascii() and _UNSPACED.match(term):
            keys.add(f"{term[0]}*")
        elif len(term) > PREFIX_CHARS:
            keys.add(f"{term[:PREFIX_CHARS]}*")
    return keys


def keys_of_term(term: str) -> frozenset[str]:
    """Return the keys of which a text with this term has one."""
    return frozenset({index_term(term)})


def keys_of_prefix(prefix: str) -> frozenset[str] | None:
    """Return keys of which a text has one if a term begins with `prefix`; None if unknown."""
    if _UNSPACED.match(prefix):
        return frozenset({f"{prefix[0]}*" if len(prefix) == 1 else prefix})
    if len(prefix) < PREFIX_CHARS:
        return None
    longer = f"{prefix[:PREFIX_CHARS]}*"
    return frozenset({longer, prefix} if len(prefix) == PREFIX_CHARS else {longer})


@lru_cache(maxsize=65_536)
def hashes(key: str) -> tuple[int, ...]:
    digest = blake2b(key.encode(), digest_size=4 * HASHES).digest()
    return tuple(int.from_bytes(digest[at : at + 4]) for at in range(0, len(digest), 4))


def _cut(texts: Sequence[IndexedText]) -> Iterator[list[tuple[IndexedText, int]]]:
    """Yield the messages of each segment, with their sizes."""
    part: list[tuple[IndexedText, int]] = []
    total = stored = 0
    for text in texts:
        size = len(text.text.encode())
        if part and (
            total + size > SEGMENT_BYTES
            or stored + text.stored_bytes > STORED_BYTES
            or text.position - part[0][0].position > _MAX_SPAN
        ):
            yield part
            part, total, stored = [], 0, 0
        part.append((text, size))
        total += size
        stored += text.stored_bytes
    if part:
        yield part


def _segment(part: Sequence[tuple[IndexedText, int]]) -> Segment:
    lanes = list(_divide(part))
    keys = [keys_of(set().union(*(distinct_terms(each.text) for each in lane))) for lane in lanes]
    first, last = part[0][0].position, part[-1][0].position
    return Segment(
        first,
        last,
        mark([text.version for text, _ in part]),
        b"".join((lane[0].position - first).to_bytes(PLACE_BYTES) for lane in lanes[1:]),
        _filter(keys),
    )


def _divide(part: Sequence[tuple[IndexedText, int]]) -> Iterator[list[IndexedText]]:
    """Yield the messages of each lane: one each if they are few, or else of about equal size."""
    if len(part) <= MAX_LANES:
        yield from ([text] for text, _ in part)
        return
    share = sum(size for _, size in part) / MAX_LANES
    lane: list[IndexedText] = []
    number, total = 1, 0.0
    for text, size in part:
        if lane and number < MAX_LANES and total + size / 2 > share * number:
            yield lane
            lane = []
            number += 1
        lane.append(text)
        total += size
    yield lane


def _filter(keys: Sequence[Collection[str]]) -> bytes:
    """Return the filter of lanes with these keys."""
    lanes = len(keys)
    groups = MAX_LANES // lanes
    counts = [len(each) for each in keys]
    # A lane with more keys than the others may be fuller.
    load = max(sum(counts) / lanes, max(counts) / 2)
    size = max(_LEAST_BYTES, ceil(_BITS_PER_KEY * load / groups))
    bits = bytearray(size)
    for lane, each in enumerate(keys):
        if groups == 1:  # most segments: this takes a third of the time
            bit = 1 << lane
            for one, two, three, four in map(hashes, each):
                bits[one % size] |= bit
                bits[two % size] |= bit
                bits[three % size] |= bit
                bits[four % size] |= bit
            continue
        for key in each:
            for number in hashes(key):
                bits[number % size] |= 1 << number // size % groups * lanes + lane
    return bytes(bits)


def title_filter(title: str | None) -> bytes:
    """Return the filter of a title: one lane."""
    return _filter([keys_of(distinct_terms(title or ""))])
