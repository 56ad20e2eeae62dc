"""OpenAI's chat format: {"messages": [...], "tools": [...]}, of requests and fine-tuning files.

It is read and written for imports and exports. Parts that a message has no field for are kept in
the metadata under `openai`, and written again.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Embed,
    EntryWriter,
    Line,
    Originals,
    embed_original,
    expect,
    get_optional,
    get_required,
    objects,
    one_of,
    without,
)
from chatkeep.domain.formats.expansion import expand_message
from chatkeep.domain.formats.tool_calls import AskedCalls, make_call
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, JsonText, Role
from chatkeep.domain.parts import are_parts

KEY: Final = "openai"
_ROLES: Final = {**{role.value: role for role in Role}, "function": Role.TOOL}
_SHARED: Final = ("role", "content", "tool_calls", "tool_call_id", "name")
_OF_MESSAGES: Final = frozenset(
    {
        *("weight", "function_call", "refusal", "audio", "annotations"),
        *("reasoning_content", "reasoning", "reasoning_details"),
    }
)
_OF_REQUESTS: Final = frozenset(
    {
        *("tools", "functions", "function_call", "parallel_tool_calls", "tool_choice", "model"),
        *("response_format", "temperature", "top_p", "max_tokens", "max_completion_tokens"),
        *("stop", "stream", "stream_options", "seed", "n", "user", "store", "reasoning_effort"),
        *("frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs"),
        *("modalities", "prediction", "service_tier", "verbosity", "web_search_options"),
    }
)
# Of messages in a list alone, what Anthropic's do not have.
_ONLY_ROLES: Final = frozenset({"tool", "function", "developer"})
_ONLY_PARTS: Final = frozenset({"image_url", "input_audio", "file", "refusal"})
_ONLY_HERE: Final = _OF_MESSAGES | {"tool_calls", "tool_call_id"}


def recognizes(document: object) -> bool:
    """Return whether the document has anything that only this format has.

    Many formats have messages with only a role and a text.
    """
    match document:
        case {"messages": list(messages), **rest}:
            said = [message for message in messages if isinstance(message, dict)]
            return bool(rest.keys() & _OF_REQUESTS) or any(map(_is_openais, said))
        case [{"role": str()}, *_]:
            return any(isinstance(each, dict) and _is_of_list(each) for each in document)
    return False


def _is_openais(message: Document) -> bool:
    return (
        isinstance(message.get("content"), list)
        or bool(message.keys() & _OF_MESSAGES)
        or message.get("role") == "function"
        or message.get("tool_calls") == []
    )


def _is_of_list(message: Document) -> bool:
    """Return whether a message in a list alone is OpenAI's; Anthropic's may be lists alone too."""
    content = message.get("content")
    return (
        message.get("role") in _ONLY_ROLES
        or bool(message.keys() & _ONLY_HERE)
        or any(
            isinstance(part, dict) and str(part.get("type")) in _ONLY_PARTS
            for part in (content if isinstance(content, list) else ())
        )
    )


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Any = expect(document, WHOLE, dict, list)
    given = {"messages": given} if isinstance(given, list) else given
    calls = AskedCalls()
    listed = objects(given, "messages")
    messages = [
        read_message(each, index, calls, f"messages[{index}]") for index, each in enumerate(listed)
    ]
    rest = without(given, "messages")
    metadata = {KEY: rest} if rest else None
    formerly = {"metadata": metadata, "messages": _read_formerly(listed, messages)}
    for sent, message in zip(listed, messages, strict=True):
        use_parts(sent, message)
    made = {"metadata": metadata, "messages": messages}
    return chatkeep.read(made, key=KEY, formerly=formerly, originals=originals)


def _read_formerly(listed: Sequence[Document], messages: Sequence[Document]) -> list[Document]:
    """Return the messages as earlier versions read them: see `Line.formerly`.

    Only objects with a member `text` were text, and a result answered the last call of any tool.
    """
    found = []
    calls: dict[str | None, str] = {}  # the last one of each name, and of all names under None
    for index, (given, message) in enumerate(zip(listed, messages, strict=True)):
        former = dict(message)
        content = given.get("content")
        if isinstance(content, list):
            texts = [part.get("text") for part in content if isinstance(part, dict)]
            former["content"] = "\n\n".join(text for text in texts if isinstance(text, str))
        elif content is None and message["tool_calls"] is None:
            former["content"] = ""
        if given.get("function_call") is not None and not given.get("tool_calls"):
            calls[given["function_call"]["name"]] = calls[None] = f"call_{index}"
        if given["role"] == "function":
            latest = calls.get(message["name"]) or calls.get(None)
            former["tool_call_id"] = latest or f"call_{index}"
        found.append(former)
    return found


def read_message(given: Document, index: int, calls: AskedCalls, where: str) -> Document:
    """Return a message in the form of `jsonl`; `where` is its path in the document.

    `index` is its place, and `calls` are the calls before it. What has no place is in its metadata,
    under `openai`. Raises `InvalidValueError` naming the field.
    """
    given_role: str = get_required(given, "role", where, str)
    role = one_of(_ROLES, given_role, f"{where}.role")
    tool_calls = objects(given, "tool_calls", where) if given.get("tool_calls") else None
    get_optional(given, "tool_calls", where, list)
    name: str | None = get_optional(given, "name", where, str)
    rest = without(given, *_SHARED)
    text, parts = _text(get_optional(given, "content", where, str, list))
    if parts:
        rest["content"] = parts
    message: Document = {
        "role": role.value,
        "content": text,
        "tool_calls": tool_calls,
        "tool_call_id": get_optional(given, "tool_call_id", where, str),
        "name": name,
        chatkeep.ORIGIN: index,
    }
    function: Document | None = get_optional(given, "function_call", where, dict)
    if function is not None:
        called: str = get_required(function, "name", f"{where}.function_call", str)
        arguments: str = get_required(function, "arguments", f"{where}.function_call", str)
        if not tool_calls:
            del rest["function_call"]
            calls.add(called, f"call_{index}")
            message["tool_calls"] = [make_call(f"call_{index}", called, arguments, is_json=True)]
    if given_role == "function":
        message["tool_call_id"] = calls.answer(name) or f"call_{index}"
    elif role is Role.USER:
        calls.end_turn()
    elif function is None:
        calls.pass_text()
    if text is None and message["tool_calls"] is None:
        message["content"] = _said_instead(given)
    message["metadata"] = {KEY: rest} if rest else None
    return message


def use_parts(given: Document, message: Document) -> None:
    """Make a list of content parts the content of the message, if each is one."""
    parts = given.get("content")
    if not isinstance(parts, list) or not are_parts(parts):
        return
    message["content"] = parts
    if message["metadata"] is not None:
        kept = without(message["metadata"][KEY], "content")
        message["metadata"] = {KEY: kept} if kept else None


def _text(content: str | list[Any] | None) -> tuple[str | None, list[Any]]:
    """Return the text, and all the parts if they are more than one text."""
    if not isinstance(content, list):
        return content, []
    match content:
        case [{"type": "text", "text": str(text), **rest}] if not rest:
            return text, []
    texts = [text for text in map(_text_of, content) if text is not None]
    return "\n\n".join(texts), content


def _text_of(part: object) -> str | None:
    match part:
        case (
            str(text)
            | {"text": str(text)}
            | {"refusal": str(text)}
            | {"input_audio": {"transcript": str(text)}}
            | {"transcript": str(text)}
        ):
            return text
    return None


def _said_instead(message: Document) -> str:
    """Return the refusal, or what was said in a recording, of a message without content."""
    match message:
        case {"refusal": str(text)} | {"audio": {"transcript": str(text)}}:
            return text
    return ""


class OpenAIChatWriter(EntryWriter):
    """Writes the format that `read` reads, for fine-tuning.

    A message whose original is of this format is that original, with spaces for line breaks, and a
    UIMessage is written as a model gets it. Of others it leaves out ids, times, titles, statuses,
    holds, originals, other metadata than `openai`, entries that are not messages, and conversations
    without messages.
    """

    writes_empty = False
    writes_branches = False
    leaves_out = frozenset(
        {
            *("id", "created_at", "edited_at", "metadata"),
            *("tokens", "starts_context", "format", "original"),
        }
    )

    def head(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return {}

    def entry(self, entry: Entry, embed: Embed) -> Document | None:
        message = entry.message
        if message is None:
            return None
        if message.format == KEY and message.original is not None:
            return embed_original(message.original, embed)
        kept = without(_read_kept(message.metadata), *_SHARED[:1], *_SHARED[2:])
        parts = kept.pop("content", None)
        document: Document = {"role": message.role, "content": message.content}
        if message.parts is not None:
            document["content"] = embed(message.parts)
        elif isinstance(parts, list) and (message.content or "") in {"", _text(parts)[0]}:
            document["content"] = parts
        elif message.content and message.content == _said_instead(kept):
            document["content"] = None
        if message.tool_calls is not None:
            document["tool_calls"] = embed(message.tool_calls)
        if message.tool_call_id is not None:
            document["tool_call_id"] = message.tool_call_id
        if message.name is not None:
            document["name"] = message.name
        return {**document, **kept}

    def write(self, entries: Sequence[Entry], embed: Embed) -> Sequence[object]:
        expanded = (
            entry._replace(message=message)
            for entry in entries
            if entry.message is not None
            for message in expand_message(entry.message)
        )
        return super().write([*expanded], embed)

    def tail(self, conversation: Conversation, embed: Embed) -> Document:  # noqa: ARG002 - the interface
        return without(_read_kept(conversation.metadata), "messages")


def _read_kept(metadata: JsonText) -> Document:
    if KEY not in metadata:
        return {}
    kept = json.loads(metadata).get(KEY)
    return kept if isinstance(kept, dict) else {}
