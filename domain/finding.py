"""Finding conversations: the filters of a list, and which conversations they match."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.model import Conversation, ConversationId, JsonText, Status

MAX_READ: Final = 2_000
"""The most conversations that a store reads for one page of a list with filters."""

MAX_SORTED: Final = 10_000
"""The most conversations that a store sorts by their time of creation."""

MAX_COUNTED: Final = 10_000
"""The most conversations that a store reads to count those that match."""

MAX_METADATA_FILTERS: Final = 16
MAX_METADATA_FILTER_BYTES: Final = 4_096
"""The most bytes of all keys and values as JSON: a cursor repeats them in a URL."""

# Its exponent is short enough for every database.
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,99})(\.[0-9]{1,100})?([eE][+-]?[0-9]{1,3})?")
_WORDS: Final = frozenset({"true", "false", "null"})


class Sort(StrEnum):
    """The time by which a list is in order, latest first."""

    UPDATED = "updated"
    CREATED = "created"


@dataclass(frozen=True, slots=True, order=True)
class LastSeen:
    """The last conversation that a page looked at, after which the next page starts.

    `at` is its time in the order of the list.
    """

    at: datetime
    id: ConversationId


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A condition on the conversations of a list. All its parts must match.

    `metadata` are values by key. `updated_after` and `updated_before` exclude their own moment.
    """

    status: Status | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    updated_after: datetime | None = None
    updated_before: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Return whether a store reads what matches, and nothing else.

        It has no index of active conversations: it would cost every append. So a list of them
        passes over archived ones, and needs a bound.
        """
        has_times = self.updated_after is not None or self.updated_before is not None
        return not self.metadata and not has_times and self.status is not Status.ACTIVE

    @property
    def times(self) -> "Filter":
        """Return the filter with its times alone."""
        return Filter(updated_after=self.updated_after, updated_before=self.updated_before)

    def check(self) -> None:
        """Raise `InvalidValueError` for more filters by metadata than a list takes."""
        if len(self.metadata) > MAX_METADATA_FILTERS:
            raise InvalidValueError(
                "metadata", f"has {len(self.metadata)} filters; at most {MAX_METADATA_FILTERS}"
            )
        try:
            size = len(json.dumps(dict(self.metadata), ensure_ascii=False).encode())
        except UnicodeEncodeError:
            raise InvalidValueError("metadata", "is not valid Unicode") from None
        if size > MAX_METADATA_FILTER_BYTES:
            raise InvalidValueError(
                "metadata",
                f"has {size} bytes as JSON; at most {MAX_METADATA_FILTER_BYTES}",
            )

    def matches(self, conversation: Conversation) -> bool:
        updated_at = conversation.updated_at
        return (
            self.status in (None, conversation.status)
            and (self.updated_after is None or updated_at > self.updated_after)
            and (self.updated_before is None or updated_at < self.updated_before)
            and (not self.metadata or _matches(self.metadata, conversation.metadata))
        )


@dataclass(frozen=True, slots=True)
class Found:
    """Conversations that match a filter. `next` is where to go on; None at the end of the list.

    A store that stops after reading many conversations returns few or none, and `next`.
    """

    items: Sequence[Conversation]
    next: LastSeen | None


@dataclass(frozen=True, slots=True)
class MatchCount:
    """How many conversations match a filter: at least `value`, and exactly that if `exact`."""

    value: int
    exact: bool


def too_many_to_sort(most: int) -> InvalidValueError:
    """Return the error for a list by creation with more than `most` conversations to sort."""
    return InvalidValueError(
        "sort",
        f"has more than {most} conversations to put in order; narrow the list with updated_after "
        "and updated_before, or use sort=updated",
    )


def scalar_written_as(text: str) -> JsonText | None:
    """Return the number, boolean or null that this text is in JSON; None if it is not one."""
    if text in _WORDS or _NUMBER.fullmatch(text):
        return JsonText(text)
    return None


def _matches(wanted: Mapping[str, str], metadata: JsonText) -> bool:
    stored = _decode(metadata)
    return all(key in stored and _equals(stored[key], text) for key, text in wanted.items())


def _equals(value: object, text: str) -> bool:
    if value == text:
        return True
    scalar = scalar_written_as(text)
    if scalar is None or isinstance(value, str):
        return False
    written = _decode(scalar)
    return type(value) is type(written) and value == written


def _decode(document: JsonText) -> Any:  # noqa: ANN401 - any JSON
    """Decode with exact numbers, all of one type."""
    return json.loads(document, parse_int=Decimal, parse_float=Decimal)
