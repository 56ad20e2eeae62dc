"""Which messages make up a context: pure functions. (Being written.)"""

from dataclasses import dataclass

from domain.model import Message
from domain.ports import Window

MAX_HEAD = 20


@dataclass(frozen=True, slots=True)
class Context:
    messages: tuple[Message, ...]
    truncated: bool


def select(window: Window, *, max_chars: int | None = None) -> Context:
    return Context(window.head + window.tail, truncated=False)
