"""A window: the parts of a conversation that a context is made from."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Final, NamedTuple, Self

from chatkeep.domain.model import Message, Position

NEED_ORIGINALS: Final = frozenset({"ai-sdk"})
"""The formats whose messages are more than their fields: contexts are made from their originals."""

MAX_HEAD: Final = 20
"""The number of system and developer messages at the start that a context always keeps."""

MOST_COUNTED: Final = 1_000
"""How many messages before one that starts a context are counted."""

_starts_context: Final = attrgetter("starts_context")


class Start(NamedTuple):
    """The latest message with `starts_context`, wherever it is.

    `before` is the number of messages before it, at most `MOST_COUNTED`; `is_apart` means that
    there are others between it and the last `limit` messages.
    """

    message: Message
    before: int
    is_apart: bool


@dataclass(frozen=True, slots=True)
class Window:
    """The two ends of a conversation, each oldest first, and where its context starts.

    `tail` are the last messages. `head` are the system and developer messages that open the
    conversation, at most the first `MAX_HEAD` of them, without those in `tail`. `start` is the
    latest message with `starts_context` if it is in neither of them, and `replaced` the number of
    messages that it replaces: those before it that are not in `head`, as far as they were counted.
    (It is several messages once it was made into those for a model.)

    `message_count` is the number of messages in the whole conversation. Of a branch, and if there
    is a `start`, it is only as many as a context needs to know of: it exceeds those in the window
    and the `replaced` ones if there are others. `revision` is that of the conversation; two windows
    with the same messages are equal. Messages come without their originals, but for those of
    `NEED_ORIGINALS`.
    """

    head: tuple[Message, ...]
    tail: tuple[Message, ...]
    message_count: int
    revision: int = field(default=0, compare=False)
    start: tuple[Message, ...] = ()
    replaced: int = 0

    @classmethod
    def of(  # noqa: PLR0913 - one for each part
        cls,
        opening: Sequence[Message],
        latest: Sequence[Message],
        *,
        limit: int,
        message_count: int,
        revision: int,
        start: Start | None = None,
    ) -> Self:
        """Build a window from the opening messages and at least the last `limit` messages.

        They have their originals only if a context needs them (`for_window`).
        """
        tail = tuple(latest[-limit:])
        head = tuple([each for each in opening if each.position < tail[0].position])
        if start is not None and _is_between(start.message, head, tail):
            replaced = start.before - len(head)
            count = len(head) + replaced + 1 + len(tail) + start.is_apart
            return cls(head, tail, count, revision, (start.message,), replaced)
        return cls(head, tail, message_count, revision)

    @classmethod
    def of_branch(
        cls,
        opening: Sequence[Message],
        latest: Sequence[Message],
        *,
        before: Position | None,
        revision: int,
        start: Start | None,
    ) -> Self:
        """Build the window of a branch, whose messages were not counted.

        `before` is the position of the message before the latest, if there is one.
        """
        limit = len(latest)
        found = cls.of(
            opening, latest, limit=limit, message_count=0, revision=revision, start=start
        )
        if found.start:
            return found
        head, tail = found.head, found.tail
        if start is not None and tail and start.message.position >= tail[0].position:
            behind = sum(each.position >= start.message.position for each in tail)
            return replace(found, message_count=start.before + behind)
        more = before is not None and not (head and before <= head[-1].position)
        return replace(found, message_count=len(head) + len(tail) + more)

    @property
    def is_whole(self) -> bool:
        """True if every message is in the window, or replaced by its `start`."""
        shown = len(self.head) + self.replaced + len(self.start) + len(self.tail)
        return self.message_count <= shown

    def messages(self) -> tuple[Message, ...]:
        return (*self.head, *self.start, *self.tail)


def latest_start(messages: Sequence[Message]) -> int | None:
    """Return the index of the latest message with `starts_context`."""
    if not any(map(_starts_context, messages)):
        return None
    return max(at for at, message in enumerate(messages) if message.starts_context)


def for_window(message: Message) -> Message:
    """Return the message with its original only if a context needs it."""
    return message if message.format in NEED_ORIGINALS else message.without_original()


def _is_between(message: Message, head: Sequence[Message], tail: Sequence[Message]) -> bool:
    is_behind = not head or message.position > head[-1].position
    return is_behind and message.position < tail[0].position
