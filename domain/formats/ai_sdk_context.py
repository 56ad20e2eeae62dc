"""Turns a UIMessage into the messages that a model needs: texts, calls of tools and their results.

One UIMessage holds all steps of an answer. A model gets each step as a message, followed by the
results of its calls, as the AI SDK's own `convertToModelMessages` sends them.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from chatkeep.domain.formats.ai_sdk_files import to_content_part
from chatkeep.domain.formats.ai_sdk_messages import (
    FILE,
    OUTPUT_AVAILABLE,
    OUTPUT_ERROR,
    STEERING,
    TEXT,
    UIMessage,
    UIPart,
    object_in,
    reason_in,
    steps,
    texts,
)
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.tool_calls import make_call
from chatkeep.domain.model import Role

_DENIED: Final = "Tool call execution denied."
_INPUTS: Final = ("input", "rawInput")
_NO_INPUT: Final = "{}"


class ModelMessage(NamedTuple):
    """A message for a model.

    `parts` are the parts of its content if it is more than a text, `calls` those of the assistant.
    `call_id` is the call that a result answers; `is_error` means that it failed or was denied.
    """

    role: Role
    text: str
    parts: tuple[Document, ...] = ()
    calls: tuple[Document, ...] = ()
    call_id: str | None = None
    is_error: bool = False


def to_model_messages(message: UIMessage) -> list[ModelMessage]:
    """Return what a model gets instead of the UIMessage; nothing if it says nothing to a model.

    - A step is an assistant's message with its texts, files and calls, then come the results. What
      follows the result of a tool that the provider ran is a separate message.
    - The result is the output as it was written, the text of an error, or the reason of a denial.
      A call without one of these, because it waits or was broken off, is left out.
    - A `steering-message` is a message of the user between two steps.
    - Reasoning, sources, data and parts of unknown types are left out.
    """
    if message.role is Role.SYSTEM:
        text = message.text()
        return [ModelMessage(Role.SYSTEM, text)] if text else []
    if message.role is Role.USER:
        return list(_said(Role.USER, message.parts))
    found: list[ModelMessage] = []
    for step in steps(message.parts):
        for block in _blocks(step):
            if block[0].kind == STEERING:
                found += _said(Role.USER, block[0].parts)
            else:
                found += _answer(block)
    return found


def _blocks(step: Sequence[UIPart]) -> Iterator[list[UIPart]]:
    """Yield the parts that make one message, and each steering message alone."""
    block: list[UIPart] = []
    has_result = False
    for part in step:
        if part.kind == STEERING or (has_result and part.tool is None):
            if block:
                yield block
            block = []
        has_result = False
        if part.kind == STEERING:
            yield [part]
            continue
        block.append(part)
        is_ran = part.value.get("providerExecuted") is True
        has_result = is_ran and _result(part) is not None
    if block:
        yield block


def _said(
    role: Role, listed: Sequence[UIPart], calls: Sequence[Document] = ()
) -> Iterator[ModelMessage]:
    content: list[Document] = []
    for part in listed:
        if part.kind == TEXT and (text := part.string("text")):
            content.append({"type": "text", "text": text})
        elif part.kind == FILE and (file := to_content_part(part)) is not None:
            content.append(file)
    if not content and not calls:
        return
    between = "\n\n" if role is Role.USER else ""
    text = between.join(filter(None, texts(listed)))
    is_plain = len(content) <= 1 if role is Role.USER else True
    if is_plain and all(part["type"] == TEXT for part in content):
        content = []
    yield ModelMessage(role, text, tuple(content), tuple(calls))


def _answer(block: Sequence[UIPart]) -> Iterator[ModelMessage]:
    calls: list[Document] = []
    results: list[ModelMessage] = []
    for part in block:
        call_id, name = part.string("toolCallId"), part.tool
        if not name or not call_id or any(each.call_id == call_id for each in results):
            continue
        result = _result(part)
        if result is not None:
            calls.append(make_call(call_id, name, _input(part), is_json=True))
            is_error = part.string("state") != OUTPUT_AVAILABLE
            results.append(ModelMessage(Role.TOOL, result, call_id=call_id, is_error=is_error))
    yield from _said(Role.ASSISTANT, block, calls)
    yield from results


def _result(part: UIPart) -> str | None:
    """Return the result of a call; None for a call without one, and for any other part."""
    if part.tool is None:
        return None
    state = part.string("state")
    if state == OUTPUT_AVAILABLE:
        return None if part.value.get("preliminary") is True else _output(part)
    if state == OUTPUT_ERROR:
        return part.string("errorText")
    approval = object_in(part.value, part.source, "approval") or {}
    is_denied = state == "approval-responded" and approval.get("approved") is False
    return reason_in(approval) or _DENIED if is_denied or state == "output-denied" else None


def _output(part: UIPart) -> str:
    output = part.value.get("output", "")  # JavaScript's undefined is not written
    return output if isinstance(output, str) else part.members()["output"].text


def _input(part: UIPart) -> str:
    """Return the arguments of a call as they were written.

    Where a model wrote no JSON, `rawInput` or `input` has its text in a string.
    """
    is_error = part.string("state") == OUTPUT_ERROR
    for name in _INPUTS if is_error else _INPUTS[:1]:
        given = part.value.get(name)
        if is_error and isinstance(given, str):
            return given
        if given is not None:
            return part.members()[name].text
    return _NO_INPUT
