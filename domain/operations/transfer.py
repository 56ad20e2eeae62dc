"""Importing and exporting whole conversations.

An import keeps order, times (also equal and decreasing ones) and ids. Running it twice adds
nothing. An export holds one page of a conversation in memory, an import one conversation.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid5

from chatkeep.domain.branches import EVERY, MAIN
from chatkeep.domain.errors import (
    ConflictError,
    ConversationIdTakenError,
    ConversationNotFoundError,
    InvalidValueError,
    StoreUnavailableError,
)
from chatkeep.domain.finding import LastSeen
from chatkeep.domain.formats.branches import dated
from chatkeep.domain.formats.codec import IMPORTS, Line, Piece
from chatkeep.domain.formats.links import EndsOf
from chatkeep.domain.ids import of_user
from chatkeep.domain.items import ItemId
from chatkeep.domain.log import EVERYTHING, Bounds, Entry, NewEntry, View, assign_ids, messages_in
from chatkeep.domain.model import (
    BranchNumber,
    Conversation,
    ConversationId,
    Limits,
    MessageId,
    Order,
    Position,
    UserId,
    check_metadata,
    check_title,
)
from chatkeep.domain.operations.links import find_links
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import Clock, Conversations, Log, Users

CONVERSATIONS_PAGE: Final = 100
ENTRIES_PAGE: Final = 500
PAGE_BYTES: Final = 4 * 1024 * 1024
"""Bytes of a page of entries. A page has at least one entry, however large."""

CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""The largest difference between the clocks of processes that serve one database."""


class ConversationGrownError(ConflictError):
    """The source has messages that are missing in the conversation imported from it before."""

    def __init__(self, conversation_id: ConversationId, *, missing: int, given: int) -> None:
        super().__init__(
            f"{missing} of its {given} messages are not in conversation {conversation_id}, which "
            "was imported from it before; delete that conversation and import again."
        )
        self.conversation_id = conversation_id
        self.missing = missing
        self.given = given


