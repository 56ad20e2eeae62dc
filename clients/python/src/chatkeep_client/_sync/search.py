# Written by sync_from_async.py from _async/search.py; change that file.
"""Searching what was said."""

from collections.abc import Iterator
from typing import Literal

from chatkeep_client._requests import Request, into
from chatkeep_client._sync.sending import Sender
from chatkeep_client.models import Hit, SearchPage

_page = into(SearchPage)


class Searches(Sender):
    """The route of searches."""

    def search(
        self,
        q: str,
        *,
        limit: int = 20,
        group: Literal["conversation"] | None = None,
        cursor: str | None = None,
    ) -> SearchPage:
        """Return a page of the user's messages, and of conversations by title, latest first.

        - `q`: words (all of them), `"a phrase"`, `-without`, `OR`, `begin*`, `title:`, `role:`,
          `in:` (a conversation), `is:archived`, `has:tool`, `has:file`, `after:2026-01-31`,
          `before:`. No query is an error; `query` says how it was read.
        - `group="conversation"`: only the latest hit of each conversation.
        - A page may have few hits or none: go on with `next_cursor` until that is None. If it is
          not `complete`, search again: each search adds to the index.
        """
        query = {"q": q, "limit": limit, "group": group, "cursor": cursor}
        return self._send(Request("GET", "/v1/search", _page, query=query))

    def iter_search(
        self, q: str, *, group: Literal["conversation"] | None = None, page_size: int = 100
    ) -> Iterator[Hit]:
        """Yield all hits of a search, latest first."""
        cursor: str | None = None
        while True:
            page = self.search(q, limit=page_size, group=group, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return
