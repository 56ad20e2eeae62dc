"""Reads UIMessages: the messages of Vercel's AI SDK, versions 5 to 7.

    {"id": ..., "role": "system" | "user" | "assistant", "metadata": ..., "parts": [...]}

They are read from their texts, so that what a tool got and gave stays as it was written. Parts of
unknown types, and unknown members, are accepted.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import one_of, path
from chatkeep.domain.json_fields import UNPAIRED_SURROGATE, is_unicode
from chatkeep.domain.json_sources import Members, members, parts, value_of
from chatkeep.domain.json_values import TooManyValuesError
from chatkeep.domain.model import Role

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
_OLD_PART: Final = "tool-invocation"
_OLD: Final = "is of version 4 of the AI SDK or earlier; send a UIMessage, with `parts`"


class UIPart(NamedTuple):
    """A part of a UIMessage. `kind` is its `type`; `parts` are those in a `steering-message`."""

    kind: str
    members: Members
    parts: tuple["UIPart", ...] = ()

    @property
    def tool(self) -> str | None:
        """The name of the tool that the part is a call of; None for any other part."""
        if self.kind == DYNAMIC_TOOL:
            return str(value_of(self.members, "toolName"))
        return self.kind.removeprefix(TOOL) if self.kind.startswith(TOOL) else None

    def string(self, name: str) -> str:
        """Return a member that is a string; "" for anything else."""
        value = value_of(self.members, name)
        return value if isinstance(value, str) else ""


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


def reason_in(approval: Members) -> str:
    """Return why the call was approved or denied; "" if no reason was given."""
    reason = value_of(approval, "reason")
    return reason if isinstance(reason, str) else ""


def _parse(text: str, field: str) -> UIMessage:
    found = members(text)
    if found is None:
        raise InvalidValueError(field, "is not a JSON object")
    if "parts" not in found and "content" in found:
        raise InvalidValueError(path(field, "parts"), f"is missing: the message {_OLD}")
    message_id = value_of(found, "id")
    if message_id is not None:
        message_id = _string(found, "id", field)
    role = one_of(_ROLES, _string(found, "role", field), path(field, "role"))
    metadata = found.get("metadata")
    return UIMessage(
        message_id or "",
        role,
        _parts(found, field),
        None if metadata is None or not metadata.text.startswith("{") else metadata.text,
    )


def _parts(found: Members, field: str) -> tuple[UIPart, ...]:
    field = path(field, "parts")
    listed = found.get("parts")
    if listed is None or not listed.text.startswith("["):
        raise InvalidValueError(field, "is missing" if listed is None else "must be an array")
    return tuple(
        _part(source, f"{field}[{index}]") for index, (_, source) in enumerate(parts(listed.text))
    )


def _part(source: str, field: str) -> UIPart:
    found = members(source)
    if found is None:
        raise InvalidValueError(field, "must be an object")
    kind = _string(found, "type", field)
    if not kind:
        raise InvalidValueError(path(field, "type"), "is empty")
    if kind == _OLD_PART and "toolInvocation" in found:
        raise InvalidValueError(path(field, "type"), f"is {kind}: the message {_OLD}")
    is_tool = kind.startswith(TOOL)
    for name in _OF_TOOLS if is_tool else _STRINGS.get(kind, ()):
        _string(found, name, field)
    if is_tool or kind == DYNAMIC_TOOL:
        _check_tool(found, field)
    return UIPart(kind, found, _parts(found, field) if kind == STEERING else ())


def _check_tool(found: Members, field: str) -> None:
    if value_of(found, "state") == OUTPUT_ERROR:
        _string(found, "errorText", field)
    approval = found.get("approval")
    if approval is not None and not approval.text.startswith(("{", "null")):
        raise InvalidValueError(path(field, "approval"), "must be an object")
    if approval is not None and (inner := members(approval.text)) and reason_in(inner):
        _string(inner, "reason", path(field, "approval"))
    output = found.get("output")
    if output is not None and output.text.startswith('"'):
        _string(found, "output", field)


def _string(found: Members, name: str, field: str) -> str:
    """Return a required string. Raises `InvalidValueError`."""
    if name not in found:
        raise InvalidValueError(path(field, name), "is missing")
    value = found[name].value
    if not isinstance(value, str):
        raise InvalidValueError(path(field, name), "must be a string")
    if not value.isascii() and not is_unicode(value):
        raise InvalidValueError(path(field, name), UNPAIRED_SURROGATE)
    return value
