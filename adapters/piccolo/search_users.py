"""The search indexes of all users, for an operator who brings them up to date."""

from collections.abc import Sequence
from typing import Final

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.search_indexing import IndexBudget, PiccoloSearchIndex
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.model import UserId
from chatkeep.domain.search import Left

ONE_STEP: Final = IndexBudget(seconds=0, steps=1)

WITH_INDEX: Final = Statement(
    "search.users_with_index",
    """
SELECT DISTINCT user_id FROM search_conversations WHERE user_id > :after
ORDER BY user_id LIMIT :limit""",
    timeout=60.0,
)

ALL: Final = Statement(
    "search.users",
    "SELECT id AS user_id FROM users WHERE id > :after ORDER BY id LIMIT :limit",
    timeout=60.0,
)


class PiccoloSearchIndexes:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._index = PiccoloSearchIndex(engine, ONE_STEP)

    async def users(self, *, after: UserId, limit: int, everybody: bool) -> Sequence[UserId]:
        statement = ALL if everybody else WITH_INDEX
        rows = await self._engine.fetch(statement, after=after, limit=limit)
        return [UserId(row["user_id"]) for row in rows]

    async def left(self, user_id: UserId) -> Left:
        return await self._index.left(user_id)

    async def step(self, user_id: UserId) -> Left:
        return await self._index.catch_up(user_id)
