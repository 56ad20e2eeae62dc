"""What all codecs share: the words for what they read and write, and checks of documents.

A document is JSON in Python's values: dict, list, str, int, float, bool and None. One that is
written may hold UUIDs, times and enumerations too, which encoders of JSON write as strings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar
from uuid import UUID

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.json_fields import UNPAIRED_SURROGATE, is_unicode
from chatkeep.domain.log import Entry, NewEntry
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    Conversation,
    ConversationId,
    JsonText,
    NewMessage,
    Status,
)

T = TypeVar("T")

# The ids of what was imported follow from it: with another one, importing again would add it again.
IMPORTS: Final = UUID("d5d10f58-3666-4023-a1c1-dea950fb03d5")
WHOLE: Final = "conversation"
"""The name of the field when it is the whole document."""

Document = dict[str, Any]

Embed = Callable[[str], object]
"""Makes a stored JSON text part of a document.

`msgspec.Raw` for one that is encoded next, since its text is then copied; `json.loads` for one to
look into.
"""

_SHOWN_CHARS: Final = 100
_NAMES: Final[Mapping[type, str]] = {
    bool: "a boolean",
    dict: "an object",
    float: "a number",
    int: "an integer",
    list: "an array",
    str: "a string",
    type(None): "null",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A conversation as its source gives it; what the source does not say is None.

    `canonical` is the same text whenever the same conversation is given, and the id follows from
    it; it is empty beside an `id`. `may_grow`: `canonical` does not follow from the messages, which
    may be more another time; all of them have ids then.
    """

    canonical: str
    may_grow: bool = False
    id: ConversationId | None = None
    title: str | None = None
    status: Status = Status.ACTIVE
    metadata: JsonText = EMPTY_OBJECT
    retain: bool = False
    created_at: datetime | None = None
    updated_at: datetime | None = None
    entries: tuple[NewEntry, ...] = ()

    @property
    def messages(self) -> tuple[NewMessage, ...]:
        return tuple(entry.message for entry in self.entries if entry.message is not None)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive entries of a conversation that is exported; pieces come in order.

    `is_first` and `is_last` are its first and last piece, which one alone may be.
    """

    conversation: Conversation
    entries: tuple[Entry, ...]
    is_first: bool
    is_last: bool


@dataclass(frozen=True, slots=True)
class Reader:
    """How conversations of a format are read.

    `recognizes`: whether a document is one of this format; it looks, and raises nothing.
    """

    recognizes: Callable[[object], bool]
    _read: Callable[[object], Line]

    def read(self, document: object) -> Line:
        """Return the conversation. Raises `InvalidValueError` naming the field."""
        try:
            return self._read(document)
        except RecursionError:
            raise InvalidValueError(WHOLE, "is nested too deeply") from None
        except UnicodeEncodeError:
            raise InvalidValueError(WHOLE, UNPAIRED_SURROGATE) from None


class Writer(Protocol):
    """How conversations are written in a format: each is one document.

    The document has the members of `head`, then `messages`, then those of `tail`.
    """

    writes_empty: bool
    """Whether a conversation of which no entry is written is written at all."""

    leaves_out: frozenset[str]
    """The fields of a message that have no place in the format."""

    def head(self, conversation: Conversation, embed: Embed) -> Document: ...

    def entry(self, entry: Entry, embed: Embed) -> Document | None:
        """Return the document of an entry; None when the format has no place for it."""
        ...

    def tail(self, conversation: Conversation, embed: Embed) -> Document: ...


def expect(value: object, field: str, *kinds: type) -> Any:  # noqa: ANN401 - one of `kinds`
    """Return the value, which is of one of these kinds; an int is a float too.

    Raises `InvalidValueError`.
    """
    kind = type(value)
    if kind in kinds or (kind is int and float in kinds):
        if isinstance(value, str) and not value.isascii() and not is_unicode(value):
            raise InvalidValueError(field, UNPAIRED_SURROGATE)
        return value
    wanted = " or ".join(_NAMES[each] for each in kinds)
    raise InvalidValueError(field, f"must be {wanted}, not {_NAMES.get(kind, kind.__name__)}")


def required(document: Mapping[str, object], name: str, within: str, *kinds: type) -> Any:  # noqa: ANN401
    """Return a member that has to be there, of one of these kinds."""
    if name not in document:
        raise InvalidValueError(path(within, name), "is missing")
    return _member(document[name], name, within, kinds)


def optional(document: Mapping[str, object], name: str, within: str, *kinds: type) -> Any:  # noqa: ANN401
    """Return a member of one of these kinds; None when it is null or not there."""
    value = document.get(name)
    return None if value is None else _member(value, name, within, (*kinds, type(None)))


def _member(value: object, name: str, within: str, kinds: tuple[type, ...]) -> Any:  # noqa: ANN401
    # Most fit: for them no path is put together.
    if type(value) in kinds and (not isinstance(value, str) or value.isascii()):
        return value
    return expect(value, path(within, name), *kinds)


def objects(document: Mapping[str, object], name: str, within: str = "") -> list[Document]:
    """Return a member that is an array of objects."""
    field = path(within, name)
    return check_objects(required(document, name, within, list), field)


def check_objects(values: Sequence[object], field: str) -> list[Document]:
    return [expect(each, f"{field}[{index}]", dict) for index, each in enumerate(values)]


def without(document: Mapping[str, T], *names: str) -> dict[str, T]:
    """Return the other members."""
    return {name: value for name, value in document.items() if name not in names}


def one_of(choices: Mapping[str, T], given: str, field: str) -> T:
    """Return what the word stands for. Raises `InvalidValueError` for another word."""
    if given not in choices:
        reason = f"is {given[:50]!r}, not one of {', '.join(choices)}"
        raise InvalidValueError(field, reason)
    return choices[given]


def path(within: str, name: str) -> str:
    """Return the path of a member, for messages. A long name is cut."""
    if len(name) > _SHOWN_CHARS:
        name = f"{name[:_SHOWN_CHARS]}..."
    return f"{within}.{name}" if within else name
