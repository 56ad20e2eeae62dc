"""The tree of nodes in a conversation of ChatGPT's data export, and the branch shown last."""

from collections.abc import Iterator, Mapping

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Document
from chatkeep.domain.formats.trees import find_children, walk


def find_branch(
    mapping: Mapping[str, Document], current: str | None, parents: Mapping[str, str]
) -> dict[str, None]:
    """Return the ids of the nodes from the root to the one shown last, in order.

    That is `current`, or of the leaves with the latest time the last one. Raises
    `InvalidValueError` for a circle.
    """
    if current in mapping:
        return _path(mapping, current, parents)
    inner = set(parents.values())
    leaves = [node_id for node_id in reversed([*mapping]) if node_id not in inner]
    return _path(
        mapping, max(leaves, key=lambda leaf: _said_at(mapping[leaf]), default=None), parents
    )


def find_branch_formerly(mapping: Mapping[str, Document]) -> dict[str, None]:
    """Return what earlier versions took for the branch without a `current_node`.

    It was the first of several leaves, and they did not look at `children`.
    """
    parents = {node_id: str(node.get("parent")) for node_id, node in mapping.items()}
    inner = set(parents.values())
    leaves = [node_id for node_id in mapping if node_id not in inner]
    return _path(
        mapping, max(leaves, key=lambda leaf: _said_at(mapping[leaf]), default=None), parents
    )


def find_parents(mapping: Mapping[str, Document]) -> dict[str, str]:
    """Return the parent of each node that has one.

    Some files have the parents of nodes, some only their children.
    """
    parents = {child: node_id for node_id, child in children_in(mapping)}
    for node_id, node in mapping.items():
        parent = node.get("parent")
        if isinstance(parent, str) and parent in mapping:
            parents[node_id] = parent
    return parents


def find_strays(mapping: Mapping[str, object], parents: Mapping[str, str]) -> Iterator[str]:
    """Yield the children that a node lists although another, or none, is their parent.

    Also the parents that are not there.
    """
    for node_id, child in children_in(mapping):
        if parents.get(child) != node_id or child not in mapping:
            yield child
    for node in mapping.values():
        parent = node.get("parent") if isinstance(node, dict) else None
        if isinstance(parent, str) and parent not in mapping:
            yield parent


def children_in(mapping: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Yield the id of each node with that of each child that it lists."""
    for node_id, node in mapping.items():
        children = node.get("children") if isinstance(node, dict) else None
        for child in children if isinstance(children, list) else ():
            if isinstance(child, str):
                yield node_id, child


def _path(
    mapping: Mapping[str, Document], last: str | None, parents: Mapping[str, str]
) -> dict[str, None]:
    path: dict[str, None] = {}
    node_id = last
    while node_id is not None and node_id in mapping:
        if node_id in path:
            raise InvalidValueError(f"mapping.{node_id}", "is among its own ancestors")
        path[node_id] = None
        node_id = parents.get(node_id)
    return dict.fromkeys(reversed(path))


def _said_at(node: Document) -> float:
    message = node.get("message")
    at = message.get("create_time") if isinstance(message, dict) else None
    return at if isinstance(at, int | float) else 0.0


def find_order(mapping: Mapping[str, Document], parents: Mapping[str, str]) -> list[str]:
    """Return the nodes below those without a parent, each directly before its first child."""
    listed = {node_id: node.get("children") for node_id, node in mapping.items()}
    return walk(
        find_children(
            {node_id: parents.get(node_id) for node_id in mapping},
            {
                node_id: [child for child in children if isinstance(child, str)]
                for node_id, children in listed.items()
                if isinstance(children, list)
            },
        )
    )
