"""The statements of a report on the database. They cover all users."""

from dataclasses import dataclass
from typing import Final

from piccolo.query import Select

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.tables import Conversations

SET_LIMITS: Final = Statement(
    "stats.set_limits",
    """
SELECT set_config('statement_timeout', :statement_timeout, true),
       set_config('lock_timeout', :lock_timeout, true)""",
)

DATABASE: Final = Statement(
    "stats.database",
    """
SELECT current_database() AS name, pg_database_size(current_database()) AS bytes,
       current_setting('server_version') AS version, now() AS at""",
)


@dataclass(frozen=True, slots=True)
class Countable:
    """Rows that can be counted, and how many of them the planner expects.

    It can only guess at a condition on a `column` that was never analyzed.
    """

    name: str
    expect: Statement
    count: Statement
    column: str | None = None

    @classmethod
    def of(cls, name: str, rows: str, column: str | None = None) -> "Countable":
        key = f"stats.{name.replace(' ', '_')}"
        return cls(
            name,
            Statement(f"{key}.expect", f"EXPLAIN (FORMAT JSON) {rows}"),
            Statement(f"{key}.count", f"SELECT count(*) FROM ({rows}) AS counted"),
            column,
        )


USERS: Final = Countable.of("users", "SELECT FROM users")
MESSAGES: Final = Countable.of("messages", "SELECT FROM messages")
ITEMS: Final = Countable.of("items", "SELECT FROM conversation_items")
CONVERSATIONS: Final = Countable.of("conversations", "SELECT FROM conversations")
ARCHIVED: Final = Countable.of(
    "archived conversations",
    "SELECT FROM conversations WHERE status = 'archived'",
    column="status",
)
RETAINED: Final = Countable.of(
    "retained conversations", "SELECT FROM conversations WHERE retain", column="retain"
)

# The size in bytes is that of the stored value: it is not read from where large values are.
ORIGINALS: Final = Statement(
    "stats.originals",
    """
SELECT count(original) AS rows, coalesce(sum(pg_column_size(original)), 0)::bigint AS bytes
FROM messages TABLESAMPLE SYSTEM (:percent::real)""",
)

ANALYZED: Final = Statement(
    "stats.analyzed",
    """
SELECT FROM pg_stats WHERE tablename = 'conversations' AND attname = :column LIMIT 1""",
)

VACUUMS: Final = Statement(
    "stats.vacuums",
    """
SELECT relname AS table, n_live_tup AS live_rows, n_dead_tup AS dead_rows,
       greatest(last_vacuum, last_autovacuum) AS vacuumed_at,
       greatest(last_analyze, last_autoanalyze) AS analyzed_at
FROM pg_stat_user_tables
WHERE relid IN (SELECT to_regclass(name) FROM unnest(:tables::text[]) AS name)
ORDER BY relname""",
)

GROWTH: Final = Statement(
    "stats.growth",
    """
SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) AS messages, min(created_at) AS first
FROM messages WHERE created_at >= :since GROUP BY 1 ORDER BY 1""",
)

LARGEST_USERS: Final = Statement(
    "stats.largest_users",
    """
SELECT user_id, count(*) AS conversations, sum(message_count)::bigint AS messages
FROM conversations GROUP BY user_id ORDER BY messages DESC, user_id LIMIT :limit""",
)

STATEMENTS_SCHEMA: Final = Statement(
    "stats.add_schema_of_statements",
    """
SELECT set_config('search_path',
                  current_setting('search_path') || ', ' || quote_ident(n.nspname), true) AS path
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'""",
)

# Of statements with parameters only the text is kept there, not what was given; of others
# (COPY, comments, settings) all of it, and they are not looked at.
SLOW_QUERIES: Final = Statement(
    "stats.slow_queries",
    """
SELECT calls, total_exec_time AS total_ms, mean_exec_time AS mean_ms, query
FROM pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND query ~* '^\\s*(WITH|SELECT|INSERT|UPDATE|DELETE)\\M'
  AND query ~* '\\m(conversations|messages|conversation_(branches|changes|items|keys))\\M'
ORDER BY total_exec_time DESC LIMIT :limit""",
)


def largest_conversations(limit: int) -> Select[Conversations]:
    """Return the query for the conversations with the most messages."""
    return (
        Conversations.select(
            Conversations.id,
            Conversations.user_id,
            Conversations.message_count.as_alias("messages"),
        )
        .order_by(Conversations.message_count, ascending=False)
        .order_by(Conversations.id)
        .limit(limit)
    )
