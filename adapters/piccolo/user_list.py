"""The list of users on Postgres: an operator's statement, of all users.

Ids are in the order of their code points, whatever the collation of the database is: so are those
of memory, and those that begin with a prefix are together. The index `idx_users_id` has this
order. A page reads from it the users that it shows and one more, and for each the latest one and
at most `MAX_COUNTED` of their conversations, in the index of the list.
"""

from typing import Final

from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.domain.user_list import MAX_COUNTED

PAGE: Final = Statement(
    "users.page",
    f"""
SELECT listed.id, latest.updated_at AS latest_activity, counted.conversations
FROM (
  SELECT u.id FROM users u
  WHERE u.id COLLATE "C" > :after::text AND u.id COLLATE "C" >= :prefix::text
    AND u.id COLLATE "C" < :end_of_prefix::text
  ORDER BY u.id COLLATE "C"
  LIMIT :limit::int
) listed
LEFT JOIN LATERAL (
  SELECT c.updated_at FROM conversations c WHERE c.user_id = listed.id
  ORDER BY c.updated_at DESC LIMIT 1
) latest ON true
CROSS JOIN LATERAL (
  SELECT count(*) AS conversations FROM (
    SELECT FROM conversations c WHERE c.user_id = listed.id LIMIT {MAX_COUNTED + 1}
  ) c
) counted
ORDER BY listed.id COLLATE "C\"""",
)
