"""Users on Postgres. Of their table only `id` is used: it may belong to another application."""

import json
import logging
import re
from typing import Final, cast
from uuid import UUID

import asyncpg

from chatkeep.adapters.piccolo.by_user import fetch_at_once
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.rules import REFERENCED
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import UserIds
from chatkeep.adapters.piccolo.user_list import ACTIVITY, IDS, PAGE
from chatkeep.domain.errors import DatabaseRuleError, UserNotProvisionedError, UserRetainedError
from chatkeep.domain.finding import MatchCount
from chatkeep.domain.ids import with_text
from chatkeep.domain.model import MAX_ID_CHARS, Usage, UserId
from chatkeep.domain.pages import Page
from chatkeep.domain.ports import MAX_NAMED
from chatkeep.domain.user_list import MAX_COUNTED, ListedUser, end_of_prefix

logger = logging.getLogger("chatkeep.database")

ERASE_TIMEOUT: Final = 300.0
"""Seconds; an erasure takes all that a user has."""

ID_COLUMN: Final = Statement(
    "users.id_column",
    """
SELECT format_type(a.atttypid, a.atttypmod) AS type,
       EXISTS (SELECT 1 FROM pg_index i
               WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indisvalid
                 AND i.indpred IS NULL AND i.indimmediate
                 AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS is_unique
FROM pg_attribute a
WHERE a.attrelid = to_regclass('users') AND a.attname = 'id' AND NOT a.attisdropped""",
)
"""One row with the type of users.id and whether a foreign key may refer to it; none without it."""

WIDEN: Final = f"ALTER TABLE users ALTER COLUMN id TYPE varchar({MAX_ID_CHARS})"
TOO_LONG: Final = "and a user with a longer id is refused (403)"
_WIDTH: Final = re.compile(r"character varying\((\d+)\)")

NO_USER: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.StringDataRightTruncationError,
    asyncpg.GeneratedAlwaysError,
)
"""Errors for a user that the table does not have, or does not accept."""

_COUNTS: Final = """count(*) AS conversations, count(*) FILTER (WHERE status = 'active') AS active,
       coalesce(sum(message_count), 0)::bigint AS messages,
       count(*) FILTER (WHERE retain) AS retained"""

USAGE: Final = Statement(
    "users.usage", f"SELECT {_COUNTS} FROM conversations WHERE user_id = :user_id"
)

EXISTS: Final = Statement("users.exists", "SELECT FROM users WHERE id = :user_id")

_OWNED: Final = (
    "SELECT id, text_id, status, message_count, retain FROM conversations WHERE user_id = :user_id"
)
_WHAT_GOES: Final = f"""
SELECT EXISTS (SELECT 1 FROM found) AS found, {_COUNTS}, (
  SELECT json_agg(json_build_array(id, text_id))
  FROM (SELECT id, text_id FROM owned WHERE retain LIMIT {MAX_NAMED}) held
) AS held
FROM owned"""

ERASABLE: Final = Statement(
    "users.erasable",
    f"""
WITH owned AS ({_OWNED}), found AS (SELECT 1 FROM users WHERE id = :user_id){_WHAT_GOES}""",
)

# The conversations are locked before their holds are read. So no hold is set meanwhile, and the
# rows that are counted are the rows that go.
_LOCKED: Final = f"\nWITH owned AS ({_OWNED} FOR UPDATE)"
_UNLESS_HELD: Final = "(:even_retained OR NOT EXISTS (SELECT 1 FROM owned WHERE retain))"

ERASE: Final = Statement(
    "users.erase",
    f"""{_LOCKED}, found AS (
  DELETE FROM users WHERE id = :user_id AND {_UNLESS_HELD} RETURNING id
){_WHAT_GOES}""",
    timeout=ERASE_TIMEOUT,
)

ERASE_CONVERSATIONS: Final = Statement(
    "users.erase_conversations",
    f"""{_LOCKED}, forgotten AS (
  DELETE FROM conversation_changes WHERE user_id = :user_id AND {_UNLESS_HELD}
), found AS (
  DELETE FROM conversations WHERE user_id = :user_id AND {_UNLESS_HELD} RETURNING id
){_WHAT_GOES}""",
    timeout=ERASE_TIMEOUT,
)


