"""Writes `conversations.json` of ChatGPT's data export: each conversation is a tree of nodes.

What was imported from such an export is given back: a message is its original, and the nodes that
became no message are in the metadata of the conversation. Other messages become nodes as well.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any, Final, TypeGuard

from chatkeep.domain.formats.chatgpt_nodes import ends_of, find_node, make_nodes
from chatkeep.domain.formats.chatgpt_reading import KEY
from chatkeep.domain.formats.chatgpt_tree import children_in
from chatkeep.domain.formats.codec import Document, Embed, embed_original
from chatkeep.domain.formats.links import Ends, Links
from chatkeep.domain.formats.remembering import REMEMBERED
from chatkeep.domain.formats.tree_writing import (
    Named,
    count_conversation,
    count_message,
    count_translated,
    kept_under,
    member_object,
    read_source,
)
from chatkeep.domain.ids import written_id
from chatkeep.domain.json_sources import dump, object_sources
from chatkeep.domain.log import Entry
from chatkeep.domain.model import Conversation, Message, OriginalText, Status

_CONTENT: Final = "content"
"""What nodes with reasoning lack there: it is in the message that they led to."""


class ChatGPTWriter:
    """Writes one conversation. Each node waits until the next one is known, its child."""

    def __init__(self, conversation: Conversation, links: Links, embed: Embed) -> None:
        self.left_out: Counter[str] = Counter()
        self._conversation = conversation
        self._links = links
        self._embed = embed
        self._kept = kept_under(conversation.metadata, KEY)
        self._remembered = member_object(self._kept, REMEMBERED)
        # The nodes that became no message, which are between those that did.
        self._others: Document = {
            **member_object(self._kept, "nodes"),
            **member_object(self._remembered, "nodes"),
        }
        self._waiting = dict(self._others)
        self._above = {child: name for name, child in children_in(self._others)}
        strays = self._remembered.get("strays")
        # What nodes list as children, apart from messages.
        self._listed = {
            *self._others,
            *filter(_is_text, strays if isinstance(strays, list) else ()),
        }
        # Of the messages below those, the ones that are still there.
        self._seen: set[str] = set()
        self._held: Document = {}
        self._tools: dict[str, str] = {}
        self._pending: _Pending | None = None
        self._before: Ends | None = None
        self._has_new = False
        count_conversation(self.left_out, conversation, KEY)

    def add(self, entry: Entry) -> Iterator[Named]:
        message = entry.message
        if message is None:
            self.left_out["items that are not messages"] += 1
            return
        ends = ends_of(message)
        is_first = entry.position in self._links.before
        before = self._links.before[entry.position] if is_first else self._before
        if self._pending is not None and not is_first:
            self._add_child(self._pending, ends)
        yield from self._write_pending()
        self._correct_above(ends, before)
        yield from self._write_above(ends)
        yield from self._others_of(ends, kept_under(message.metadata, KEY))
        count_message(self.left_out, message, KEY)
        self._pending = self._start(message, ends, before)
        for each in self._links.after.get(entry.position, ()):
            self._add_child(self._pending, each)
        self._before = ends

    def rest(self) -> Iterator[Named]:
        """Yield the node that waits, and those that became no message."""
        yield from self._write_pending()
        thoughts = self._kept.get("thoughts")
        yield from self._with_thoughts(thoughts, self._thinking(""))
        for name, node in {**self._held, **self._waiting}.items():
            yield name, self._without_lost_children(node)

    def tail(self) -> Document:
        given = self._conversation
        is_archived = given.status is Status.ARCHIVED
        updated_at = given.updated_at.timestamp()
        last = self._links.last or self._before
        members = self._remembered.get("members")
        document = member_object(self._kept, "conversation")
        if not isinstance(members, dict):
            return {
                **document,
                "title": given.title,
                "create_time": given.created_at.timestamp(),
                "update_time": updated_at,
                "current_node": None if last is None else last.last,
                "conversation_id": read_source(given, KEY) or str(written_id(given.id)),
                "is_archived": is_archived,
                "default_model_slug": self._kept.get("model"),
                "gizmo_id": self._kept.get("gizmo_id"),
            }
        document |= members
        if members.get("title") != given.title:
            document["title"] = given.title
        if bool(members.get("is_archived")) is not is_archived:
            document["is_archived"] = is_archived
        if self._has_new:
            document["update_time"] = updated_at
        if (last and last.first) != self._remembered.get("last"):
            document["current_node"] = None if last is None else last.last
        return document

    def _start(self, message: Message, ends: Ends, before: Ends | None) -> "_Pending":
        parent = None if before is None else before.last
        if find_node(message) is None:
            self._has_new = True
            count_translated(self.left_out, message)
            nodes = make_nodes(message, self._tools)
            nodes[0]["parent"] = parent
            return _Pending(nodes, ends)
        is_right = self._follows(ends, before) or bool(self._passed(ends)[0])
        return _Pending([], ends, message.original, (() if is_right else (parent,)))

    def _follows(self, ends: Ends, before: Ends | None) -> bool:
        """Return whether what is above a message is what comes before it here."""
        _, above = self._passed(ends)
        if before is None:
            return above is None or above in self._listed
        return above in {before.first, before.last}

    def _correct_above(self, ends: Ends, before: Ends | None) -> None:
        """Correct the parent of the uppermost node that became no message, if it is gone."""
        passed, _ = self._passed(ends)
        if not passed or self._follows(ends, before):
            return
        top = passed[-1]
        corrected = {"parent": None if before is None else before.last}
        for nodes in (self._others, self._waiting, self._held):
            if isinstance(nodes.get(top), dict):
                nodes[top] = nodes[top] | corrected

    def _write_pending(self) -> Iterator[Named]:
        if self._pending is not None:
            yield from self._pending.write(self._listed, self._embed)
            self._pending = None

    def _write_above(self, ends: Ends) -> Iterator[Named]:
        """Yield the nodes that waited for this message, their last child."""
        if ends.first in self._above:
            self._seen.add(ends.first)
        for name in self._passed(ends)[0] if self._held else ():
            if name in self._held:
                yield from self._write_other(name, self._held.pop(name))

    def _write_other(self, name: str, node: Document) -> Iterator[Named]:
        """Yield a node if all its children are still there; otherwise hold it."""
        if self._without_lost_children(node) is node:
            yield name, node
        else:
            self._held[name] = node

    def _without_lost_children(self, node: Any) -> Any:  # noqa: ANN401 - any JSON
        listed = node.get("children") if isinstance(node, dict) else None
        if not isinstance(listed, list):
            return node
        left = [
            each
            for each in listed
            if not _is_text(each) or each in self._listed or each in self._seen
        ]
        return node if len(left) == len(listed) else {**node, "children": left}

    def _others_of(self, ends: Ends, kept: Document) -> Iterator[Named]:
        """Yield the nodes whose content became part of a message."""
        yield from self._with_thoughts(kept.get("thoughts"), self._thinking(ends.first, ends))
        results = kept.get("results")
        before = ends.first
        for each in results if isinstance(results, list) else ():
            if not isinstance(each, dict) or not isinstance(each.get("id"), str):
                continue
            node_id = each["id"]
            node = self._waiting.pop(node_id, None)
            if node_id not in self._others:  # of an import by an earlier version
                node = {"id": node_id, "parent": before, "children": []}
                self._others[node_id] = node
                self._listed.add(node_id)
            if isinstance(node, dict):
                yield from self._write_other(node_id, {"message": each, **node})
            before = node_id

    def _thinking(self, owner: str, ends: Ends | None = None) -> list[str]:
        """Return the ids of the nodes whose reasoning is in a message."""
        known = member_object(self._remembered, "thoughts").get(owner)
        if isinstance(known, list):
            return [each for each in known if isinstance(each, str)]
        if ends is not None:
            passed = self._passed(ends)[0]
            return [each for each in reversed(passed) if _lacks_content(self._others[each])]
        return [name for name, node in self._waiting.items() if _lacks_content(node)]

    def _with_thoughts(self, thoughts: Any, names: list[str]) -> Iterator[Named]:  # noqa: ANN401 - any JSON
        if not isinstance(thoughts, list) or len(thoughts) != len(names):
            return
        for name, content in zip(names, thoughts, strict=True):
            node: Any = self._waiting.get(name)
            if _lacks_content(node):
                del self._waiting[name]
                said = {**node["message"], _CONTENT: content}
                yield from self._write_other(name, {**node, "message": said})

    def _add_child(self, pending: "_Pending", child: Ends) -> None:
        passed, above = self._passed(child)
        name = passed[-1] if passed else child.first
        pending.children[name] = above in {pending.ends.first, pending.ends.last}

    def _passed(self, ends: Ends) -> tuple[list[str], str | None]:
        """Return the nodes above a message that became none, upwards, and the one above those."""
        passed: dict[str, None] = {}
        at: str | None = ends.above or self._above.get(ends.first)
        while at is not None and at in self._others and at not in passed:
            passed[at] = None
            node = self._others[at]
            parent = node.get("parent") if isinstance(node, dict) else None
            at = parent if isinstance(parent, str) else self._above.get(at)
        return [*passed], at


class _Pending:
    """The nodes that a message becomes: `nodes`, or its `original`, which is one.

    `parent` is empty if the original says the right one. `children` have a flag, whether they were
    its children when they were imported.
    """

    def __init__(
        self,
        nodes: list[Document],
        ends: Ends,
        original: OriginalText | None = None,
        parent: tuple[str | None, ...] = (),
    ) -> None:
        self.ends = ends
        self.children: dict[str, bool] = {}
        self._nodes = nodes
        self._original = original
        self._parent = parent

    def write(self, others: Collection[str], embed: Embed) -> Iterator[Named]:
        if self._original is None:
            self._nodes[-1]["children"] += [*self.children]
            yield from ((node["id"], node) for node in self._nodes)
            return
        node = json.loads(self._original)
        changes: dict[str, str] = {}
        if self._parent:
            changes["parent"] = dump(self._parent[0])
        listed = node.get("children")
        if isinstance(listed, list):
            named = [*filter(_is_text, listed)]
            kept = dict.fromkeys(each for each in named if each in self.children or each in others)
            kept |= dict.fromkeys(each for each, was in self.children.items() if not was)
            if [*kept] != [*dict.fromkeys(named)]:
                changes["children"] = dump([*kept])
        if not changes:
            yield self.ends.first, embed_original(self._original, embed)
            return
        sources = {**object_sources(self._original), **changes}
        yield self.ends.first, {name: embed(text) for name, text in sources.items()}


def _lacks_content(node: Any) -> bool:  # noqa: ANN401 - any JSON
    match node:
        case {"message": dict(message)}:
            return _CONTENT not in message
    return False


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)
