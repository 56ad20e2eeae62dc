"""Users on Postgres. Of their table only `id` is used: it may belong to another application."""

from typing import Final

import asyncpg

from adapters.piccolo.engine import Engine
from domain.errors import UserNotProvisionedError
from domain.model import Usage, UserId

ERASE_TIMEOUT: Final = 300.0

ADD: Final = "INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id"

USAGE: Final = """
SELECT count(*) AS conversations, count(*) FILTER (WHERE status = 'active') AS active,
       coalesce(sum(message_count), 0)::bigint AS messages
FROM conversations WHERE user_id = $1"""

ERASE: Final = "DELETE FROM users WHERE id = $1 RETURNING id"

ERASE_CONVERSATIONS: Final = "DELETE FROM conversations WHERE user_id = $1"


class PiccoloUsers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, user_id: UserId) -> bool:
        try:
            return bool(await self._engine.fetch(ADD, user_id))
        except asyncpg.IntegrityConstraintViolationError as error:
            raise refused(user_id, error) from error

    async def usage(self, user_id: UserId) -> Usage:
        [row] = await self._engine.fetch(USAGE, user_id)
        return Usage(
            user_id=user_id,
            conversations=row["conversations"],
            active=row["active"],
            archived=row["conversations"] - row["active"],
            messages=row["messages"],
        )

    async def erase(self, user_id: UserId) -> bool:
        try:
            return await self._engine.delete(ERASE, user_id, timeout=ERASE_TIMEOUT)
        except asyncpg.ForeignKeyViolationError:
            # Another application's rows still need the user; what is ours goes all the same.
            await self._engine.fetch(ERASE_CONVERSATIONS, user_id, timeout=ERASE_TIMEOUT)
            return True


def refused(user_id: UserId, error: Exception) -> UserNotProvisionedError:
    return UserNotProvisionedError(
        user_id,
        f"the table users does not take a row with only an id ({error}). "
        "Let the application that owns the table add the user first.",
    )
