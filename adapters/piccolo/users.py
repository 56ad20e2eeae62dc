"""Users on Postgres. Of their table only `id` is used: it may belong to another application."""

from typing import Final
from uuid import UUID

import asyncpg

from adapters.piccolo.engine import Engine
from adapters.piccolo.rows import Row
from domain.errors import UserNotProvisionedError, UserRetainedError
from domain.model import Usage, UserId
from domain.ports import MAX_NAMED

ERASE_TIMEOUT: Final = 300.0

ADD: Final = "INSERT INTO users (id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING id"

_COUNTS: Final = """count(*) AS conversations, count(*) FILTER (WHERE status = 'active') AS active,
       coalesce(sum(message_count), 0)::bigint AS messages,
       count(*) FILTER (WHERE retain) AS retained"""

USAGE: Final = f"SELECT {_COUNTS} FROM conversations WHERE user_id = $1"


_OWNED: Final = "SELECT id, status, message_count, retain FROM conversations WHERE user_id = $1"
_WHAT_GOES: Final = f"""
SELECT EXISTS (SELECT FROM found) AS found, {_COUNTS}, (
  SELECT string_agg(id::text, ' ') FROM (SELECT id FROM owned WHERE retain LIMIT {MAX_NAMED}) held
) AS held
FROM owned"""

ERASABLE: Final = f"""
WITH owned AS ({_OWNED}), found AS (SELECT FROM users WHERE id = $1){_WHAT_GOES}"""

# The conversations are locked before their holds are looked at, so that none is set meanwhile and
# what is counted is what goes. With $2 holds do not matter.
_LOCKED: Final = f"\nWITH owned AS ({_OWNED} FOR UPDATE)"
_UNLESS_HELD: Final = "($2 OR NOT EXISTS (SELECT FROM owned WHERE retain))"

ERASE: Final = f"""{_LOCKED}, found AS (
  DELETE FROM users WHERE id = $1 AND {_UNLESS_HELD} RETURNING id
){_WHAT_GOES}"""

ERASE_CONVERSATIONS: Final = f"""{_LOCKED}, found AS (
  DELETE FROM conversations WHERE user_id = $1 AND {_UNLESS_HELD} RETURNING id
){_WHAT_GOES}"""


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
        return _usage(user_id, row)

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        [row] = await self._engine.fetch(ERASABLE, user_id)
        _check_holds(user_id, row, even_retained=even_retained)
        return _usage(user_id, row) if row["found"] else None

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        try:
            [row], again = await self._engine.fetch_noting(
                ERASE, user_id, even_retained, timeout=ERASE_TIMEOUT
            )
            known = row["found"] or again
        except asyncpg.ForeignKeyViolationError:
            # Another application's rows still need the user; what is ours goes all the same.
            [row] = await self._engine.fetch(
                ERASE_CONVERSATIONS, user_id, even_retained, timeout=ERASE_TIMEOUT
            )
            known = True
        _check_holds(user_id, row, even_retained=even_retained)
        return _usage(user_id, row) if known else None


def _check_holds(user_id: UserId, row: Row, *, even_retained: bool) -> None:
    if row["retained"] and not even_retained:
        held = [UUID(each) for each in row["held"].split()]
        raise UserRetainedError(user_id, row["retained"], held)


def _usage(user_id: UserId, row: Row) -> Usage:
    return Usage(
        user_id=user_id,
        conversations=row["conversations"],
        active=row["active"],
        archived=row["conversations"] - row["active"],
        messages=row["messages"],
        retained=row["retained"],
    )


def refused(user_id: UserId, error: Exception) -> UserNotProvisionedError:
    return UserNotProvisionedError(
        user_id,
        f"the table users does not take a row with only an id ({error}). "
        "Let the application that owns the table add the user first.",
    )
