"""Checks the role's privileges and the applied migrations."""

from collections.abc import AsyncGenerator, Mapping
from typing import Final

from chatkeep.adapters.operator.doctor.comparison import MIGRATE
from chatkeep.adapters.operator.doctor.rollback_session import RollbackSession
from chatkeep.adapters.operator.doctor.structure import load_catalogue
from chatkeep.adapters.piccolo.migrate import list_migrations, read_applied
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.operations.diagnostics import CheckResult, failed, ok, skipped, warning

NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "conversations": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "messages": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "conversation_items": ("SELECT", "INSERT", "DELETE"),
    "conversation_branches": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "conversation_changes": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "conversation_keys": ("SELECT", "INSERT"),
    "drafts": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "draft_chunks": ("SELECT", "INSERT"),
    "search_conversations": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "search_segments": ("SELECT", "INSERT", "UPDATE", "DELETE"),
    "audit_lines": ("SELECT", "INSERT", "DELETE"),
    "doctor_results": ("SELECT", "INSERT", "UPDATE"),
    "conversation_sweeps": ("SELECT", "INSERT", "UPDATE"),
}
"""The privileges that the service's statements need; cascades need none."""

PRIVILEGES: Final = Statement(
    "doctor.privileges",
    """
SELECT asked.relation AS table, asked.privilege
FROM unnest(:tables::text[], :privileges::text[]) AS asked (relation, privilege)
WHERE to_regclass(asked.relation) IS NOT NULL
  AND NOT has_table_privilege(to_regclass(asked.relation), asked.privilege)""",
)

# chatkeep uses only the id of users; privileges on that column are enough.
USERS: Final = Statement(
    "doctor.users",
    """
SELECT current_user AS role, a.attrelid IS NOT NULL AS there,
       has_column_privilege(a.attrelid, a.attnum, 'SELECT') AS read,
       has_column_privilege(a.attrelid, a.attnum, 'INSERT') AS add,
       has_table_privilege(a.attrelid, 'DELETE') AS erase
FROM (SELECT) AS one LEFT JOIN pg_attribute a
  ON a.attrelid = to_regclass('users') AND a.attname = 'id' AND NOT a.attisdropped""",
)

RECORDED: Final = Statement(
    "doctor.migrations",
    """
SELECT to_regclass('migration') IS NOT NULL AS there,
       coalesce(has_table_privilege(to_regclass('migration'), 'SELECT'), false) AS readable""",
)


async def check_privileges(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    needs = [(table, privilege) for table, needed in NEEDED.items() for privilege in needed]
    async with session.begin_read_only() as engine:
        rows = await engine.fetch(
            PRIVILEGES,
            tables=[table for table, _ in needs],
            privileges=[privilege for _, privilege in needs],
        )
        [users] = await engine.fetch(USERS)
    role = users["role"]
    for table in NEEDED:
        missing = ", ".join(row["privilege"] for row in rows if row["table"] == table)
        if missing:
            yield failed(
                f"the role {role} lacks {missing}",
                f'GRANT {missing} ON {table} TO "{role}"',
                target=table,
            )
    without_users = False
    if users["there"]:
        needed = {"SELECT": users["read"], "DELETE": users["erase"]}
        needed |= {"INSERT": users["add"]} if session.provision_users else {}
        lacking = ", ".join(privilege for privilege, held in needed.items() if not held)
        without_users = bool(lacking)
        if lacking:
            other = (
                ", or let your application add users (CHATKEEP_PROVISION_USERS=false)"
                if "INSERT" in lacking
                else ""
            )
            yield failed(
                f"the role {role} lacks {lacking}",
                f'GRANT {lacking} ON users TO "{role}"{other}',
                target="users",
            )
    if not rows and not without_users:
        found = await load_catalogue(session)
        all_granted = f"the role {role} has all privileges that it needs"
        yield ok(all_granted) if found.tables else skipped("no tables")


async def check_migrations(session: RollbackSession) -> AsyncGenerator[CheckResult, None]:
    known = [*list_migrations()]
    async with session.begin_read_only() as engine:
        [recorded] = await engine.fetch(RECORDED)
        applied = (await read_applied(engine)).keys() if recorded["readable"] else set()
    if recorded["there"] and not recorded["readable"]:
        yield warning(
            "the role cannot read the table `migration`",
            "GRANT SELECT ON migration TO the role, so that this check can find pending migrations",
        )
        return
    pending = [each for each in known if each not in applied]
    unknown = sorted(applied - set(known))
    session.migrated = not pending
    if pending:
        yield failed(
            f"{len(pending)} pending: {', '.join(pending)}",
            f"{MIGRATE}; or, if their changes exist already: "
            "piccolo migrations forwards chatkeep --fake",
            target="pending",
        )
    if unknown:
        yield failed(
            f"applied by a newer chatkeep: {', '.join(unknown)}",
            "update this chatkeep, or migrate backwards with the one that applied them",
            target="unknown",
        )
    if not pending and not unknown:
        yield ok(f"{len(known)} applied, none pending, the last is {known[-1]}")