class PiccoloUsers:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def add(self, user_id: UserId) -> bool:
        query = UserIds.insert(UserIds(id=user_id)).on_conflict(action="DO NOTHING")
        try:
            return bool(await self._engine.fetch_query("users.add", query.returning(UserIds.id)))
        except (*NO_USER, DatabaseRuleError) as error:
            raise explain_refusal(user_id, error) from error

    async def page(self, *, prefix: str, after: str, limit: int) -> Page[ListedUser]:
        values = {
            "prefix": prefix,
            "end_of_prefix": end_of_prefix(prefix)[:MAX_ID_CHARS],
            "after": after,
            "limit": limit + 1,
        }
        rows = await fetch_at_once(self._engine, PAGE, values)
        if rows is None:
            ids = await self._engine.fetch(IDS, **values)
            found = [await self._engine.fetch(ACTIVITY, user_id=row["id"]) for row in ids]
            rows = [row for [row] in found]
        return Page([_listed(row) for row in rows[:limit]], more=len(rows) > limit)

    async def usage(self, user_id: UserId) -> Usage:
        [row] = await self._engine.fetch(USAGE, user_id=user_id)
        return _usage(user_id, row)

    async def erasable(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        [row] = await self._engine.fetch(ERASABLE, user_id=user_id)
        _check_holds(user_id, row, even_retained=even_retained)
        return _usage(user_id, row) if row["found"] else None

    async def erase(self, user_id: UserId, *, even_retained: bool = False) -> Usage | None:
        try:
            [row], again = await self._engine.fetch_noting(
                ERASE, user_id=user_id, even_retained=even_retained
            )
            known = row["found"] or again
        except (*REFERENCED, DatabaseRuleError) as error:
            if isinstance(error, DatabaseRuleError) and not isinstance(error.__cause__, REFERENCED):
                raise
            # Another application's rows still need the user. Our own rows go all the same.
            [row] = await self._engine.fetch(
                ERASE_CONVERSATIONS,
                user_id=user_id,
                even_retained=even_retained,
            )
            known = True
        _check_holds(user_id, row, even_retained=even_retained)
        return _usage(user_id, row) if known else None


def narrower_ids(column_type: str) -> int | None:
    """Return how many characters a column of that type takes; None if it takes every id."""
    found = _WIDTH.fullmatch(column_type)
    return int(found[1]) if found and int(found[1]) < MAX_ID_CHARS else None


def _check_holds(user_id: UserId, row: Row, *, even_retained: bool) -> None:
    if row["retained"] and not even_retained:
        held = [with_text(UUID(key), text) for key, text in json.loads(row["held"])]
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


def _listed(row: Row) -> ListedUser:
    counted = row["conversations"]
    return ListedUser(
        UserId(row["id"]),
        MatchCount(min(counted, MAX_COUNTED), exact=counted <= MAX_COUNTED),
        row["latest_activity"],
    )


async def is_about_user(engine: Engine, user_id: UserId, error: Exception) -> bool:
    """Return whether an error of a statement that may add a user is one of the table users."""
    if not isinstance(error, DatabaseRuleError) or error.table == "users":
        return True
    # A trigger, and a value that is too long, come without the name of the table; and the key that
    # refers to users may have another name than ours.
    is_likely = error.table in {None, "conversations"}
    return is_likely and not await engine.fetch(EXISTS, user_id=user_id)


def may_be_of_users(error: Exception) -> bool:
    """Return whether a trigger on the table users may have raised an error.

    It runs for users who are there already, too: then the call goes well without adding the user.
    """
    return isinstance(error, DatabaseRuleError) and error.table is None


def explain_refusal(user_id: UserId, error: Exception) -> UserNotProvisionedError:
    """Return the error for a caller: without the driver's words, which may quote others' rows."""
    if isinstance(error, DatabaseRuleError) and error.__cause__ is not None:
        error = cast("Exception", error.__cause__)
    logger.warning(
        "the table users does not take a row with only an id: %s, column %s",
        type(error).__name__,
        getattr(error, "column_name", None) or "unknown",
    )
    if isinstance(error, asyncpg.StringDataRightTruncationError):
        return UserNotProvisionedError(
            user_id,
            f"the table users takes only shorter ids than this one of {len(user_id)} characters. "
            f"Widen its column id: {WIDEN}.",
        )
    return UserNotProvisionedError(
        user_id,
        "the table users does not take a row with only an id. "
        "Let the application that owns the table add the user first.",
    )
