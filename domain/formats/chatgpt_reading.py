"""Reads the nodes of ChatGPT's data export one after the other, as messages."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid5

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.chatgpt_messages import (
    Said,
    is_of_tool,
    members_of_node,
    read_message,
    read_reasoning,
)
from chatkeep.domain.formats.codec import (
    IMPORTS,
    Document,
    expect,
    without,
)
from chatkeep.domain.formats.tool_calls import AskedCalls, is_json_object, make_call
from chatkeep.domain.model import MessageId, Role

KEY: Final = "chatgpt"
_TURN: Final = 100
"""The most messages that are looked at to find the call of a result that begins a branch."""


def message_id(chatgpt_id: str, node_id: str) -> MessageId:
    return MessageId(uuid5(IMPORTS, f"{KEY}:{chatgpt_id}:{node_id}"))


@dataclass
class NodeReading:
    """The messages so far. `thoughts` belong to the message that comes next.

    No message came after the `unplaced_thoughts`. `nodes` are those that became no message.
    `formerly_left_out` are the ids of nodes that earlier versions dropped. `merged` are the nodes
    of further results of a call. `thoughts_of` has the nodes whose thoughts a message has, by its
    node, and under an empty name those of no message.
    """

    chatgpt_id: str
    messages: list[Document] = field(default_factory=list)
    thoughts: list[Any] = field(default_factory=list)
    nodes: Document = field(default_factory=dict)
    formerly_left_out: list[str] = field(default_factory=list)
    unplaced_thoughts: list[Any] = field(default_factory=list)
    by_node: dict[str, Document] = field(default_factory=dict)
    merged: list[str] = field(default_factory=list)
    thoughts_of: dict[str, list[str]] = field(default_factory=dict)
    _thinking: list[str] = field(default_factory=list)
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
            self._thinking.append(node_id)
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
            message["id"] = str(message_id(self.chatgpt_id, node_id))
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
            self.thoughts_of[node_id], self._thinking = self._thinking, []
        message["metadata"] = {KEY: said.kept} if said.kept else None
        self.messages.append(message)
        self.by_node[node_id] = message
        return message

    def _add_result(self, node_id: str, said: Said, node: Document) -> None:
        call_id = self._calls.answer(said.tool) or f"call_{node_id}"
        if self._result is not None and self._result.message["tool_call_id"] == call_id:
            self._result.add(said.text, {"id": node_id, **node["message"]})
            self.merged.append(node_id)
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
            message = self.by_node.get(at)
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
        if self.thoughts:
            self.unplaced_thoughts += self.thoughts
            self.thoughts_of.setdefault("", []).extend(self._thinking)
        self.thoughts, self._thinking = [], []

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