@dataclass(frozen=True, slots=True)
class Transfer:
    """Imports and exports. All methods raise `StoreUnavailableError` when the store cannot answer.

    An import enforces `limits`; with None it accepts any length.
    """

    users: Users
    conversations: Conversations
    log: Log
    clock: Clock
    limits: Limits | None = None

    async def import_conversation(self, user_id: UserId, given: Line) -> bool:
        """Store a conversation with all its entries, or nothing; return whether it is new.

        A user who does not exist is added. An entry without a time gets that of the entry before
        it, the first one that of the conversation. A conversation without a time gets the first
        time in it, else the current one. `updated_at` is the latest of all times.
        A conversation without an id is recognized when it is imported again, even if it was
        changed since.
        Raises `ConversationIdTakenError`, `MessageIdTakenError`, `ConversationGrownError`,
        `UserNotProvisionedError`, and `InvalidValueError` or `LimitExceededError` naming the field.
        """
        self._check(given)
        if given.formerly and await self._is_there(user_id, _derive_id(user_id, given.formerly)):
            return False
        timed, created_at, updated_at = _fill_times(given, self.clock.now())
        new = Conversation(
            id=of_user(user_id, given.id) if given.id else _derive_id(user_id, given.canonical),
            user_id=user_id,
            title=given.title,
            status=given.status,
            metadata=given.metadata,
            retain=given.retain,
            forked_from=given.forked_from,
            revision=given.revision,
            message_count=0,
            created_at=created_at,
            updated_at=updated_at,
        )
        entries = _fill_ids(timed, new)
        _check_ids(entries)
        try:
            tree = None if given.tree is None else dated(given.tree, created_at)
            created = await self.log.create(new, entries, tree=tree, provision=True)
        except ConversationIdTakenError:
            if given.id is not None:
                raise
            if given.may_grow:
                await self._check_grown(new, entries, given.formerly_left_out)
            return False
        return created.created

    async def count(self, user_id: UserId) -> int:
        """Return the number of the user's conversations."""
        return (await self.users.usage(user_id)).conversations

    async def export(
        self, user_id: UserId, *, every_branch: bool = True, ends_of: EndsOf | None = None
    ) -> AsyncGenerator[Piece, None]:
        """Yield every conversation of the user once, in pieces, with all its entries.

        Without `every_branch`, it has only the entries of its current branch. With `ends_of`, one
        with branches has its links.
        A conversation that becomes active during the export moves in the list, and is still
        exported. One that is deleted during the export is left out, or ends early. Nothing is kept
        open in the store between two pieces. Memory holds a page of conversations, a page of
        entries, and the ids of all conversations so far, about 100 bytes each.
        """
        exported: set[ConversationId] = set()
        since: datetime | None = None
        while True:
            recently = self.clock.now() - CLOCKS_DIFFER
            exported_before = len(exported)
            async for conversation in self._list(user_id, since):
                if conversation.id not in exported:
                    exported.add(conversation.id)
                    async for piece in self._pieces(
                        conversation, ends_of, every_branch=every_branch
                    ):
                        yield piece
            if since is not None and len(exported) == exported_before:
                return
            since = since or recently

    async def export_conversation(
        self, user_id: UserId, conversation_id: ConversationId, *, every_branch: bool = True
    ) -> AsyncGenerator[Piece, None]:
        """Yield one conversation in pieces, as `export` does.

        Raises `ConversationNotFoundError` instead of the first piece.
        """
        conversation = await self.conversations.get(user_id, conversation_id)
        is_there = False
        async for piece in self._pieces(conversation, None, every_branch=every_branch):
            is_there = True
            yield piece
        if not is_there:  # it was deleted meanwhile
            raise ConversationNotFoundError(conversation_id)

    async def _list(self, user_id: UserId, since: datetime | None) -> AsyncIterator[Conversation]:
        after: LastSeen | None = None
        while True:
            page = await self.conversations.list(
                user_id,
                status=None,
                after=after,
                limit=CONVERSATIONS_PAGE,
                max_bytes=PAGE_BYTES,
            )
            for conversation in page.items:
                if since is not None and conversation.updated_at < since:
                    return
                yield conversation
            if not page.more:
                return
            after = LastSeen(page.items[-1].updated_at, page.items[-1].id)

    async def _pieces(
        self, conversation: Conversation, ends_of: EndsOf | None, *, every_branch: bool
    ) -> AsyncIterator[Piece]:
        is_first = True
        others, tree, links, bounds = 0, None, None, EVERYTHING
        try:
            if conversation.branch is not None:
                tree = await self.log.tree(conversation.user_id, conversation.id)
                others = len(tree.branches) - 1
                if ends_of is not None:
                    links = await find_links(self.log, conversation, tree, ends_of)
                # Later entries may be of branches that are not in this tree.
                bounds = Bounds(before=Position(tree.last_position + 1))
            branch = EVERY
            if not every_branch:
                branch = MAIN if tree is None else tree.current
            async for page in self._pages(conversation, bounds, branch):
                yield Piece(
                    conversation,
                    tuple(page.items),
                    is_first,
                    not page.more,
                    tree if every_branch else None,
                    0 if every_branch else others,
                    links,
                )
                is_first = False
        except ConversationNotFoundError:  # it was deleted meanwhile
            if not is_first:
                yield Piece(conversation, (), is_first=False, is_last=True)

    async def _pages(
        self,
        conversation: Conversation,
        bounds: Bounds = EVERYTHING,
        branch: BranchNumber | None = EVERY,
    ) -> AsyncIterator[Page[Entry]]:
        while True:
            page = await self.log.page(
                conversation.user_id,
                conversation.id,
                bounds,
                view=View.WHOLE,
                order=Order.ASC,
                limit=ENTRIES_PAGE,
                branch=branch,
                max_bytes=PAGE_BYTES,
            )
            yield page
            if not page.more:
                return
            bounds = bounds._replace(after=page.items[-1].position)

    async def _is_there(self, user_id: UserId, conversation_id: ConversationId) -> bool:
        try:
            await self.conversations.get(user_id, conversation_id)
        except ConversationNotFoundError:
            return False
        return True

    async def _check_grown(
        self,
        new: Conversation,
        entries: Sequence[NewEntry],
        formerly_left_out: frozenset[MessageId],
    ) -> None:
        missing = {entry.message.id for entry in entries if entry.message is not None}
        given = len(missing)
        missing -= formerly_left_out
        try:
            async for page in self._pages(new):
                missing -= {message.id for message in messages_in(page.items)}
        except ConversationNotFoundError as error:
            raise StoreUnavailableError(
                "The conversation with this id has just been deleted."
            ) from error
        if missing:
            raise ConversationGrownError(new.id, missing=len(missing), given=given)

    def _check(self, given: Line) -> None:
        if self.limits is not None:
            check_title(given.title, self.limits)
            check_metadata(given.metadata, self.limits)
        for index, entry in enumerate(given.entries):
            field = f"messages[{index}]."
            if entry.message is not None and not entry.is_of_item:
                entry.message.check(self.limits, within=field)
            # The item itself was checked when it was parsed.
            if entry.item is not None and self.limits is not None:
                size = len(entry.item.encode())
                self.limits.check("max_item_bytes", size, field=f"{field}item", unit="bytes")


def _derive_id(user_id: UserId, canonical: str) -> ConversationId:
    return ConversationId(uuid5(IMPORTS, f"{user_id}\0{canonical}"))


def _fill_times(given: Line, now: datetime) -> tuple[Sequence[NewEntry], datetime, datetime]:
    """Return the entries with their times, and the conversation's `created_at` and `updated_at`."""
    created_at = next(_times(given), None)
    if created_at is None:
        # The entries stay without times, so that they are equal when they are imported again.
        return given.entries, now, now
    entries = []
    latest = created_at
    for entry in given.entries:
        latest = entry.time or latest
        entries.append(entry.at(latest))
    return entries, created_at, max(_times(given))


def _times(given: Line) -> Iterator[datetime]:
    if given.created_at is not None:
        yield given.created_at
    for entry in given.entries:
        if entry.time is not None:
            yield entry.time
    if given.updated_at is not None:
        yield given.updated_at


def _fill_ids(entries: Sequence[NewEntry], new: Conversation) -> tuple[NewEntry, ...]:
    messages = [entry.message for entry in entries if entry.message is not None]
    identified = iter(assign_ids(messages, new.updated_at, within=new.id, seed=new.id))
    return tuple(
        entry if entry.message is None else entry._replace(message=next(identified))
        for entry in entries
    )


def _check_ids(entries: Sequence[NewEntry]) -> None:
    message_ids = set[MessageId | None]()
    item_ids = set[ItemId]()
    for index, entry in enumerate(entries):
        if entry.message is not None:
            if entry.message.id in message_ids:
                raise InvalidValueError(
                    f"messages[{index}].id", "duplicate id in this conversation"
                )
            message_ids.add(entry.message.id)
        if entry.item_id is not None:
            if entry.item_id in item_ids:
                raise InvalidValueError(
                    f"messages[{index}].item.id", "duplicate id in this conversation"
                )
            item_ids.add(entry.item_id)
