"""Which messages make up a context: pure functions.

The rules on tool calls are those of OpenAI's chat API, whose shape `tool_calls` have: an assistant
message with calls is followed directly by the tool messages that answer every one of them.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Final, NamedTuple

from domain.model import JsonText, Message, Role, is_opening
from domain.ports import MAX_HEAD, Window

_BETWEEN_ENTRIES: Final = re.compile(r"[ \t\n\r,]*")
# Nobody looks at numbers here. As floats they may have any number of digits; ints may not.
_JSON: Final = json.JSONDecoder(parse_int=float)


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

    - A tool call stays only with its result, and a result only with its call. Results are the tool
      messages directly after the call's message; the first one for each id counts, and ids may come
      again later in the conversation. Messages with calls that follow each other directly, all but
      the first without a text, are one: that is how calls at once are stored when each came as a
      message of its own. Calls without a result are taken out of their message, and a
      message in which that leaves neither a call nor a text goes as well, as does any other message
      without content. A message whose calls all have results is given as it is stored.
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
    return _calls(_entries(tool_calls))


def _units(messages: Sequence[Message]) -> Iterator[_Unit]:
    """Yield what can be given to a model, newest first."""
    results: list[Message] = []
    at = len(messages)
    while at > 0:
        at -= 1
        message = messages[at]
        if message.role is Role.TOOL:
            results.append(message)
            continue
        if message.tool_calls is not None and message.role is Role.ASSISTANT:
            run = [(message, message.tool_calls)]
            # Without a text of its own it may belong to the message before it.
            while results and not run[-1][0].content and at > 0:
                before = messages[at - 1]
                if before.tool_calls is None or before.role is not Role.ASSISTANT:
                    break
                run.append((before, before.tool_calls))
                at -= 1
            yield from _answered(run[::-1], results[::-1])
        elif message.content is not None:
            yield _Unit((message,), len(message.content))
        results.clear()


def _answered(
    run: Sequence[tuple[Message, JsonText]], results: Sequence[Message]
) -> Iterator[_Unit]:
    """Yield what is left of messages with calls one after the other, and then results.

    All calls that have results become one message, the first that has such a call.
    """
    answers: dict[str, Message] = {}
    for result in results:
        if result.content is not None and result.tool_call_id is not None:
            answers.setdefault(result.tool_call_id, result)
    asked: dict[str, Call] = {}
    asking: Message | None = None
    whole = True
    unanswered: Message | None = None
    for message, tool_calls in run:
        entries = _entries(tool_calls)
        kept = [c for c in _calls(entries) if c.id in answers and c.id not in asked]
        if kept:
            whole = asking is None and len(kept) == len(entries)
            asking = asking or message
            asked.update((call.id, call) for call in kept)
        elif message.content:  # only the first one may have a text
            unanswered = message

    if asking is not None:
        if not whole:
            sources = ",".join(call.source for call in asked.values())
            asking = asking._replace(tool_calls=JsonText(f"[{sources}]"))
        kept_results = [result for result in answers.values() if result.tool_call_id in asked]
        chars = (
            len(asking.content or "")
            + sum(len(call.name) + len(call.payload) for call in asked.values())
            + sum(len(result.content or "") for result in kept_results)
        )
        yield _Unit((asking, *kept_results), chars)
    if unanswered is not None:
        yield _Unit((unanswered._replace(tool_calls=None),), len(unanswered.content or ""))


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


def _entries(array: JsonText) -> list[tuple[object, str]]:
    """Return the entries of a JSON array, each with its own text; of anything else, none.

    The text makes it possible to take entries out and leave the others exactly as they are.
    """
    text = array.strip()
    if not text.startswith("["):
        return []
    entries = []
    try:
        at = _skip(text, 1)
        while text[at] != "]":
            entry, end = _JSON.raw_decode(text, at)
            entries.append((entry, text[at:end]))
            at = _skip(text, end)
    except (ValueError, IndexError, RecursionError):  # not JSON, not closed, nested too deeply
        return []
    return entries if at == len(text) - 1 else []


def _skip(text: str, at: int) -> int:
    between = _BETWEEN_ENTRIES.match(text, at)
    return between.end() if between else at
