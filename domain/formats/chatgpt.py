"""`conversations.json` of ChatGPT's data export: an array of conversations, each a tree of nodes.

Its branches become branches here; the one shown last is the current one. Every member of a message
or a conversation that has no place is kept in its metadata. docs/transfer.md describes the whole
mapping.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid5

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.chatgpt_messages import (
    Said,
    is_of_tool,
    members_of_node,
    read_message,
    read_reasoning,
    read_time,
)
from chatkeep.domain.formats.chatgpt_tree import (
    find_branch,
    find_branch_formerly,
    find_order,
    find_parents,
)
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
from chatkeep.domain.formats.trees import lay_out
from chatkeep.domain.model import MessageId, Role, Status

KEY: Final = "chatgpt"
_TURN: Final = 100
"""The most messages that are looked at to find the call of a result that begins a branch."""

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
    parents = find_parents(mapping)
    branch = find_branch(mapping, current, parents)
    order = [*branch] if len(branch) == len(mapping) else find_order(mapping, parents)
    reading = _Reading(chatgpt_id or "")
    for node_id in branch:
        reading.add(node_id, mapping[node_id])
    before: str | None = None
    for node_id in order if len(order) > len(branch) else ():
        if node_id in branch:
            before = None
            continue
        if before is None or parents.get(node_id) != before:
            reading.start_branch(mapping, parents, node_id)
        reading.add(node_id, mapping[node_id])
        before = node_id
    reading.end_branch()
    rest = without(given, *_PLACED, *(("id",) if other_id == chatgpt_id else ()))
    kept = present(
        {
            "model": given.get("default_model_slug"),
            "gizmo_id": given.get("gizmo_id"),
            "conversation": present(rest),
            "thoughts": reading.unplaced_thoughts,
            # Those of a circle, which no first node leads to, are kept unchanged.
            "nodes": reading.nodes | without(mapping, *order),
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
            **_lay_out(reading.messages, parents, order, branch),
        },
        key=KEY,
        canonical=f"{KEY}:{chatgpt_id}" if chatgpt_id else None,
        originals=originals,
    )
    formerly = branch if current in mapping else find_branch_formerly(mapping)
    left_out = (node_id for node_id in order if node_id not in formerly)
    ids = (
        _message_id(chatgpt_id or "", node_id)
        for node_id in (*left_out, *reading.formerly_left_out)
    )
    return replace(line, formerly_left_out=frozenset(ids))


def _lay_out(
    messages: Sequence[Document],
    parents: Mapping[str, str],
    order: Sequence[str],
    branch: Collection[str],
) -> Document:
    """Return the messages of all branches in the order of the tree, as members of a document."""
    if len(order) == len(branch):
        return {"messages": messages}
    by_node: dict[str, Document] = {message[chatkeep.ORIGIN]: message for message in messages}
    ordered: list[Document] = []
    places: list[int | None] = []
    latest: dict[str | None, int | None] = {None: None}  # the last message on the way to a node
    current: int | None = None
    for node_id in order:
        place = latest.get(parents.get(node_id))
        if node_id in by_node:
            places.append(place)
            place = len(ordered)
            ordered.append(by_node[node_id])
        latest[node_id] = place
        if node_id in branch and place is not None:
            current = place
    return lay_out(ordered, places, current)


def _message_id(chatgpt_id: str, node_id: str) -> MessageId:
    return MessageId(uuid5(IMPORTS, f"{KEY}:{chatgpt_id}:{node_id}"))


@dataclass
class _Reading:
    """The messages so far. `thoughts` belong to the message that comes next.

    No message came after the `unplaced_thoughts`. `nodes` are those that became no message.
    `formerly_left_out` are the ids of nodes that earlier versions dropped.
    """

    chatgpt_id: str
    messages: list[Document] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)
    nodes: Document = field(default_factory=dict)
    formerly_left_out: list[str] = field(default_factory=list)
    unplaced_thoughts: list[Any] = field(default_factory=list)
    _by_node: dict[str, Document] = field(default_factory=dict)
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
        self._by_node[node_id] = message
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

    def start_branch(
        self, mapping: Mapping[str, Document], parents: Mapping[str, str], node_id: str
    ) -> None:
        """Go on with a node that does not follow the last one."""
        self.end_branch()
        self._calls = AskedCalls()
        self._results = {}
        if is_of_tool(mapping[node_id]):
            self._find_calls(parents, node_id)

    def _find_calls(self, parents: Mapping[str, str], node_id: str) -> None:
        """Find the calls before a result, in its turn."""
        found: list[Document] = []
        at = parents.get(node_id)
        while at is not None and len(found) < _TURN:
            message = self._by_node.get(at)
            if message is not None:
                if message["role"] == Role.USER.value:
                    break
                found.append(message)
            at = parents.get(at)
        for message in reversed(found):
            for call in message.get("tool_calls") or ():
                self._calls.add(call[call["type"]]["name"], call["id"])
            if message["role"] == Role.TOOL.value:
                self._calls.mark_answered(message["tool_call_id"])

    def end_branch(self) -> None:
        self.close_result()
        self.unplaced_thoughts += self.thoughts
        self.thoughts = []

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
