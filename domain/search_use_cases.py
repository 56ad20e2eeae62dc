"""The use case of a search: from what a user typed to a page of hits with their snippets."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from chatkeep.domain.errors import InvalidValueError, NotFoundError
from chatkeep.domain.ids import of_user, parse_id
from chatkeep.domain.model import (
    BranchNumber,
    ConversationId,
    Limits,
    UserId,
)
from chatkeep.domain.ports import Log, Search
from chatkeep.domain.search import Hit, Left, Searched, SearchFound, SearchPlace
from chatkeep.domain.search_filters import Has
from chatkeep.domain.search_index import keys_of_prefix, keys_of_term
from chatkeep.domain.search_parser import parse_query
from chatkeep.domain.search_patterns import patterns_of
from chatkeep.domain.search_query import Expression, Query
from chatkeep.domain.snippets import Snippet, cut_snippet
from chatkeep.domain.terms import index_term
from chatkeep.domain.threads import run_aside

SNIPPET_CHARS: Final = 200
"""The most characters of a snippet."""


_JOINTS: Final = str.maketrans("", "", "'.,-")


@dataclass(frozen=True, slots=True)
class ShownHit:
    """A hit with the part of its text, or of its title, that matches.

    `branch` is the one that wrote it; None if its conversation never branched.
    """

    hit: Hit
    branch: BranchNumber | None
    snippet: Snippet


@dataclass(frozen=True, slots=True)
class SearchPage:
    """A page of hits. `next` is where the next one starts; None on the last one.

    `left` is what the user's index does not have yet.
    """

    items: tuple[ShownHit, ...]
    next: SearchPlace | None
    left: Left
    query: Query


@dataclass(frozen=True)
class UsersQuery:
    """A query of a user, for the store to compare with (`domain.search.Wanted`)."""

    query: Query
    user_id: UserId

    @cached_property
    def conversations(self) -> frozenset[ConversationId]:
        """The conversations that the query names; empty if it names none."""
        return frozenset(self._ids(self.query.filters.conversations))

    @cached_property
    def excluded(self) -> frozenset[ConversationId]:
        return frozenset(self._ids(self.query.filters.not_conversations))

    @cached_property
    def within(self) -> ConversationId | None:
        return next(iter(self.conversations)) if len(self.conversations) == 1 else None

    @cached_property
    def clauses(self) -> Sequence[frozenset[str]]:
        return tuple(_keys(self.query.words))

    @cached_property
    def title_clauses(self) -> Sequence[frozenset[str]]:
        return (*self.clauses, *_keys(self.query.title))

    @cached_property
    def patterns(self) -> Sequence[str]:
        return patterns_of(self.query.words)

    @cached_property
    def only_titles(self) -> bool:
        """True if the query looks for titles alone: it says nothing of messages."""
        return bool(self.query.title) and not (
            self.query.words or self.query.filters.about_messages
        )

    def matches(self, searched: Searched) -> bool:
        query, filters = self.query, self.query.filters
        if searched.is_title:
            if filters.about_messages:
                return False
        elif self.only_titles or not filters.accept_message(searched.role, _has(searched)):
            return False
        elif searched.role is None and not searched.text:
            return False  # an item of which nothing can be shown, such as encrypted reasoning
        its_id = searched.conversation_id
        return (
            filters.accept_time(searched.created_at)
            and filters.accept_status(searched.status)
            and (not self.query.filters.conversations or its_id in self.conversations)
            and its_id not in self.excluded
            and (not searched.is_title or bool(query.words or query.title))
            and may_match(query.words, searched.text)
            and query.title.matches(searched.title)
            and query.words.matches(searched.text)
        )

    def _ids(self, texts: frozenset[str]) -> Iterator[ConversationId]:
        for text in texts:
            try:
                yield of_user(self.user_id, parse_id(text))
            except InvalidValueError:
                continue  # no conversation has such an id


@dataclass(frozen=True, slots=True)
class SearchUseCases:
    store: Search
    log: Log
    limits: Limits

    async def search(
        self,
        user_id: UserId,
        text: str,
        *,
        after: SearchPlace | None = None,
        limit: int = 20,
        grouped: bool = False,
    ) -> SearchPage:
        """Return a page of the user's messages and titles that match, latest first.

        With `grouped`, each conversation has its latest hit only. No text is an error; the query
        says how it was read. Raises `LimitExceededError` for a `limit` over `max_page`.
        """
        self.limits.check("max_page", limit, field="limit", unit="items")
        query = parse_query(text)
        if query.is_empty:
            return SearchPage((), None, Left(), query)
        found = await self.store.find(
            user_id, UsersQuery(query, user_id), after=after, limit=limit, grouped=grouped
        )
        size = sum(len(hit.text) for hit in found.hits)
        snippets = await run_aside(size, lambda: [_snippet(hit, query) for hit in found.hits])
        branches = await self._branches(user_id, found)
        items = tuple(
            ShownHit(hit, branches.get(hit.place), snippet)
            for hit, snippet in zip(found.hits, snippets, strict=True)
        )
        return SearchPage(items, found.next, found.left, query)

    async def _branches(
        self, user_id: UserId, found: SearchFound
    ) -> Mapping[SearchPlace, BranchNumber]:
        """Return the branches that wrote what was found in branched conversations."""
        branched = [hit for hit in found.hits if hit.branch is not None and not hit.place.is_title]
        trees = {}
        for its_id in {hit.conversation_id for hit in branched}:
            try:
                trees[its_id] = await self.log.tree(user_id, its_id)
            except NotFoundError:
                continue  # it was deleted just now
        return {
            hit.place: trees[hit.conversation_id].writer(hit.place.position)
            for hit in branched
            if hit.conversation_id in trees
        }


def may_match(expression: Expression, text: str) -> bool:
    """Return False only if the text cannot match. It takes a tenth of the time of a comparison.

    The terms of a text in ASCII are parts of it, but for the signs that join words.
    """
    if not text.isascii():
        return True
    lower = text.lower()
    joined = None
    for clause in expression.clauses:
        terms = [index_term(sought.term) for sought in clause]
        if not any(term in lower for term in terms):
            joined = lower.translate(_JOINTS) if joined is None else joined
            if not any(term in joined for term in terms):
                return False
    return True


def _has(searched: Searched) -> frozenset[Has]:
    given = {Has.TOOL: searched.has_tool, Has.FILE: searched.has_file}
    return frozenset(each for each, it_has in given.items() if it_has)


def _keys(expression: Expression) -> Iterator[frozenset[str]]:
    """Yield the sets of keys of which a text has one each if it matches the expression."""
    for clause in expression.clauses:
        keys = [
            keys_of_prefix(sought.term) if sought.is_prefix else keys_of_term(sought.term)
            for sought in clause
        ]
        known = [each for each in keys if each is not None]
        if len(known) == len(keys):
            yield frozenset().union(*known)


def _snippet(hit: Hit, query: Query) -> Snippet:
    text = hit.text
    highlights = query.words.highlights(text)
    if hit.place.is_title:
        highlights += query.title.highlights(text)
    return cut_snippet(text, highlights, SNIPPET_CHARS)
