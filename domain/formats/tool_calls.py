"""Converts tool calls of other formats, and finds the call that a result answers."""

import json
from collections import defaultdict, deque
from math import isinf
from typing import Any, Final

from chatkeep.domain.formats.codec import Document
from chatkeep.domain.json_fields import encode, is_unicode


def make_call(call_id: str, name: str, argument: str, *, is_json: bool) -> Document:
    """Return a tool call: of a function if its argument is JSON, otherwise of a custom tool."""
    if is_json:
        function = {"name": name, "arguments": argument}
        return {"id": call_id, "type": "function", "function": function}
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": argument}}


def is_json_object(text: str) -> bool:
    """Return whether `parse_strictly` reads the text as a JSON object."""
    return isinstance(parse_strictly(text), dict)


def parse_strictly(text: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value of a text that every JSON parser accepts; None for any other.

    Besides texts that are not JSON, this refuses unpaired surrogates, NaN, numbers beyond the range
    of a double, and numbers with thousands of digits.
    """
    try:
        value = _strict.decode(text)
        if "\\u" in text and not is_unicode(encode(value)):
            return None
    except (ValueError, RecursionError):
        return None
    return value


class AskedCalls:
    """The calls so far, to find the one that a result answers where results do not name it.

    Results answer the calls of a turn in order. A result after those is one more of the last call.
    """

    def __init__(self) -> None:
        # By the name of the tool, and under None those of all tools.
        self._waiting: defaultdict[str | None, deque[str]] = defaultdict(deque)
        self._latest: dict[str | None, str] = {}
        self._answered: set[str] = set()
        self._before: tuple[str, str] | None = None

    def add(self, name: str, call_id: str) -> None:
        for key in (name, None):
            self._waiting[key].append(call_id)
            self._latest[key] = call_id
        self._before = name, call_id

    def end_turn(self) -> None:
        """Forget which calls wait: the user has said something since."""
        self._waiting.clear()
        self._latest.pop(None, None)
        self._before = None

    def pass_text(self) -> None:
        """Note that a text follows the last call, so that only results with its name answer it."""
        self._before = None

    def answer(self, name: str | None) -> str | None:
        """Return the id of the call that a result of this tool answers, or None.

        Without a name it may be of any tool. A call directly before is also answered under another
        name: ChatGPT calls `web`, and gets results of `web.run`.
        """
        found = self._first_waiting(name)
        if found is None and name is not None and self._before is not None:
            called, call_id = self._before
            if name not in self._latest or _family(called) == _family(name):
                found = self._latest[name] = call_id
        if found is None:
            return self._latest.get(name)
        self.mark_answered(found)
        if name is not None:
            self._latest[name] = found
        return found

    def mark_answered(self, call_id: str) -> None:
        """Note that a result named this call."""
        self._answered.add(call_id)

    def _first_waiting(self, name: str | None) -> str | None:
        waiting = self._waiting[name]
        while waiting and waiting[0] in self._answered:
            waiting.popleft()
        return waiting[0] if waiting else None


def _family(name: str) -> str:
    return name.partition(".")[0]


def _finite(number: str) -> float:
    value = float(number)
    if isinf(value):
        raise ValueError(number)
    return value


def _refuse(constant: str) -> object:
    raise ValueError(constant)


_strict: Final = json.JSONDecoder(parse_float=_finite, parse_constant=_refuse)
