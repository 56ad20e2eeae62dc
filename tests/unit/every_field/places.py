"""Where each field of a format goes: found by importing documents with values that occur once."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, NamedTuple

from chatkeep.domain.formats.table import FileFormat, read_any
from chatkeep.entrypoints.formats.decoding import decode, find_originals
from tests.unit.every_field import anthropic, chatgpt, claude_ai, openai_chat, sharegpt
from tests.unit.transfers import ALICE, StoreWithTransfer

DOCUMENTS: Final[Mapping[FileFormat, Sequence[Callable[[], dict[str, Any]]]]] = {
    FileFormat.CHATGPT: (chatgpt.document,),
    FileFormat.CLAUDE_AI: (claude_ai.document,),
    FileFormat.OPENAI: (openai_chat.document,),
    FileFormat.SHAREGPT: (sharegpt.document, sharegpt.with_roles),
    FileFormat.ANTHROPIC: (anthropic.document,),
}
_KINDS: Final = ("type", "content_type", "role", "sender", "from")

Path = tuple[str, ...]


class Leaf(NamedTuple):
    """A value that occurs once in a document, and the path that leads to it."""

    path: Path
    value: str


def fill(document: object) -> tuple[Any, list[Leaf]]:
    """Return the document with values that occur once, and those values."""
    leaves: list[Leaf] = []
    return _fill(document, (), count(1), leaves), leaves


def _fill(value: object, path: Path, numbers: Iterator[int], leaves: list[Leaf]) -> Any:  # noqa: ANN401 - any JSON
    match value:
        case "*":
            filled = f"<{next(numbers)}>"
            leaves.append(Leaf(path, filled))
            return filled
        case -1:
            number = 7_000_000 + next(numbers)
            leaves.append(Leaf(path, str(number)))
            return number
        case list():
            return [_fill(each, (*path, _kind(each)), numbers, leaves) for each in value]
        case dict() if path == ("mapping",):
            return {
                key: _fill(node, (*path, _kind_of_node(node)), numbers, leaves)
                for key, node in value.items()
            }
        case dict():
            return {key: _fill(each, (*path, key), numbers, leaves) for key, each in value.items()}
    return value


def _kind(element: object) -> str:
    names = (element.get(name) for name in _KINDS) if isinstance(element, dict) else ()
    return f"[{next((name for name in names if isinstance(name, str) and name != '*'), '')}]"


def _kind_of_node(node: dict[str, Any]) -> str:
    message = node["message"]
    if message is None:
        return "[]"
    on_branch = "" if node["id"] != "other" else ", another branch"
    return f"[{message['author']['role']}: {message['content']['content_type']}{on_branch}]"


async def export_again(document: object, *, originals: bool) -> str:
    """Return the line that a store exports after it imported a document."""
    data = json.dumps(document).encode()
    store = StoreWithTransfer()
    find = partial(find_originals, data) if originals else None
    assert await store.transfer.import_conversation(ALICE, read_any(decode(data), find))
    [line] = await store.exported()
    return json.dumps(line, ensure_ascii=False)


def find_places(leaf: Leaf, line: Mapping[str, Any]) -> list[str]:
    """Return the places of a value in an exported line, in words."""
    found: dict[str, None] = {}
    for path, text in _walk(line, ()):
        if leaf.value in text:
            found[_describe(path)] = None
    return sorted(found, key=lambda place: ("metadata" in place or "`" in place, place))


def _walk(value: object, path: Path) -> Iterator[tuple[Path, str]]:
    match value:
        case dict():
            for key, each in value.items():
                yield from _walk(each, (*path, key))
        case list():
            for each in value:
                yield from _walk(each, (*path, "[]"))
        case str() | int() | float():
            yield path, str(value)


def _describe(path: Path) -> str:
    match path:
        case ("messages", _, "metadata", key, name, *_):
            return f"`{key}.{name}` of the message"
        case ("messages", _, name, *_):
            return name
        case ("metadata", key, name, *_):
            return f"`{key}.{name}` of the conversation"
        case ("source",):
            return "`metadata.source`"
    return path[0]


def rows(placed: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, str]]:
    """Yield the rows of a table: a path, or several with their common beginning, and their place.

    A path stands for all below it that goes to one place.
    """
    grouped: dict[tuple[Path, str], list[str]] = {}
    for path, place in _rows((), placed):
        grouped.setdefault((path[:-1], place), []).append(path[-1])
    for (parent, place), names in grouped.items():
        if len(names) == 1 or not parent:
            yield ", ".join(f"`{_write((*parent, name))}`" for name in names), place
        else:
            yield f"`{_write(parent)}`: {', '.join(f'`{name}`' for name in names)}", place


def _rows(prefix: Path, placed: Sequence[tuple[Path, str]]) -> Iterator[tuple[Path, str]]:
    own = dict.fromkeys(place for path, place in placed if path == prefix)
    if prefix and len({place for _, place in placed}) == 1 and not _is_outer(prefix):
        yield prefix, placed[0][1]
        return
    if own:
        yield prefix, "; ".join(own)
    groups: dict[str, list[tuple[Path, str]]] = {}
    for path, place in placed:
        if path != prefix:
            groups.setdefault(path[len(prefix)], []).append((path, place))
    for name, inner in groups.items():
        yield from _rows((*prefix, name), inner)


def _is_outer(path: Path) -> bool:
    """Return whether a path is that of all messages, of which each kind has its own row."""
    return len(path) == 1 and path[0] in {
        *("mapping", "chat_messages", "messages", "conversations")
    }


def _write(path: Path) -> str:
    return ".".join(path).replace(".[", "[")
