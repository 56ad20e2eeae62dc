"""The types that all codecs share, and checks of documents.

A document is JSON as Python values: dict, list, str, int, float, bool and None. A written document
may also contain UUIDs, times and enumerations, which JSON encoders write as strings.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar, cast
from uuid import UUID

from chatkeep.domain.branches import Tree
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.links import Links
from chatkeep.domain.json_fields import UNPAIRED_SURROGATE, is_unicode
from chatkeep.domain.log import Entry, NewEntry
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    FIRST_REVISION,
    Conversation,
    ConversationId,
    ForkedFrom,
    JsonText,
    MessageId,
    NewMessage,
    OriginalText,
    Status,
)

T = TypeVar("T")

# The ids of imported conversations are derived from it. It must never change, or a second import
# would add them again.
IMPORTS: Final = UUID("d5d10f58-3666-4023-a1c1-dea950fb03d5")
WHOLE: Final = "conversation"
"""The name of the field for the whole document."""

Document = dict[str, Any]

Embed = Callable[[str], object]
"""Makes a stored JSON text part of a document.

Use `msgspec.Raw` for a document to encode, since it copies the text, and `json.loads` for one to
inspect.
"""

Originals = Mapping[str | int, str]
"""The texts of the documents of messages, as they are in the source: by place, or by name."""

FindOriginals = Callable[[str], Originals]
"""Returns the texts of what is in a member of the document that is read; all of a list alone."""

NO_ORIGINALS: Final[Originals] = {}

_SHOWN_CHARS: Final = 100
_NOTHING: Final[tuple[Any, ...]] = (None, "", [], {})
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
    """A conversation from a source. Values that the source does not have are None.

    `canonical` is the same text for the same conversation, and the id is derived from it; it is
    empty if there is an `id`. `may_grow` means that `canonical` does not depend on the messages, so
    a later import may have more of them; then all messages have ids.

    `formerly` is the canonical text of what earlier versions read from the same source, if it was
    another one. `formerly_left_out` are messages that they did not store.

    `without_place` counts, by name, the members of the source that are kept in metadata since they
    have no separate field.
    """

    canonical: str
    formerly: str = field(default="", compare=False)
    may_grow: bool = False
    formerly_left_out: frozenset[MessageId] = frozenset()
    without_place: Mapping[str, int] = field(default_factory=dict, compare=False)
    id: ConversationId | None = None
    title: str | None = None
    status: Status = Status.ACTIVE
    metadata: JsonText = EMPTY_OBJECT
    retain: bool = False
    revision: int = FIRST_REVISION
    created_at: datetime | None = None
    updated_at: datetime | None = None
    entries: tuple[NewEntry, ...] = ()
    tree: Tree | None = None
    """The branches, if it has any; positions are places in `entries`, from 1."""
    forked_from: ForkedFrom | None = None

    @property
    def messages(self) -> tuple[NewMessage, ...]:
        return tuple(entry.message for entry in self.entries if entry.message is not None)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive entries of an exported conversation; pieces come in order.

    `is_first` and `is_last` mark the first and the last piece; a single piece is both.
    """

    conversation: Conversation
    entries: tuple[Entry, ...]
    is_first: bool
    is_last: bool
    tree: Tree | None = None
    """The branches, if the conversation has any and the entries are those of all."""

    other_branches: int = 0
    """How many branches are left out: then the entries are those of the current one."""

    links: Links | None = None
    """How the runs of the branches hang together, for formats that need it."""


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads conversations of a format.

    `recognizes` returns whether a document is of this format, and never raises. `messages_in` is
    the member of a document with those of its messages.
    """

    recognizes: Callable[[object], bool]
    _read: Callable[[object, Originals], Line]
    messages_in: str

    def read(self, document: object, find_originals: FindOriginals | None = None) -> Line:
        """Return the conversation. Raises `InvalidValueError` naming the field.

        With `find_originals` each message has its document as its original; of several messages
        that one document became, the first.
        """
        found = NO_ORIGINALS if find_originals is None else find_originals(self.messages_in)
        try:
            return self._read(document, found)
        except RecursionError:
            raise InvalidValueError(WHOLE, "is nested too deeply") from None
        except UnicodeEncodeError:
            raise InvalidValueError(WHOLE, UNPAIRED_SURROGATE) from None


class Writer(Protocol):
    """Writes conversations in a format: each is one document.

    The document has the members of `head`, then the list `messages_in`, then those of `tail`.
    """

    messages_in: str

    writes_empty: bool
    """Whether to write a conversation without entries in this format."""

    writes_branches: bool
    """Whether the format has a place for branches. Otherwise only the current one is written."""

    leaves_out: frozenset[str]
    """The fields of a message that have no place in the format."""

    skips: str
    """The entries for which `write` returns nothing, in words."""

    def head(self, conversation: Conversation, embed: Embed) -> Document: ...

    def continues(self, entry: Entry) -> bool:
        """Return whether the entry is written together with the one before it."""
        ...

    def write(self, entries: Sequence[Entry], embed: Embed) -> Sequence[object]:
        """Return the documents of entries that are written together.

        There are none if the format cannot represent them.
        """
        ...

    def members(self, entries: Sequence[Entry], embed: Embed) -> Document:
        """Return members of the document, for entries that are written as such and in no list."""
        ...

    def tail(self, conversation: Conversation, embed: Embed) -> Document: ...


class EntryWriter(ABC):
    """A `Writer` that writes each entry on its own."""

    messages_in = "messages"
    skips = "items that are not messages"

    @abstractmethod
    def entry(self, entry: Entry, embed: Embed) -> Document | None:
        """Return the document of an entry; None if the format cannot represent it."""

    def continues(self, entry: Entry) -> bool:  # noqa: ARG002 - the interface
        return False

    def write(self, entries: Sequence[Entry], embed: Embed) -> Sequence[object]:
        documents = (self.entry(entry, embed) for entry in entries)
        return [document for document in documents if document is not None]

    def members(self, entries: Sequence[Entry], embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}


def expect(value: object, field: str, *kinds: type) -> Any:  # noqa: ANN401 - one of `kinds`
    """Return the value if it has one of these types; an int counts as a float.

    Raises `InvalidValueError`.
    """
    kind = type(value)
    if kind in kinds or (kind is int and float in kinds):
        if isinstance(value, str) and not value.isascii() and not is_unicode(value):
            raise InvalidValueError(field, UNPAIRED_SURROGATE)
        return value
    wanted = " or ".join(_NAMES[each] for each in kinds)
    raise InvalidValueError(field, f"must be {wanted}, not {_NAMES.get(kind, kind.__name__)}")


def get_required(document: Mapping[str, object], name: str, within: str, *kinds: type) -> Any:  # noqa: ANN401
    """Return a required member of one of these types. Raises `InvalidValueError`."""
    if name not in document:
        raise InvalidValueError(path(within, name), "is missing")
    return _member(document[name], name, within, kinds)


def get_optional(document: Mapping[str, object], name: str, within: str, *kinds: type) -> Any:  # noqa: ANN401
    """Return a member of one of these types; None if it is null or absent."""
    value = document.get(name)
    return None if value is None else _member(value, name, within, (*kinds, type(None)))


def _member(value: object, name: str, within: str, kinds: tuple[type, ...]) -> Any:  # noqa: ANN401
    # Build the path only for the few members with an error.
    if type(value) in kinds and (not isinstance(value, str) or value.isascii()):
        return value
    return expect(value, path(within, name), *kinds)


def objects(document: Mapping[str, object], name: str, within: str = "") -> list[Document]:
    """Return a member that is an array of objects."""
    field = path(within, name)
    return check_objects(get_required(document, name, within, list), field)


def check_objects(values: Sequence[object], field: str) -> list[Document]:
    return [expect(each, f"{field}[{index}]", dict) for index, each in enumerate(values)]


def without(document: Mapping[str, T], *names: str) -> dict[str, T]:
    """Return the members without `names`."""
    return {name: value for name, value in document.items() if name not in names}


def embed_original(original: OriginalText, embed: Embed) -> Document:
    """Return an original as part of a document that is one line of a file.

    A line break in JSON is always between two values.
    """
    return cast("Document", embed(original.replace("\n", " ").replace("\r", " ")))


def present(members: Mapping[str, T]) -> dict[str, T]:
    """Return the members that are not null or empty."""
    return {name: value for name, value in members.items() if value not in _NOTHING}


def one_of(choices: Mapping[str, T], given: str, field: str) -> T:
    """Return the choice with the name `given`. Raises `InvalidValueError` for an unknown name."""
    if given not in choices:
        reason = f"is {given[:50]!r}, not one of {', '.join(choices)}"
        raise InvalidValueError(field, reason)
    return choices[given]


def path(within: str, name: str) -> str:
    """Return the path of a member for messages. A long name is cut."""
    if len(name) > _SHOWN_CHARS:
        name = f"{name[:_SHOWN_CHARS]}..."
    return f"{within}.{name}" if within else name
