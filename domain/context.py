"""Selects the messages of a context: pure functions.

Tool calls follow the rules of OpenAI's chat API: the tool messages that answer the calls of an
assistant message come directly after it, one for each call.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import NamedTuple

from chatkeep.domain.json_sources import elements
from chatkeep.domain.model import JsonText, Message, MessageId, Position, Role, is_opening
from chatkeep.domain.token_counts import message_tokens
from chatkeep.domain.window import MAX_HEAD, MOST_COUNTED, Window, latest_start


@dataclass(frozen=True, slots=True)
class Context:
    """The messages to hand to a model, oldest first.

    `starts_at` is the latest message with `starts_context`, if there is one; the messages before
    it, but for the opening ones, are replaced by it: `replaced` is their number; at
    most `MOST_COUNTED` are counted, with the opening ones.
    `truncated` means that `limit`, `max_chars` or `max_tokens` left out other messages. A call or a
    result that is left out because its other half is missing does not count. `revision` is that
    of the conversation.
    """

    messages: tuple[Message, ...]
    truncated: bool
    starts_at: MessageId | None = None
    replaced: int = 0
    revision: int = field(default=0, compare=False)


class Call(NamedTuple):
    """A tool call of the model.

    `payload` is a function's `arguments`, which should be a JSON object, or the `input` of a custom
    tool, which is any text. `source` is the JSON of the call as it is stored.
    """

    id: str
    name: str
    payload: str
    source: str
    is_custom: bool


class _Unit(NamedTuple):
    """Messages that are kept or dropped together, oldest first, and their number of characters."""

    messages: tuple[Message, ...]
    chars: int


class _Room:
    """The characters and tokens that a context may still take."""

    __slots__ = ("_chars", "_tokens")

    def __init__(self, max_chars: int | None, max_tokens: int | None) -> None:
        self._chars = max_chars
        self._tokens = max_tokens

    def take(self, messages: Iterable[Message], chars: int) -> bool:
        """Take room for messages with this number of characters; return False if there is none."""
        if self._chars is not None and chars > self._chars:
            return False
        if self._tokens is not None:
            tokens = sum(map(message_tokens, messages))
            if tokens > self._tokens:
                return False
            self._tokens -= tokens
        if self._chars is not None:
            self._chars -= chars
        return True


def select(
    window: Window, *, max_chars: int | None = None, max_tokens: int | None = None
) -> Context:
    """Return the messages of the window that a model accepts.

    - A tool call is kept only with its result, and a result only with its call. The result is moved
      directly behind the call. A result answers the last call with its id before it; the first
      result counts, and an id may be used again later in the conversation.
    - If the assistant's calls and texts are separate messages, as OpenAI's items are, they are
      merged: the last text since the first call gets all calls, or else the message of that call.
    - Calls without a result are removed from their message. A message without calls and text is
      dropped. A message whose calls all have results, with no other calls near it, is returned as
      it is stored.
    - An element of `tool_calls` counts as a call only if it has the shape of OpenAI's calls:
      `{"id", "type": "function", "function": {"name", "arguments"}}` with strings throughout, or
      `"custom"` with `{"name", "input"}`. Of several with the same id in one message, the first
      counts.
    - Of messages with `starts_context`, the latest is where the context begins. Only the opening
      system and developer messages (the first `MAX_HEAD`) come before it.
    - At most `max_chars` characters are kept, counting text and each call's name and arguments, and
      at most `max_tokens` tokens (see `message_tokens`). The opening messages come first, as long
      as each fits, then the one where the context begins; then the other messages from the newest
      backwards, until one does not fit together with its results.
    """
    room = _Room(max_chars, max_tokens)
    is_bounded = max_chars is not None or max_tokens is not None
    head, tail, truncated, starts_at, replaced = _parts(window)

    messages: list[Message] = []
    for message in head:
        if not has_content(message):
            continue
        if not room.take((message,), len(message.content or "")):
            truncated = True
            break
        messages.append(message)
    if starts_at is not None and _stands_alone(tail[0]):
        first, tail = tail[0], tail[1:]
        if room.take((first,), len(first.content or "")):
            messages.append(first)
        else:
            truncated = True

    newest_first: list[Message] = []
    for unit in _units(tail):
        if is_bounded and not room.take(unit.messages, unit.chars):
            truncated = True
            break
        newest_first.extend(reversed(unit.messages))
    return Context(
        (*messages, *reversed(newest_first)), truncated, starts_at, replaced, window.revision
    )


class _Parts(NamedTuple):
    """The opening messages and the others of a context, and what is known of those left out."""

    head: tuple[Message, ...]
    tail: tuple[Message, ...]
    truncated: bool
    starts_at: MessageId | None
    replaced: int


def _parts(window: Window) -> _Parts:
    head, tail, truncated = window.head, window.tail, not window.is_whole
    if window.start:
        tail = (*window.start, *tail)
        return _Parts(head, tail, truncated, tail[0].id, window.replaced)
    if not truncated:
        # The tail reaches back to the head, so it may contain more opening messages.
        head += tuple(takewhile(is_opening, tail[: MAX_HEAD - len(head)]))
        tail = tail[len(head) - len(window.head) :]
    start = latest_start(tail)
    if start is None:
        return _Parts(head, tail, truncated, None, 0)
    before = window.message_count - len(tail) + start
    replaced = min(before, MOST_COUNTED) - len(head)
    return _Parts(head, tail[start:], truncated=False, starts_at=tail[start].id, replaced=replaced)


def has_content(message: Message) -> bool:
    """Return whether the message has a text or parts."""
    return message.content is not None or message.parts is not None


def calls(tool_calls: JsonText) -> list[Call]:
    """Return the valid calls of a message (see `select`)."""
    return _calls(elements(tool_calls))


def _stands_alone(message: Message) -> bool:
    """Return whether the message has a text or parts, and is not part of a call."""
    return has_content(message) and message.tool_calls is None and message.role is not Role.TOOL


def _units(messages: Sequence[Message]) -> Iterator[_Unit]:
    """Yield the units that a model accepts, newest first."""
    results: dict[str, Message] = {}
    at = len(messages)
    while at > 0:
        at -= 1
        message = messages[at]
        if message.role is Role.TOOL:
            if has_content(message) and message.tool_call_id is not None:
                results[message.tool_call_id] = message
        elif message.role is Role.ASSISTANT:
            end = at + 1
            while results and at > 0 and messages[at - 1].role is Role.ASSISTANT:
                at -= 1
            yield from _merge_turn(messages[at:end], results)
        elif message.content is not None or message.parts is not None:
            yield _Unit((message,), len(message.content or ""))


def _merge_turn(said: Sequence[Message], results: dict[str, Message]) -> Iterator[_Unit]:
    """Yield the units of consecutive assistant messages, newest first, with their results.

    All calls with results go to one message: to the last text since the first such call or, if
    there is none, to the message of that call. So texts keep their order, and results follow their
    calls. `results` are the later tool messages by call id; those that are used are removed.
    """
    asked: dict[str, Call] = {}
    asking: Message | None = None
    whole = False
    for message in said:
        entries = [] if message.tool_calls is None else elements(message.tool_calls)
        kept = [c for c in _calls(entries) if c.id in results and c.id not in asked]
        if _says_something(message) if asking else kept:
            asking = message
            whole = not asked and len(kept) == len(entries)
        elif kept:
            whole = False
        asked.update((call.id, call) for call in kept)

    answers = sorted((results.pop(call_id) for call_id in asked), key=_position)
    for message in reversed(said):
        if message is asking:
            calling = message if whole else _replace_calls(message, asked.values())
            yield _make_exchange(calling, asked.values(), answers)
        elif _says_something(message):
            text = (
                message
                if message.tool_calls is None
                else message._replace(tool_calls=None, tokens=None)
            )
            yield _Unit((text,), len(text.content or ""))


def _position(message: Message) -> Position:
    return message.position


def _says_something(message: Message) -> bool:
    """Return whether to keep the message without its calls: an empty text only if it had none."""
    if message.content or message.parts is not None:
        return True
    return message.content is not None and message.tool_calls is None


def _replace_calls(message: Message, asked: Iterable[Call]) -> Message:
    sources = ",".join(call.source for call in asked)
    return message._replace(tool_calls=JsonText(f"[{sources}]"), tokens=None)


def _make_exchange(asking: Message, asked: Iterable[Call], answers: Sequence[Message]) -> _Unit:
    """Return a message with calls and their results as one unit."""
    chars = sum(len(call.name) + len(call.payload) for call in asked)
    chars += sum(len(message.content or "") for message in (asking, *answers))
    return _Unit((asking, *answers), chars)


def _calls(entries: Iterable[tuple[object, str]]) -> list[Call]:
    found: dict[str, Call] = {}
    for entry, source in entries:
        call = _call(entry, source)
        if call is not None and call.id and call.name:
            found.setdefault(call.id, call)
    return list(found.values())


def _call(entry: object, source: str) -> Call | None:
    match entry:
        case {
            "id": str(call_id),
            "type": "function",
            "function": {"name": str(name), "arguments": str(payload)},
        }:
            return Call(call_id, name, payload, source, is_custom=False)
        case {
            "id": str(call_id),
            "type": "custom",
            "custom": {"name": str(name), "input": str(payload)},
        }:
            return Call(call_id, name, payload, source, is_custom=True)
        case _:
            return None
