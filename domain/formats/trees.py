"""Lays out a tree of messages, as other services export it, as branches of the service's format."""

from collections.abc import Mapping, Sequence

from chatkeep.domain.formats.codec import Document


def lay_out(
    messages: Sequence[Document], parents: Sequence[int | None], current: int | None
) -> Document:
    """Return the `messages` with the branches that they are in, as members of a document.

    `parents` has the place of the message before each, or None for a first one. A message is behind
    its parent; the first message behind another goes on with its branch, and each further one
    starts a branch. `current` is the place of the message shown last: its branch ends there.
    """
    branches: list[Document] = []
    numbers: list[int] = []
    has_next: set[int | None] = {current}
    for place, parent in enumerate(parents):
        if parent in has_next or parent is None:
            branches.append(
                {
                    "number": len(branches),
                    "parent": None if parent is None else numbers[parent],
                    "left_after": 0 if parent is None else parent + 1,
                    "created_at": messages[place].get("created_at"),
                }
            )
            numbers.append(len(branches) - 1)
        else:
            numbers.append(numbers[parent])
        has_next.add(parent)
    if len(branches) <= 1:
        return {"messages": [*messages]}
    return {
        "messages": [
            {**each, "branch": number} if number else each
            for each, number in zip(messages, numbers, strict=True)
        ],
        "branches": branches,
        "branch": 0 if current is None else numbers[current],
    }


def find_children(
    parents: Mapping[str, str | None], listed: Mapping[str, Sequence[str]]
) -> dict[str | None, list[str]]:
    """Return the children of each node, and under None those without a parent.

    They are in the order of `listed`, then in that of `parents`.
    """
    found: dict[str | None, dict[str, None]] = {}
    for node, children in listed.items():
        found[node] = dict.fromkeys(child for child in children if parents.get(child) == node)
    for node, parent in parents.items():
        found.setdefault(parent, {})[node] = None
    return {parent: [*children] for parent, children in found.items()}


def walk(children: Mapping[str | None, Sequence[str]]) -> list[str]:
    """Return the nodes in the order of the tree: each directly before the first of its children."""
    order: list[str] = []
    waiting = [*reversed(children.get(None, ()))]
    while waiting:
        node = waiting.pop()
        order.append(node)
        waiting += reversed(children.get(node, ()))
    return order
