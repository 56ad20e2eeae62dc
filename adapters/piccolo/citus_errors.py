"""Errors of a statement on a cluster of Citus, as one Postgres would have raised them.

A node passes on an error of another one without its fields: without the constraint's name, and, for
rows that it copies there, even without the state. Only the text is left, in English.
"""

import re
from typing import Final, cast

import asyncpg

_VIOLATED: Final = re.compile(
    r'(?P<unique>duplicate key value violates unique)|violates (?P<key>foreign key) constraint "',
)
_CONSTRAINT: Final = re.compile(r'violates (?:unique|foreign key|check) constraint "([^"]+)"')


def as_raised(error: Exception) -> Exception:
    """Return the error with the type and the constraint's name that its text has."""
    if isinstance(error, asyncpg.InternalServerError) and (found := _VIOLATED.search(str(error))):
        kind = asyncpg.UniqueViolationError if found["unique"] else asyncpg.ForeignKeyViolationError
        made = kind(str(error))
        made.__cause__ = error
        return _named(made)
    if isinstance(error, asyncpg.IntegrityConstraintViolationError) and not error.constraint_name:
        return _named(error)
    return error


def _named(error: asyncpg.PostgresError) -> Exception:
    found = _CONSTRAINT.search(str(error))
    error.constraint_name = found and found[1]
    return cast("Exception", error)
