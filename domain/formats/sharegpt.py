"""ShareGPT's format: {"id", "conversations": [{"from", "value"}]}, of data sets and exports.

Turns may also be written as {"role", "content"}, with the other members of OpenAI's messages. Parts
that a message has no field for are kept in the metadata under `sharegpt`.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Final

from chatkeep.domain.formats import chatkeep, openai_chat
from chatkeep.domain.formats.codec import (
    NO_ORIGINALS,
    WHOLE,
    Document,
    Line,
    Originals,
    expect,
    get_required,
    objects,
    one_of,
    without,
)
from chatkeep.domain.formats.tool_calls import AskedCalls, make_call, parse_strictly
from chatkeep.domain.json_fields import stable_json
from chatkeep.domain.model import Role

KEY: Final = "sharegpt"
_CALL: Final = "function_call"
_CALLS: Final = frozenset({_CALL, "function-call", "tool_call"})
_OF_CALLS: Final = ("name", "arguments")
_USUAL: Final = frozenset({"human", "gpt", "system", _CALL, "observation"})
_ROLES: Final = {
    "human": Role.USER,
    "user": Role.USER,
    "gpt": Role.ASSISTANT,
    "assistant": Role.ASSISTANT,
    "chatgpt": Role.ASSISTANT,
    "bard": Role.ASSISTANT,
    "bing": Role.ASSISTANT,
    "model": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.DEVELOPER,
    "function": Role.TOOL,
    **dict.fromkeys(_CALLS, Role.ASSISTANT),
    "observation": Role.TOOL,
    "tool": Role.TOOL,
    "function_response": Role.TOOL,
    "function-response": Role.TOOL,
    "tool_response": Role.TOOL,
}


def recognizes(document: object) -> bool:
    match document:
        case {"conversations": [{"mapping": _}, *_]}:  # those of ChatGPT, in an object
            return False
        case {"conversations": list()}:
            return True
    return False


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    turns = objects(given, "conversations")
    rest = without(given, "conversations", "id")
    given_id, title = given.get("id"), rest.get("title")
    if title is None or isinstance(title, str):
        rest.pop("title", None)
    messages: list[Document] = []
    if isinstance(rest.get("system"), str):
        instructions = rest.pop("system")
        if instructions:
            said = {"role": Role.SYSTEM.value, "content": instructions}
            messages.append({**said, chatkeep.ORIGIN: "system"})
    calls = AskedCalls()
    for index, turn in enumerate(turns):
        messages.append(_message(turn, index, calls))
    made: Document = {
        "source": None if given_id is None else f"{KEY}#{given_id}",
        "title": title if isinstance(title, str) else None,
        "metadata": {KEY: rest} if rest else None,
        "messages": _join_results(messages),
    }
    if any(_is_chat(turn) for turn in turns):  # earlier versions did not read these
        return chatkeep.read(made, key=KEY, originals=originals)
    former = without(rest, "title")
    formerly: Document = {
        **made,
        "metadata": {KEY: former} if former else None,
        "messages": _read_formerly(messages),
    }
    return chatkeep.read(made, key=KEY, formerly=formerly, originals=originals)


def _join_results(messages: Sequence[Document]) -> list[Document]:
    """Return the messages, with results in a row for one call as one: a model takes one.

    The text of each is kept under `results`, with its other members.
    """
    joined: list[Document] = []
    for _, group in groupby(enumerate(messages), _answered_call):
        found = [message for _, message in group]
        if len(found) > 1:
            members = [(each.get("metadata") or {KEY: {}})[KEY] for each in found]
            texts = [each["content"] for each in found]
            results = [{"value": text, **kept} for text, kept in zip(texts, members, strict=True)]
            message = {**found[0], "content": "\n".join(filter(None, texts))}
            found = [{**message, "metadata": {KEY: {"results": results}}}]
        joined += found
    return joined


def _answered_call(placed: tuple[int, Document]) -> object:
    """Return the id of the call that a result answers, and the place of any other message."""
    place, message = placed
    return message.get("tool_call_id", place)


def _read_formerly(messages: Sequence[Document]) -> list[Document]:
    """Return the messages as earlier versions read them: see `Line.formerly`.

    All results answered the last call, and other names of speakers were not kept.
    """
    found = []
    latest: str | None = None
    for message in messages:
        former = dict(message)
        if kept := message.get("metadata"):
            kept = without(kept[KEY], "from", "value")
            former["metadata"] = {KEY: kept} if kept else None
        if "tool_calls" in message:
            latest = message["tool_calls"][0]["id"]
        elif latest is not None and message["role"] == Role.TOOL.value:
            former["tool_call_id"] = latest
        found.append(former)
    return found


def _message(turn: Document, index: int, calls: AskedCalls) -> Document:
    where = f"conversations[{index}]"
    if _is_chat(turn):
        return _chat_message(turn, index, calls, where)
    speaker: str = get_required(turn, "from", where, str)
    said: str = get_required(turn, "value", where, str)
    role = one_of(_ROLES, speaker, f"{where}.from")
    message: Document = {"role": role.value, "content": said, chatkeep.ORIGIN: index}
    kept = without(turn, "from", "value")
    if speaker not in _USUAL:
        kept["from"] = speaker
    if speaker in _CALLS:
        call = _read_call(said, f"call_{index}")
        message["content"] = None
        message["tool_calls"] = [call]
        calls.add(_CALL, call["id"])
        if call["type"] == "function" and len(parse_strictly(said)) > len(_OF_CALLS):
            kept["value"] = said
    elif role is Role.TOOL:
        message["tool_call_id"] = calls.answer(None) or f"call_{index}"
    elif role is Role.USER:
        calls.end_turn()
    if kept:
        message["metadata"] = {KEY: kept}
    return message


def _is_chat(turn: Document) -> bool:
    return "role" in turn and "from" not in turn


def _chat_message(turn: Document, index: int, calls: AskedCalls, where: str) -> Document:
    """Return the message of a turn in the form of OpenAI's; other names of roles are read too."""
    speaker: str = get_required(turn, "role", where, str)
    role = one_of(_ROLES, speaker, f"{where}.role")
    if "value" in turn and "content" not in turn:
        turn = {**without(turn, "value"), "content": turn["value"]}
    if speaker in _CALLS or (role is Role.TOOL and not turn.get("tool_call_id")):
        said: str = get_required(turn, "content", where, str)
        named = {"from": speaker, "value": said, **without(turn, "role", "content")}
        return _message(named, index, calls)
    message = openai_chat.read_message({**turn, "role": role.value}, index, calls, where)
    if role is not Role.TOOL:  # several results of one call are joined
        openai_chat.use_parts(turn, message)
    kept: Document = (message.pop("metadata") or {}).get(openai_chat.KEY, {})
    if speaker != role.value:
        kept["role"] = speaker
    for call in message["tool_calls"] or ():
        if isinstance(call.get("id"), str):
            calls.add(_CALL, call["id"])
    if message["tool_call_id"] is not None:
        calls.mark_answered(message["tool_call_id"])
    found = {name: value for name, value in message.items() if value is not None}
    return {"content": None, **found, **({"metadata": {KEY: kept}} if kept else {})}


def _read_call(text: str, call_id: str) -> Document:
    """Return the tool call in a text: JSON with a name and arguments, or any other text."""
    match parse_strictly(text):
        case {"name": str(name), "arguments": arguments}:
            encoded = arguments if isinstance(arguments, str) else stable_json(arguments)
            return make_call(call_id, name or _CALL, encoded, is_json=True)
    return make_call(call_id, _CALL, text, is_json=False)
