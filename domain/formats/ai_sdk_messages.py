"""Reads UIMessages: the messages of Vercel's AI SDK, versions 5 to 7.

    {"id": ..., "role": "system" | "user" | "assistant", "metadata": ..., "parts": [...]}

They are read from their texts, so that what a tool got and gave stays as it was written. Parts of
unknown types, and unknown members, are accepted.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import one_of, path
from chatkeep.domain.json_fields import UNPAIRED_SURROGATE, is_unicode
from chatkeep.domain.json_sources import Members, Source, members, parts, value_of
from chatkeep.domain.json_values import TooManyValuesError
from chatkeep.domain.model import Role
from chatkeep.domain.threads import SMALL

TEXT: Final = "text"
FILE: Final = "file"
STEERING: Final = "steering-message"
DYNAMIC_TOOL: Final = "dynamic-tool"
TOOL: Final = "tool-"
OUTPUT_AVAILABLE: Final = "output-available"
OUTPUT_ERROR: Final = "output-error"
STEP: Final = "step-start"
"""The type of the part with which a step begins: one call of the model, with its tools."""

_ROLES: Final = {role.value: role for role in (Role.SYSTEM, Role.USER, Role.ASSISTANT)}
_OF_TOOLS: Final = ("toolCallId", "state")
# The members of each known type that must be strings.
_STRINGS: Final[Mapping[str, tuple[str, ...]]] = {
    TEXT: ("text",),
    "reasoning": ("text",),
    "custom": ("kind",),
    "source-url": ("sourceId", "url"),
    "source-document": ("sourceId", "mediaType", "title"),
    FILE: ("mediaType", "url"),
    "reasoning-file": ("mediaType", "url"),
    DYNAMIC_TOOL: ("toolName", *_OF_TOOLS),
}
# In a message without these words no part needs a source.
_WITH_SOURCES: Final = ("tool", "steering")
_OLD_PART: Final = "tool-invocation"
_OLD: Final = "is of version 4 of the AI SDK or earlier; send a UIMessage, with `parts`"


class UIPart(NamedTuple):
    """A part of a UIMessage. `kind` is its `type`; `parts` are those in a `steering-message`.

    `value` is decoded, but lists and objects in a large message are not. A call of a tool has its
    `source`, the text of all of it.
    """

    kind: str
    value: Mapping[str, object]
    source: str
    parts: tuple["UIPart", ...] = ()

    @property
    def tool(self) -> str | None:
        """The name of the tool that the part is a call of; None for any other part."""
        if self.kind == DYNAMIC_TOOL:
            return self.string("toolName")
        return self.kind.removeprefix(TOOL) if self.kind.startswith(TOOL) else None

    def string(self, name: str) -> str:
        """Return a member that is a string; "" for anything else."""
        value = self.value.get(name)
        return value if isinstance(value, str) else ""

    def members(self) -> Members:
        """Return the members of a call, each with its text."""
        return members(self.source) or {}


class UIMessage(NamedTuple):
    """A UIMessage. `id` is "" if it has none, and `metadata` None if it is not an object."""

    id: str
    role: Role
    parts: tuple[UIPart, ...]
    metadata: str | None

    def text(self) -> str:
        """Return what was said: the texts of a step as one, and a blank line between steps.

        The texts of a user, who has no steps, are separated too; those of the system are not.
        """
        if self.role is Role.SYSTEM:
            return "".join(texts(self.parts))
        if self.role is Role.USER:
            return "\n\n".join(filter(None, texts(self.parts)))
        said = ("".join(texts(step)) for step in steps(self.parts))
        return "\n\n".join(filter(None, said))


def parse_ui_message(text: str, *, field: str) -> UIMessage:
    """Parse a UIMessage, a JSON text. Raises `InvalidValueError` naming the field below `field`."""
    try:
        return _parse(text, field)
    except RecursionError:
        raise InvalidValueError(field, "is nested too deeply") from None
    except TooManyValuesError as error:
        raise InvalidValueError(field, str(error)) from None


def steps(listed: Sequence[UIPart]) -> Iterator[list[UIPart]]:
    """Yield the parts of each step, without the parts that begin them."""
    step: list[UIPart] = []
    for part in listed:
        if part.kind == STEP:
            yield step
            step = []
        else:
            step.append(part)
    yield step


def texts(listed: Sequence[UIPart]) -> Iterator[str]:
    return (part.string("text") for part in listed if part.kind == TEXT)


def object_in(value: Mapping[str, object], source: str, name: str) -> Mapping[str, object] | None:
    """Return a member that is an object; {} if it is null or absent; None if it is neither."""
    found = value.get(name)
    if found is ...:  # not decoded
        inner = members((members(source) or {})[name].text)
        return None if inner is None else {each: inner[each].value for each in inner}
    if found is None:
        return {}
    return found if isinstance(found, Mapping) else None


def reason_in(approval: Mapping[str, object]) -> str:
    """Return why the call was approved or denied; "" if no reason was given."""
    reason = approval.get("reason")
    return reason if isinstance(reason, str) else ""


def _parse(text: str, field: str) -> UIMessage:
    found = members(text)
    if found is None:
        raise InvalidValueError(field, "is not a JSON object")
    if "parts" not in found and "content" in found:
        raise InvalidValueError(path(field, "parts"), f"is missing: the message {_OLD}")
    own: dict[str, object] = {
        str(name): value_of(found, name) for name in ("id", "role") if name in found
    }
    message_id = None if own.get("id") is None else _string(own, "id", field)
    role = one_of(_ROLES, _string(own, "role", field), path(field, "role"))
    metadata = found.get("metadata")
    return UIMessage(
        message_id or "",
        role,
        _parts(found.get("parts"), field),
        None if metadata is None or not metadata.text.startswith("{") else metadata.text,
    )


def _parts(listed: Source | None, field: str) -> tuple[UIPart, ...]:
    field = path(field, "parts")
    if listed is None or not listed.text.startswith("["):
        raise InvalidValueError(field, "is missing" if listed is None else "must be an array")
    found: Iterable[tuple[object, str]]
    if len(listed.text) > SMALL or any(kind in listed.text for kind in _WITH_SOURCES):
        found = parts(listed.text)
    else:  # the values are decoded already
        found = ((value, "") for value in cast("list[object]", listed.value))
    return tuple(
        _part(value, source, f"{field}[{index}]") for index, (value, source) in enumerate(found)
    )


def _part(value: object, source: str, field: str) -> UIPart:
    if not isinstance(value, Mapping):
        raise InvalidValueError(field, "must be an object")
    kind = _string(value, "type", field)
    if not kind:
        raise InvalidValueError(path(field, "type"), "is empty")
    if kind == _OLD_PART and "toolInvocation" in value:
        raise InvalidValueError(path(field, "type"), f"is {kind}: the message {_OLD}")
    is_tool = kind.startswith(TOOL)
    for name in _OF_TOOLS if is_tool else _STRINGS.get(kind, ()):
        _string(value, name, field)
    if kind == STEERING:
        within = (members(source) or {}).get("parts")
        return UIPart(kind, value, source, _parts(within, field))
    if is_tool or kind == DYNAMIC_TOOL:
        _check_tool(value, source, field)
    return UIPart(kind, value, source)


def _check_tool(value: Mapping[str, object], source: str, field: str) -> None:
    if value.get("state") == OUTPUT_ERROR:
        _string(value, "errorText", field)
    if isinstance(value.get("output"), str):
        _string(value, "output", field)
    approval = object_in(value, source, "approval")
    if approval is None:
        raise InvalidValueError(path(field, "approval"), "must be an object")
    if reason_in(approval):
        _string(approval, "reason", path(field, "approval"))


def _string(value: Mapping[str, object], name: str, field: str) -> str:
    """Return a required string. Raises `InvalidValueError`."""
    found = value.get(name)
    if not isinstance(found, str):
        reason = "must be a string" if name in value else "is missing"
        raise InvalidValueError(path(field, name), reason)
    if not found.isascii() and not is_unicode(found):
        raise InvalidValueError(path(field, name), UNPAIRED_SURROGATE)
    return found
