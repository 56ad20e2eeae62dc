"""Which messages make up a context: pure functions.

The rules on tool calls are those of OpenAI's chat API, whose shape `tool_calls` have: an assistant
message with calls is followed directly by the tool messages that answer every one of them.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple, Self

from chatkeep.domain.json_sources import elements
from chatkeep.domain.model import JsonText, Message, Position, Role, is_opening

MAX_HEAD: Final = 20
"""Of the system and developer messages that open a conversation, at most this many always stay."""


@dataclass(frozen=True, slots=True)
class Window:
    """The two ends of a conversation, each oldest first; they do not overlap.

    `head` are the system and developer messages that open the conversation, at most the first
    `MAX_HEAD` of them, less those that are in `tail`, the last messages. `message_count` is how
    many messages the whole conversation has.
    """

    head: tuple[Message, ...]
    tail: tuple[Message, ...]
    message_count: int

    @classmethod
    def of(
        cls,
        opening: Sequence[Message],
        latest: Sequence[Message],
        *,
        limit: int,
        message_count: int,
    ) -> Self:
        """Make one of the opening messages and of the latest, at least the last `limit` ones."""
        tail = tuple(latest[-limit:])
        head = (message for message in opening if message.position < tail[0].position)
        return cls(tuple(head), tail, message_count)


@dataclass(frozen=True, slots=True)
class Context:
    """What to hand to a model, oldest first.

    `truncated`: the conversation has messages that are not here because of `limit` or `max_chars`.
    A call or a result left out because its other half is missing does not make it true.
    """

    messages: tuple[Message, ...]
    truncated: bool


class Call(NamedTuple):
    """A tool call of the model.

    `payload` is a function's `arguments`, by intent a JSON object, or the `input` of a custom tool,
    which is any text. `source` is the call as it is stored.
    """

    id: str
    name: str
    payload: str
    source: str
    is_custom: bool


class _Unit(NamedTuple):
    """Messages that stay or go together, oldest first, and how many characters they count."""

    messages: tuple[Message, ...]
    chars: int


def select(window: Window, *, max_chars: int | None = None) -> Context:
    """Return the messages of the window that a model can be given.

    - A tool call stays only with its result, and a result only with its call, which it follows
      directly, whatever was said in between. A result answers the last call of its id before it;
      the first result counts, and ids may come again later in the conversation. When the
      assistant's calls and texts are messages of their own, as OpenAI's items are, the last text
      since the first call carries all calls, or else the message of that call. Calls without a
      result are taken out of their message, and a message in which that leaves neither a call nor a
      text goes as well, as does any other message without content. A message whose calls all have
      results, and no others are near, is given as it is stored.
    - What in `tool_calls` does not have the shape of OpenAI's calls (`{"id", "type": "function",
      "function": {"name", "arguments"}}`, all of them strings, or `"custom"` with `{"name",
      "input"}`) is no call, nor is a second one with the same id in one message.
    - At most `max_chars` characters: of content and, for each call, name and arguments. They go to
      the opening system and developer messages (the first `MAX_HEAD`) as long as each fits, then
      from the newest message backwards until one does not fit, together with its results.
    """
    left = sys.maxsize if max_chars is None else max_chars
    truncated = window.message_count > len(window.head) + len(window.tail)

    head, tail = window.head, window.tail
    if not truncated:
        # The tail reaches back to the head, so the opening may go on in it.
        rest = takewhile(is_opening, tail[: MAX_HEAD - len(head)])
        head += tuple(rest)
        tail = tail[len(head) - len(window.head) :]

    messages: list[Message] = []
    for message in head:
        if message.content is None:
            continue
        if len(message.content) > left:
            truncated = True
            break
        left -= len(message.content)
        messages.append(message)

    newest_first: list[Message] = []
    for unit in _units(tail):
        if unit.chars > left:
            truncated = True
            break
        left -= unit.chars
        newest_first.extend(reversed(unit.messages))
    return Context((*messages, *reversed(newest_first)), truncated)


def calls(tool_calls: JsonText) -> list[Call]:
    """Return the calls of a message, without what is no call (see `select`)."""
    return _calls(elements(tool_calls))


def _units(messages: Sequence[Message]) -> Iterator[_Unit]:
    """Yield what can be given to a model, newest first."""
    results: dict[str, Message] = {}
    at = len(messages)
    while at > 0:
        at -= 1
        message = messages[at]
        if message.role is Role.TOOL:
            if message.content is not None and message.tool_call_id is not None:
                results[message.tool_call_id] = message
        elif message.role is Role.ASSISTANT:
            end = at + 1
            while results and at > 0 and messages[at - 1].role is Role.ASSISTANT:
                at -= 1
            yield from _turn(messages[at:end], results)
        elif message.content is not None:
            yield _Unit((message,), len(message.content))


def _turn(said: Sequence[Message], results: dict[str, Message]) -> Iterator[_Unit]:
    """Yield what is left of messages of the assistant in a row, newest first, with their results.

    All calls that have results go to one message: to the last text since the first such call, or,
    when nothing was said since, to the message of that call. So texts keep their order, and the
    results follow their calls. `results` are those that came later, by the ids of their calls; what
    is used of them is taken out.
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
            calling = message if whole else _calling(message, asked.values())
            yield _exchange(calling, asked.values(), answers)
        elif _says_something(message):
            text = message if message.tool_calls is None else message._replace(tool_calls=None)
            yield _Unit((text,), len(text.content or ""))


def _position(message: Message) -> Position:
    return message.position


def _says_something(message: Message) -> bool:
    """Whether the message stays without its calls: an empty text does where there are none."""
    return bool(message.content) or (message.content is not None and message.tool_calls is None)


def _calling(message: Message, asked: Iterable[Call]) -> Message:
    sources = ",".join(call.source for call in asked)
    return message._replace(tool_calls=JsonText(f"[{sources}]"))


def _exchange(asking: Message, asked: Iterable[Call], answers: Sequence[Message]) -> _Unit:
    """Return a message, its calls and their results as what stays or goes together."""
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
