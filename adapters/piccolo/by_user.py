"""Statements about many users, on a database that is distributed by user.

There each user has a node, and a statement that locks or joins rows of several is refused. Then it
is sent for one user at a time.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import asyncpg

from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.rows import Row
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.model import UserId

T = TypeVar("T")


async def fetch_at_once(
    engine: Engine, statement: Statement, values: Mapping[str, object]
) -> list[Row] | None:
    """Run a statement about many users; return None if the database refuses to do it at once."""
    if engine.is_by_user:
        return None
    try:
        return await engine.fetch(statement, **values)
    except asyncpg.InvalidCachedStatementError:  # a kind of the next one, and no refusal
        raise
    except asyncpg.FeatureNotSupportedError:
        engine.is_by_user = True
        return None


async def fetch_by_user(  # noqa: PLR0913, PLR0917 - two statements, and what goes in
    engine: Engine,
    at_once: Statement,
    of_user: Statement,
    given: Sequence[T],
    user_of: Callable[[T], UserId],
    values: Callable[[Sequence[T]], Mapping[str, Any]],
) -> list[tuple[Sequence[T], list[Row]]]:
    """Run a statement about what is given, of many users: at once, or else of one user at a time.

    Return the rows, each list with what it is about.
    """
    rows = await fetch_at_once(engine, at_once, values(given))
    if rows is not None:
        return [(given, rows)]
    return await fetch_of_each_user(engine, of_user, given, user_of, values)


async def fetch_of_each_user(
    engine: Engine,
    of_user: Statement,
    given: Sequence[T],
    user_of: Callable[[T], UserId],
    values: Callable[[Sequence[T]], Mapping[str, Any]],
) -> list[tuple[Sequence[T], list[Row]]]:
    """Run a statement for each user of what is given, one after the other."""
    of_users: dict[UserId, list[T]] = {}
    for each in given:
        of_users.setdefault(user_of(each), []).append(each)
    return [
        (those, await engine.fetch(of_user, **values(those), user_id=user_id))
        for user_id, those in of_users.items()
    ]
