"""The list of users on Postgres: an operator's statement, of all users.

Ids are in the order of their code points, whatever the collation of the database is: so are those
of memory, and those that begin with a prefix are together. The index `idx_users_id` has this
order. A page reads from it the users that it shows and one more, and for each the latest one and
at most `MAX_COUNTED` of their conversations, in the index of the list.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.user_list import MAX_COUNTED


def _latest(user: str) -> str:
    return f"""
  SELECT c.updated_at FROM conversations c WHERE c.user_id = {user}
  ORDER BY c.updated_at DESC LIMIT 1"""


def _counted(user: str) -> str:
    return f"""
  SELECT count(*) AS conversations FROM (
    SELECT FROM conversations c WHERE c.user_id = {user} LIMIT {MAX_COUNTED + 1}
  ) c"""


# The end has at most as many characters as an id: Citus refuses a longer text. So it may itself be
# an id that does not begin with the prefix.
_IDS: Final = """
  SELECT u.id FROM users u
  WHERE u.id COLLATE "C" > :after::text AND u.id COLLATE "C" >= :prefix::text
    AND u.id COLLATE "C" <= :end_of_prefix::text AND starts_with(u.id, :prefix)
  ORDER BY u.id COLLATE "C"
  LIMIT :limit::int"""

PAGE: Final = Statement(
    "users.page",
    f"""
SELECT listed.id, latest.updated_at AS latest_activity, counted.conversations
FROM ({_IDS}
) listed
LEFT JOIN LATERAL ({_latest("listed.id")}
) latest ON true
CROSS JOIN LATERAL ({_counted("listed.id")}
) counted
ORDER BY listed.id COLLATE "C\"""",
)

# The same in parts, for a database that is distributed by user.
IDS: Final = Statement("users.ids", _IDS)
ACTIVITY: Final = Statement(
    "users.activity",
    f"""
SELECT :user_id::text AS id, ({_latest(":user_id")}) AS latest_activity,
       counted.conversations
FROM ({_counted(":user_id")}) counted""",
)
