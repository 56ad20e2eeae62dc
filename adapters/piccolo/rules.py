"""Recognizes what the owner of a database added to it: triggers, constraints, row-level policies.

Those may refuse a row that this service writes, with any words and SQLSTATE. The service has no
function in the database, so an error from within a function comes from the owner's.
"""

import re
from typing import Final

import asyncpg

from chatkeep.adapters.piccolo.schema import SCHEMA
from chatkeep.domain.errors import DatabaseRuleError

_FUNCTION: Final = re.compile(r"^.*\bPL/\w+.*$|^SQL function .*$", re.MULTILINE)
"""The line of an error's context that says where it came from, in the server's language."""

_RULES: Final = (
    asyncpg.CheckViolationError,
    asyncpg.ExclusionViolationError,
    asyncpg.NotNullViolationError,
    asyncpg.PLPGSQLError,
    asyncpg.StringDataRightTruncationError,  # of a column that was narrowed
    asyncpg.TriggeredActionError,
    asyncpg.TriggeredDataChangeViolationError,
    asyncpg.WithCheckOptionViolationError,
)
"""Errors that statements of this service never raise against its own tables."""

REFERENCED: Final = (asyncpg.ForeignKeyViolationError, asyncpg.RestrictViolationError)
_NAMED: Final = (asyncpg.UniqueViolationError, *REFERENCED)
"""Errors that are also raised by constraints of this service, which have these names."""

_OWN: Final = tuple(
    name for table in SCHEMA.values() for name in (*table.constraints, *table.indexes)
)
_POLICY: Final = "row-level security"
_OTHERWISE: Final = re.compile(r"08|25006|40|53|55P03|57|58|XX")
"""The states of what may end any statement, also within a function."""


def find_rule(error: BaseException) -> DatabaseRuleError | None:
    """Return the error to raise if a rule of the owner's refuses a statement, else None.

    It has none of the driver's words: they may quote rows.
    """
    if not isinstance(error, asyncpg.PostgresError) or _OTHERWISE.match(error.sqlstate or ""):
        return None
    if isinstance(error, asyncpg.InsufficientPrivilegeError):
        is_rule = _POLICY in str(error)
    elif isinstance(error, _NAMED):
        # Citus appends a number to the names.
        is_rule = not (error.constraint_name or "").startswith(_OWN)
    else:
        is_rule = isinstance(error, _RULES) or _FUNCTION.search(error.context or "") is not None
    if not is_rule:
        return None
    return DatabaseRuleError(error.sqlstate or "", error.table_name, error.constraint_name)


def describe_rule(error: BaseException) -> str:
    """Return what an operator needs to find the rule, on one line and without values of rows."""
    found = _FUNCTION.search(getattr(error, "context", None) or "")
    names = (getattr(error, name, None) for name in ("sqlstate", "table_name", "constraint_name"))
    return ", ".join(filter(None, (type(error).__name__, *names, found and found[0])))
