"""`conversations.json` of ChatGPT's data export: an array of conversations, each a tree of nodes.

The branch shown last becomes the messages; the other nodes are kept unchanged in the conversation's
metadata under `chatgpt.branches`. Every member of a message or a conversation that has no place is
kept in its metadata. docs/transfer.md describes the whole mapping.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid5

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.chatgpt_messages import (
    Said,
    members_of_node,
    read_message,
    read_reasoning,
    read_time,
)
from chatkeep.domain.formats.chatgpt_tree import find_branch, find_branch_formerly
from chatkeep.domain.formats.codec import (
    IMPORTS,
    NO_ORIGINALS,
    WHOLE,
    Document,
    Line,
    Originals,
    expect,
    get_optional,
    get_required,
    present,
    without,
)
from chatkeep.domain.formats.tool_calls import AskedCalls, is_json_object, make_call
from chatkeep.domain.model import MessageId, Role, Status

KEY: Final = "chatgpt"

_PLACED: Final = (
    *("mapping", "current_node", "conversation_id", "title", "create_time", "update_time"),
    *("is_archived", "default_model_slug", "gizmo_id"),
)


def recognizes(document: object) -> bool:
    return isinstance(document, dict) and isinstance(document.get("mapping"), dict)


def read(document: object, originals: Originals = NO_ORIGINALS) -> Line:
    """Return the conversation. Raises `InvalidValueError` naming the field."""
    given: Document = expect(document, WHOLE, dict)
    nodes: Document = get_required(given, "mapping", "", dict)
    mapping: dict[str, Document] = {
        node_id: expect(node, f"mapping.{node_id}", dict)
        for node_id, node in nodes.items()
        if node is not None
    }
    own_id, other_id, title, current = (
        get_optional(given, name, "", str)
        for name in ("conversation_id", "id", "title", "current_node")
    )
    chatgpt_id = own_id or other_id
    branch = find_branch(mapping, current)
    reading = _Reading(chatgpt_id or "")
    for node_id in branch:
        reading.add(node_id, mapping[node_id])
    reading.close_result()
    rest = without(given, *_PLACED, *(("id",) if other_id == chatgpt_id else ()))
    kept = present(
        {
            "model": given.get("default_model_slug"),
            "gizmo_id": given.get("gizmo_id"),
            "conversation": present(rest),
            "thoughts": reading.thoughts,
            "nodes": reading.nodes,
            "branches": {key: node for key, node in mapping.items() if key not in branch},
        }
    )
    is_archived = get_optional(given, "is_archived", "", bool)
    created_at, updated_at = (
        get_optional(given, name, "", float) for name in ("create_time", "update_time")
    )
    line = chatkeep.read(
        {
            "source": f"{KEY}#{chatgpt_id}" if chatgpt_id else None,
            "title": title,
            "status": Status.ARCHIVED.value if is_archived else None,
            "metadata": {KEY: kept} if kept else None,
            "created_at": read_time(created_at, "create_time"),
            "updated_at": read_time(updated_at, "update_time"),
            "messages": reading.messages,
        },
        key=KEY,
        canonical=f"{KEY}:{chatgpt_id}" if chatgpt_id else None,
        originals=originals,
    )
    formerly = branch if current in mapping else find_branch_formerly(mapping)
    left_out = (node_id for node_id in branch if node_id not in formerly)
    ids = (
        _message_id(chatgpt_id or "", node_id)
        for node_id in (*left_out, *reading.formerly_left_out)
    )
    return replace(line, formerly_left_out=frozenset(ids))


def _message_id(chatgpt_id: str, node_id: str) -> MessageId:
    return MessageId(uuid5(IMPORTS, f"{KEY}:{chatgpt_id}:{node_id}"))


@dataclass
class _Reading:
    """The messages so far. `thoughts` belong to the message that comes next.

    `nodes` are those that became no message. `formerly_left_out` are the ids of nodes that earlier
    versions dropped.
    """

    chatgpt_id: str
    messages: list[Document] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)
    nodes: Document = field(default_factory=dict)
    formerly_left_out: list[str] = field(default_factory=list)
    _calls: AskedCalls = field(default_factory=AskedCalls)
    _results: dict[str, "_Result"] = field(default_factory=dict)
    _result: "_Result | None" = None

    def add(self, node_id: str, node: Document) -> None:
        """Add the message of the next node, if it has any."""
        where = f"mapping.{node_id}.message"
        if node.get("message") is None:
            if members_of_node(node):
                self.nodes[node_id] = node
            return
        given: Document = expect(node["message"], where, dict)
        reasoning = read_reasoning(node, where)
        if reasoning is not None:
            self.thoughts.append(reasoning)
            self.nodes[node_id] = {**node, "message": without(given, "content")}
            return
        said = read_message(node_id, node, where)
        if said is None:
            self.nodes[node_id] = node
            return
        if said.formerly_left_out:
            self.formerly_left_out.append(node_id)
        if said.role is Role.TOOL:
            self._add_result(node_id, said, node)
        else:
            self.close_result()
            self._add(node_id, said)

    def _add(self, node_id: str, said: Said, **fields: object) -> Document:
        message: Document = {
            "role": said.role.value,
            "content": said.text,
            "created_at": said.created_at,
            chatkeep.ORIGIN: node_id,
            **fields,
        }
        if self.chatgpt_id:
            message["id"] = str(_message_id(self.chatgpt_id, node_id))
        if said.recipient is not None:
            is_json = is_json_object(said.text)
            call = make_call(f"call_{node_id}", said.recipient, said.text, is_json=is_json)
            self._calls.add(said.recipient, call["id"])
            message["content"], message["tool_calls"] = None, [call]
        elif said.role is Role.USER:
            self._calls.end_turn()
        elif said.role is not Role.TOOL:
            self._calls.pass_text()
        if self.thoughts:
            said.kept["thoughts"], self.thoughts = self.thoughts, []
        message["metadata"] = {KEY: said.kept} if said.kept else None
        self.messages.append(message)
        return message

    def _add_result(self, node_id: str, said: Said, node: Document) -> None:
        call_id = self._calls.answer(said.tool) or f"call_{node_id}"
        if self._result is not None and self._result.message["tool_call_id"] == call_id:
            self._result.add(said.text, {"id": node_id, **node["message"]})
            if members_of_node(node):
                self.nodes[node_id] = without(node, "message")
            return
        self.close_result()
        earlier = self._results.get(call_id)
        if earlier is not None and not earlier.message["content"]:
            # A call has one result: rather this one than an empty one.
            earlier.message["tool_call_id"] = f"call_{earlier.node_id}"
            del self._results[call_id]
        message = self._add(node_id, said, name=said.tool, tool_call_id=call_id)
        self._result = _Result(node_id, message, [said.text])
        self._results.setdefault(call_id, self._result)

    def close_result(self) -> None:
        """Give the last result the texts of all messages that are one result of one call."""
        if self._result is not None:
            texts = filter(None, self._result.texts)
            self._result.message["content"] = "\n".join(texts)
            self._result = None


@dataclass
class _Result:
    """A tool's message, and the texts of those that directly follow it and answer the same call."""

    node_id: str
    message: Document
    texts: list[str]

    def add(self, text: str, given: Document) -> None:
        self.texts.append(text)
        self.message["metadata"] = self.message["metadata"] or {KEY: {}}
        self.message["metadata"][KEY].setdefault("results", []).append(given)
