"""UI message chunks: the stream of an answer in Vercel's AI SDK, versions 5 to 7.

They are assembled as the SDK's own reader (`processUIMessageStream`) does, from their texts: so
what a tool got and gave stays as it was written. Unknown types, and chunks that the reader would
refuse, are left out.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from chatkeep.domain.formats.ai_sdk_messages import DYNAMIC_TOOL, FILE, STEP, TEXT, TOOL
from chatkeep.domain.json_sources import dump, object_sources, write_object
from chatkeep.domain.model import OriginalText

REASONING: Final = "reasoning"
_STREAMING: Final = dump("streaming")
_DONE: Final = dump("done")
Sources = dict[str, str]
"""The members of a part or of a chunk, each as JSON."""

# The members of a part that come from a chunk of the same type, in the order of the SDK.
_WHOLE_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    FILE: ("mediaType", "url", "providerMetadata"),
    "reasoning-file": ("mediaType", "url", "providerMetadata"),
    "source-url": ("sourceId", "url", "title", "providerMetadata"),
    "source-document": ("sourceId", "mediaType", "title", "filename", "providerMetadata"),
}
_OF_CALLS: Final = (
    *("title", "toolMetadata", "input", "output", "errorText", "providerExecuted", "preliminary"),
)


class ChunkAssembler:
    """The parts of a message as far as its chunks have come."""

    def __init__(self) -> None:
        self.metadata: str | None = None
        self._parts: list[Sources] = []
        self._texts: dict[int, list[str]] = {}
        self._open: dict[tuple[str, str], int] = {}
        self._calls: dict[str, int] = {}
        self._calls_of_step: dict[str, int] = {}
        self._data: dict[tuple[str, str], int] = {}

    def add(self, chunk: str) -> None:
        """Add a chunk, which is a JSON object."""
        found = object_sources(chunk)
        kind = _string(found, "type")
        if kind.startswith("data-"):
            self._add_data(kind, found)
        elif kind in _WHOLE_PARTS:
            self._append(kind, _some(found, _WHOLE_PARTS[kind]))
        elif (add := _KINDS.get(kind)) is not None:
            add(self, found)

    def message(self, message_id: str) -> OriginalText:
        """Return the UIMessage of an assistant."""
        members = {"id": dump(message_id), "role": dump("assistant")}
        if self.metadata is not None:
            members["metadata"] = self.metadata
        for index, pieces in self._texts.items():
            self._parts[index]["text"] = dump("".join(pieces))
        members["parts"] = f"[{','.join(map(write_object, self._parts))}]"
        return OriginalText(write_object(members))

    def _append(self, kind: str, members: Sources) -> int:
        self._parts.append({"type": dump(kind), **members})
        return len(self._parts) - 1

    def begin(self, kind: str, found: Sources) -> None:
        """Begin a text, which other chunks go on with."""
        named = _some(found, ("id",)) if kind == REASONING else {}
        begun = {**named, "text": '""', **_some(found, ("providerMetadata",))}
        at = self._append(kind, {**begun, "state": _STREAMING})
        self._texts[at] = []
        self._open[kind, found.get("id", "")] = at

    def extend(self, kind: str, found: Sources) -> None:
        at = self._open.get((kind, found.get("id", "")))
        if at is not None:
            self._texts[at].append(_string(found, "delta"))
            self._parts[at] |= _some(found, ("providerMetadata",))

    def finish(self, kind: str, found: Sources) -> None:
        at = self._open.pop((kind, found.get("id", "")), None)
        if at is not None:
            self._parts[at] |= {**_some(found, ("providerMetadata",)), "state": _DONE}

    def begin_step(self, _: Sources) -> None:
        self._append(STEP, {})
        self._calls_of_step.clear()

    def finish_step(self, _: Sources) -> None:
        self._open.clear()

    def add_metadata(self, found: Sources) -> None:
        given = found.get("messageMetadata")
        if given is None or given == "null":
            return
        self.metadata = given if self.metadata is None else _merge(self.metadata, given)

    def call(self, state: str, found: Sources) -> None:
        """Begin the call of a tool in this step, or go on with its input."""
        call_id = found.get("toolCallId", "")
        if "toolName" not in found:
            return
        at = self._calls_of_step.get(call_id)
        if at is None:
            is_dynamic = found.get("dynamic") == "true"
            kind = DYNAMIC_TOOL if is_dynamic else TOOL + _string(found, "toolName")
            named = {"toolName": found["toolName"]} if is_dynamic else {}
            at = self._append(kind, {**named, "toolCallId": call_id})
            self._calls[call_id] = self._calls_of_step[call_id] = at
        self._update(at, state, found)

    def fail(self, state: str, found: Sources) -> None:
        """Note that a model has called a tool with an input that the tool does not take."""
        self.call(state, found)
        at = self._calls_of_step.get(found.get("toolCallId", ""))
        if at is not None and "toolName" not in self._parts[at] and "input" in self._parts[at]:
            self._parts[at]["rawInput"] = self._parts[at].pop("input")

    def answer(self, state: str, found: Sources) -> None:
        """Note what became of a call, of this step or of an earlier one."""
        at = self._calls_of_step.get(found.get("toolCallId", ""))
        at = self._calls.get(found.get("toolCallId", "")) if at is None else at
        if at is not None:
            self._update(at, state, {k: v for k, v in found.items() if k != "input"})

    def _update(self, at: int, state: str, found: Sources) -> None:
        part = self._parts[at]
        for name in ("preliminary", "errorText"):
            part.pop(name, None)
        part |= {"state": dump(state), **_some(found, _OF_CALLS)}
        if "providerMetadata" in found:
            is_result = state in {"output-available", "output-error"}
            name = "resultProviderMetadata" if is_result else "callProviderMetadata"
            part[name] = found["providerMetadata"]
        if "approvalId" in found:
            part["approval"] = write_object({"id": found["approvalId"]})

    def _add_data(self, kind: str, found: Sources) -> None:
        if found.get("transient") == "true":
            return
        members = _some(found, ("id", "data"))
        own_id = found.get("id")
        if own_id is not None and (at := self._data.get((kind, own_id))) is not None:
            self._parts[at] |= members
            return
        at = self._append(kind, members)
        if own_id is not None:
            self._data[kind, own_id] = at


def assemble(chunks: Iterable[str], message_id: str) -> OriginalText:
    """Return the UIMessage that chunks make."""
    assembler = ChunkAssembler()
    for chunk in chunks:
        assembler.add(chunk)
    return assembler.message(message_id)


def _merge(one: str, other: str) -> str:
    """Return a document in which objects are merged, and anything else of the other replaces."""
    if not (one.startswith("{") and other.startswith("{")):
        return other
    merged = object_sources(one)
    for name, value in object_sources(other).items():
        merged[name] = _merge(merged[name], value) if name in merged else value
    return write_object(merged)


def _some(found: Sources, names: Iterable[str]) -> Sources:
    return {name: found[name] for name in names if name in found}


def _string(found: Sources, name: str) -> str:
    """Return a member that is a string; "" for anything else."""
    text = found.get(name, "")
    return str(json.loads(text)) if text.startswith('"') else ""


def _of(method: Callable[..., None], word: str) -> Callable[[ChunkAssembler, Sources], None]:
    return lambda assembler, found: method(assembler, word, found)


_A = ChunkAssembler
_KINDS: Final[Mapping[str, Callable[[ChunkAssembler, Sources], None]]] = {
    "start": _A.add_metadata,
    "finish": _A.add_metadata,
    "message-metadata": _A.add_metadata,
    "start-step": _A.begin_step,
    "finish-step": _A.finish_step,
    "text-start": _of(_A.begin, TEXT),
    "text-delta": _of(_A.extend, TEXT),
    "text-end": _of(_A.finish, TEXT),
    "reasoning-start": _of(_A.begin, REASONING),
    "reasoning-delta": _of(_A.extend, REASONING),
    "reasoning-end": _of(_A.finish, REASONING),
    "tool-input-start": _of(_A.call, "input-streaming"),
    "tool-input-available": _of(_A.call, "input-available"),
    "tool-input-error": _of(_A.fail, "output-error"),
    "tool-approval-request": _of(_A.answer, "approval-requested"),
    "tool-output-available": _of(_A.answer, "output-available"),
    "tool-output-error": _of(_A.answer, "output-error"),
    "tool-output-denied": _of(_A.answer, "output-denied"),
}
