"""`conversations.json` of ChatGPT's data export: an array of conversations, each a tree of nodes.

Its branches become branches here; the one shown last is the current one. Every member of a message
or a conversation that has no place is kept in its metadata. docs/transfer.md describes the whole
mapping.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Final

from chatkeep.domain.formats import chatkeep
from chatkeep.domain.formats.chatgpt_messages import (
    read_time,
)
from chatkeep.domain.formats.chatgpt_reading import KEY, NodeReading, message_id
from chatkeep.domain.formats.chatgpt_tree import (
    find_branch,
    find_branch_formerly,
    find_order,
    find_parents,
    find_strays,
)
from chatkeep.domain.formats.codec import (
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
from chatkeep.domain.formats.remembering import remember
from chatkeep.domain.formats.trees import lay_out
from chatkeep.domain.model import Status

_MERGED: Final = ("message",)  # it is in the metadata of the message
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
    reading = NodeReading(chatgpt_id or "")
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
    if originals:
        line = remember(line, KEY, _for_export(given, reading, present(rest), branch, parents))
    formerly = branch if current in mapping else find_branch_formerly(mapping)
    left_out = (node_id for node_id in order if node_id not in formerly)
    ids = (
        message_id(chatgpt_id or "", node_id) for node_id in (*left_out, *reading.formerly_left_out)
    )
    return replace(line, formerly_left_out=frozenset(ids))


def _for_export(
    given: Document,
    reading: NodeReading,
    rest: Document,
    branch: Collection[str],
    parents: Mapping[str, str],
) -> Document:
    """Return what is not kept elsewhere, so that an export is equal: see `REMEMBERED`."""
    nodes = {
        node_id: node
        for node_id, node in given["mapping"].items()
        if node_id not in reading.by_node and node_id not in reading.nodes
    }
    for node_id in reading.merged:
        node = given["mapping"][node_id]
        nodes[node_id] = without(node, *_MERGED) if node["message"].get("id") == node_id else node
    said = [node_id for node_id in branch if node_id in reading.by_node]
    return {
        "members": without(given, "mapping", *rest),
        "nodes": nodes,
        "thoughts": reading.thoughts_of,
        "strays": [*find_strays(given["mapping"], parents)],
        "last": said[-1] if said else None,
    }


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
