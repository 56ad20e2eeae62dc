"""Nodes of ChatGPT's data export for messages that did not come from one."""

import json
from collections.abc import Iterator, MutableMapping
from typing import Final

from chatkeep.domain.context import calls
from chatkeep.domain.formats.chatgpt_reading import KEY
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.expansion import expand_message
from chatkeep.domain.formats.links import Ends
from chatkeep.domain.formats.tree_writing import kept_under
from chatkeep.domain.ids import written_id
from chatkeep.domain.model import Message, Role

_MOST_CALLS: Final = 1_000
"""The calls whose tools are known to results that come later."""


def find_node(message: Message) -> tuple[str, Document] | None:
    """Return the id and the node that the original of a message is, if an import brought it."""
    if message.format != KEY or message.original is None:
        return None
    node_id = kept_under(message.metadata, KEY).get("id")
    node = json.loads(message.original)
    if not isinstance(node_id, str) or not isinstance(node, dict):
        return None
    return node_id, node


def ends_of(message: Message) -> Ends:
    """Return the ids of the first and the last node that a message becomes."""
    found = find_node(message)
    if found is not None:
        node_id, node = found
        parent = node.get("parent")
        return Ends(node_id, node_id, parent if isinstance(parent, str) else None)
    made = make_nodes(message, {})
    return Ends(made[0]["id"], made[-1]["id"])


def make_nodes(message: Message, tools: MutableMapping[str, str]) -> list[Document]:
    """Return the nodes for a message, each the parent of the next; at least one.

    A text and each call is a node. `tools` has the names of the tools of earlier calls, and
    gets those of this message. Only the texts of content parts are in the nodes.
    """
    node_id = kept_under(message.metadata, KEY).get("id")
    first = node_id if isinstance(node_id, str) else str(written_id(message.id))
    nodes: list[Document] = []
    for each in expand_message(message):
        for said in _say(each, tools):
            own_id = f"{first}/{len(nodes)}" if nodes else first
            parent = nodes[-1]["id"] if nodes else None
            if nodes:
                nodes[-1]["children"].append(own_id)
            nodes.append(_node(own_id, message, said, parent))
    if nodes:
        return nodes
    said = _message(message.role.value, _text(""))
    return [_node(first, message, said, None)]


def _node(node_id: str, message: Message, said: Document, parent: str | None) -> Document:
    created_at = message.created_at.timestamp()
    said = {"id": node_id, "create_time": created_at, **said}
    return {"id": node_id, "message": said, "parent": parent, "children": []}


def _say(message: Message, tools: MutableMapping[str, str]) -> Iterator[Document]:
    """Yield what a message says: its text, then its calls."""
    asked = [] if message.tool_calls is None else calls(message.tool_calls)
    if message.role is Role.TOOL:
        tool = message.name or tools.get(message.tool_call_id or "")
        yield _message("tool", _text(message.content or ""), name=tool)
    elif message.content or not asked:
        yield _message(message.role.value, _text(message.content or ""))
    for call in asked:
        tools.pop(call.id, None)
        tools[call.id] = call.name
        if len(tools) > _MOST_CALLS:
            del tools[next(iter(tools))]
        code = {"content_type": "code", "language": "unknown", "text": call.payload}
        yield _message("assistant", code, recipient=call.name)


def _text(text: str) -> Document:
    return {"content_type": "text", "parts": [text]}


def _message(
    role: str, content: Document, *, name: str | None = None, recipient: str = "all"
) -> Document:
    return {
        "author": {"role": role, "name": name, "metadata": {}},
        "content": content,
        "status": "finished_successfully",
        "weight": 1.0,
        "metadata": {},
        "recipient": recipient,
    }
