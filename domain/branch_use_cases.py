"""The use cases of branches: what a chat page needs to show and to choose them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chatkeep.domain.branches import (
    EVERY,
    MAX_NAME_CHARS,
    START,
    Range,
    Tree,
    clip,
)
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.log import EVERYTHING, Bounds, View, messages_in
from chatkeep.domain.model import (
    LAST_POSITION,
    UNSET,
    BranchNumber,
    ConversationId,
    Limits,
    Message,
    MessageId,
    Order,
    Position,
    Unset,
    UserId,
)
from chatkeep.domain.ports import Log

End = tuple[Position, MessageId]
"""A message at the start or at the end of a part of a path."""


@dataclass(frozen=True, slots=True)
class BranchMessage:
    """A message with the one before it on its branch, and the branch that wrote it."""

    message: Message
    parent_id: MessageId | None
    branch: BranchNumber


@dataclass(frozen=True, slots=True)
class BranchMessagePage:
    """A page of a branch. `next` is the last position on it; None if it is the last page."""

    items: tuple[BranchMessage, ...]
    next: Position | None
    revision: int


@dataclass(frozen=True, slots=True)
class BranchSummary:
    """A branch. `left_at` is the last message that it shares with its parent, `tip` its last one.

    Each is None if there is no such message.
    """

    number: BranchNumber
    name: str | None
    is_current: bool
    parent: BranchNumber | None
    left_at: MessageId | None
    tip: MessageId | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BranchesPage:
    """Branches by number. `next` is the last number on the page; None if it is the last page."""

    items: tuple[BranchSummary, ...]
    next: BranchNumber | None
    revision: int


@dataclass(frozen=True, slots=True)
class Sibling:
    """A message that continues from the same message as another one, and who wrote it."""

    message_id: MessageId
    branch: BranchNumber
    is_current: bool
    """Whether it is on the path of the current branch."""


@dataclass(frozen=True, slots=True)
class BranchUseCases:
    """All methods raise `ConversationNotFoundError`."""

    log: Log
    limits: Limits

    async def history(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        branch: BranchNumber,
        *,
        bounds: Bounds = EVERYTHING,
        order: Order = Order.ASC,
        limit: int = 20,
        originals: bool = False,
    ) -> BranchMessagePage:
        """Return a page of a branch, or of all branches with `EVERY`, with each message's parent.

        Raises `BranchNotFoundError`, and what `Chatkeep.history` raises.
        """
        found = await self.log.page(
            user_id,
            conversation_id,
            bounds,
            view=View.ORIGINALS if originals else View.MESSAGES,
            order=order,
            limit=limit,
            branch=branch,
            max_bytes=self.limits.max_bytes,
        )
        messages = messages_in(found.items)
        next_position = messages[-1].position if found.more else None
        if not messages:
            return BranchMessagePage((), None, found.revision)
        tree = await self.log.tree(user_id, conversation_id)
        oldest_first = messages if order is Order.ASC else messages[::-1]
        reader = _PathReader(self.log, user_id, conversation_id, tree)
        items = await _with_parents(reader, branch, oldest_first)
        shown = tuple(items if order is Order.ASC else items[::-1])
        return BranchMessagePage(shown, next_position, found.revision)

    async def with_parents(
        self, user_id: UserId, conversation_id: ConversationId, messages: Sequence[Message]
    ) -> Sequence[BranchMessage]:
        """Return messages that follow each other in the log, each with its parent and branch."""
        tree = await self.log.tree(user_id, conversation_id)
        reader = _PathReader(self.log, user_id, conversation_id, tree)
        return await _with_parents(reader, EVERY, messages)

    async def list(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        *,
        after: BranchNumber | None = None,
        limit: int = 20,
    ) -> BranchesPage:
        """Return a page of the branches, by number, after one of them."""
        tree = await self.log.tree(user_id, conversation_id)
        numbers = sorted(each for each in tree.branches if after is None or each > after)
        shown = numbers[:limit]
        items = await self._summaries(user_id, conversation_id, tree, shown)
        return BranchesPage(items, shown[-1] if len(numbers) > limit else None, tree.revision)

    async def change(  # noqa: PLR0913 - each is one independent part of the change
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        name: str | Unset | None = UNSET,
        is_current: bool = False,
        expected: int | None = None,
    ) -> tuple[BranchSummary, int]:
        """Rename a branch, and make it the current one if `is_current`.

        Return it with the revision of the conversation.
        Raises `BranchNotFoundError`, `RevisionConflictError`, and `InvalidValueError` for a long
        name.
        """
        if isinstance(name, str) and len(name) > MAX_NAME_CHARS:
            raise InvalidValueError("name", f"has {len(name)} characters; at most {MAX_NAME_CHARS}")

        def change(tree: Tree) -> Tree:
            changed = tree if isinstance(name, Unset) else tree.rename(number, name)
            return changed.switch(number) if is_current or number not in tree.branches else changed

        tree = await self.log.change_branches(user_id, conversation_id, change, expected=expected)
        [summary] = await self._summaries(user_id, conversation_id, tree, [number])
        return summary, tree.revision

    async def delete(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: BranchNumber,
        *,
        expected: int | None = None,
    ) -> int:
        """Delete a branch with the messages that no other branch shares. Return the revision.

        Raises `BranchNotFoundError`, `BranchIsCurrentError`, `RetainedError`,
        `RevisionConflictError`.
        """
        return await self.log.delete_branch(user_id, conversation_id, number, expected=expected)

    async def siblings(
        self, user_id: UserId, conversation_id: ConversationId, message_id: MessageId
    ) -> tuple[Sibling, ...]:
        """Return the messages that continue from the same message, itself included, by position.

        Raises `MessageNotFoundError`.
        """
        message = await self.log.get(user_id, conversation_id, message_id)
        tree = await self.log.tree(user_id, conversation_id)
        reader = _PathReader(self.log, user_id, conversation_id, tree)
        before = Position(message.position - 1)
        [parent] = await reader.last_up_to([(tree.writer(message.position), before)])
        found = await reader.continuations(parent)
        current = tree.path(tree.current)
        return tuple(
            Sibling(each, number, is_current=any(clip(current, first=position, last=position)))
            for (position, each), number in sorted(found)
        )

    async def _summaries(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        tree: Tree,
        numbers: Sequence[BranchNumber],
    ) -> tuple[BranchSummary, ...]:
        reader = _PathReader(self.log, user_id, conversation_id, tree)
        tips = await reader.last_up_to([(number, LAST_POSITION) for number in numbers])
        lefts = await reader.last_up_to(
            [(tree[number].parent, tree[number].left_at) for number in numbers]
        )
        return tuple(
            BranchSummary(
                number,
                tree[number].name,
                number == tree.current,
                tree[number].parent,
                left and left[1],
                tip and tip[1],
                tree[number].created_at,
            )
            for number, tip, left in zip(numbers, tips, lefts, strict=True)
        )


@dataclass(frozen=True, slots=True)
class _PathReader:
    """Finds messages on paths. It reads the ranges of one branch after the other, of all at once.

    So it need not read the ranges of all ancestors to find the last message of a branch.
    """

    log: Log
    user_id: UserId
    conversation_id: ConversationId
    tree: Tree

    async def last_up_to(
        self, places: Sequence[tuple[BranchNumber | None, Position]]
    ) -> list[End | None]:
        """Return the last message up to a position on the path of a branch, for each."""
        found: list[End | None] = [None] * len(places)
        left = {n: self._climb(*place) for n, place in enumerate(places)}
        while left := {n: place for n, place in left.items() if place is not None}:
            asked = {place: self._own(*place) for place in left.values()}
            ends = dict(zip(asked, await self._ends([*asked.values()], Order.DESC), strict=True))
            for n, place in left.items():
                found[n] = ends[place]
            left = {
                n: None if ends[place] else self._climb(*self._parent(*place))
                for n, place in left.items()
            }
        return found

    async def continuations(self, parent: End | None) -> list[tuple[End, BranchNumber]]:
        """Return the messages that come directly after one, each with the branch that wrote it.

        After None, they are the first messages of all paths.
        """
        found: list[tuple[End, BranchNumber]] = []
        if parent is None:
            branches = self.tree.branches.values()
            places = [(each.number, START) for each in branches if each.parent is None]
        else:
            places = [(self.tree.writer(parent[0]), Position(parent[0] + 1))]
        while places:
            own = [[*clip(self.tree[number].ranges, first=first)] for number, first in places]
            later: list[tuple[BranchNumber, Position]] = []
            ends = await self._ends(own, Order.ASC)
            for (number, first), end in zip(places, ends, strict=True):
                if end is not None:
                    found.append((end, number))
                until = LAST_POSITION if end is None else end[0]
                later += [
                    (child.number, START)
                    for child in self.tree.children(number)
                    if first - 1 <= child.left_at < until
                ]
            places = later
        return found

    async def _ends(self, paths: Sequence[Sequence[Range]], order: Order) -> Sequence[End | None]:
        return await self.log.ends(self.user_id, self.conversation_id, paths, order)

    def _own(self, number: BranchNumber, until: Position) -> tuple[Range, ...]:
        return tuple(clip(self.tree[number].ranges, last=until))

    def _parent(
        self, number: BranchNumber, until: Position
    ) -> tuple[BranchNumber | None, Position]:
        branch = self.tree[number]
        return branch.parent, min(until, branch.left_at)

    def _climb(
        self, number: BranchNumber | None, until: Position
    ) -> tuple[BranchNumber, Position] | None:
        """Return the nearest ancestor that wrote something up to a position."""
        while number is not None and not self._own(number, until):
            number, until = self._parent(number, until)
        return None if number is None else (number, until)


async def _with_parents(
    reader: _PathReader, branch: BranchNumber, messages: Sequence[Message]
) -> list[BranchMessage]:
    """Return consecutive messages, oldest first, with their parents and branches."""
    latest: dict[BranchNumber, MessageId] = {}
    parents: list[MessageId | None] = []
    writers = [reader.tree.writer(each.position) for each in messages]
    asked: dict[int, tuple[BranchNumber, Position]] = {}
    for n, (message, writer) in enumerate(zip(messages, writers, strict=True)):
        line = writer if branch == EVERY else branch
        parents.append(latest.get(line))
        if line not in latest:
            asked[n] = line, Position(message.position - 1)
        latest[line] = message.id
    ends = await reader.last_up_to([*asked.values()])
    for n, end in zip(asked, ends, strict=True):
        parents[n] = end and end[1]
    return [BranchMessage(*each) for each in zip(messages, parents, writers, strict=True)]
