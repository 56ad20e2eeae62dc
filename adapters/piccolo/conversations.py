"""Conversations on Postgres: each call is one statement."""

from itertools import takewhile
from typing import Any, Final

import asyncpg

from chatkeep.adapters.piccolo import finding
from chatkeep.adapters.piccolo.bounds import json_bytes, text_bytes, within
from chatkeep.adapters.piccolo.change_statements import (
    conversation_deleted,
    conversation_updated,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    CONVERSATION_COLUMNS,
    conversation_values,
    to_conversation,
    to_jsonb,
    to_text,
)
from chatkeep.adapters.piccolo.statement import Statement
from chatkeep.adapters.piccolo.users import (
    ERASE_TIMEOUT,
    NO_USER,
    explain_refusal,
    is_about_user,
    may_be_of_users,
)
from chatkeep.domain.errors import (
    ConversationNotFoundError,
    DatabaseRuleError,
    RetainedError,
    RevisionConflictError,
    UserNotProvisionedError,
)
from chatkeep.domain.finding import Filter, Found, LastSeen, MatchCount, Sort
from chatkeep.domain.log import Created
from chatkeep.domain.model import Changes, Conversation, ConversationId, Status, Unset, UserId
from chatkeep.domain.pages import NO_BOUND, Page
from chatkeep.domain.revisions import may_have_made

GET_OR_CREATE: Final = Statement(
    "conversations.get_or_create",
    f"""
WITH stored AS (
  SELECT {CONVERSATION_COLUMNS} FROM conversations
  WHERE id = :conversation_id AND user_id = :user_id
), provisioned AS (
  INSERT INTO users (id) SELECT :user_id WHERE :provision AND NOT EXISTS (SELECT 1 FROM stored)
  ON CONFLICT DO NOTHING
), made AS (
  INSERT INTO conversations (id, text_id, user_id, title, status, metadata, created_at, updated_at,
                             retain, revision)
  SELECT :conversation_id, :conversation_text_id, :user_id, :title, :status, :conversation_metadata,
         :conversation_created_at, :at, :retain, :revision::bigint
  WHERE NOT EXISTS (SELECT 1 FROM stored)
  ON CONFLICT DO NOTHING RETURNING {CONVERSATION_COLUMNS}
)
SELECT *, false AS created FROM stored UNION ALL SELECT *, true FROM made""",
)

GET: Final = Statement(
    "conversations.get",
    f"SELECT {CONVERSATION_COLUMNS} FROM conversations WHERE id = :id AND user_id = :user_id",
)

CHANGE: Final = Statement(
    "conversations.change",
    f"""
WITH changed AS (
  UPDATE conversations
  SET title = CASE WHEN :sets_title THEN :title ELSE title END, status = coalesce(:status, status),
      metadata = coalesce(:metadata::jsonb, metadata), retain = coalesce(:retain, retain),
      revision = revision + 1
  WHERE id = :id AND user_id = :user_id AND (:expected::bigint IS NULL OR revision = :expected)
  RETURNING {CONVERSATION_COLUMNS}
), noted AS ({conversation_updated("changed")}
)
SELECT * FROM changed""",
)

# The row is locked before the hold and the revision are checked: neither changes in between.
DELETE: Final = Statement(
    "conversations.delete",
    f"""
WITH locked AS (
  SELECT id, retain, revision FROM conversations
  WHERE id = :id AND user_id = :user_id FOR UPDATE
), gone AS (
  DELETE FROM conversations c USING locked
  WHERE c.id = locked.id AND c.user_id = :user_id AND NOT locked.retain
    AND (:expected::bigint IS NULL OR locked.revision = :expected)
  RETURNING c.id, c.user_id, c.revision, c.text_id
), noted AS ({conversation_deleted("gone")}
), forgotten AS (
  DELETE FROM conversation_changes h USING gone
  WHERE h.conversation_id = gone.id AND h.user_id = :user_id AND h.revision <= gone.revision
)
SELECT retain, revision FROM locked""",
    timeout=ERASE_TIMEOUT,
)


def _list(*conditions: str) -> str:
    where = " AND ".join(("user_id = :user_id", *conditions))
    size = f"{text_bytes('title')} + {json_bytes('metadata', ':share::bigint')}"
    return f"""
SELECT {within(":share::bigint", CONVERSATION_COLUMNS, ("title", "metadata"))} FROM (
  SELECT {CONVERSATION_COLUMNS}, {size} AS bytes FROM conversations WHERE {where}
  ORDER BY updated_at DESC, id DESC LIMIT :limit
) AS page
ORDER BY updated_at DESC, id DESC"""


_AFTER: Final = "(updated_at, id) < (:after, :after_id)"
LIST: Final = Statement("conversations.list", _list())
LIST_AFTER: Final = Statement("conversations.list_after", _list(_AFTER))
# One text for each status, so that the index of the archived ones can be used.
LIST_STATUS: Final = {
    status: Statement(f"conversations.list.{status}", _list(f"status = '{status}'"))
    for status in Status
}
LIST_STATUS_AFTER: Final = {
    status: Statement(f"conversations.list_after.{status}", _list(f"status = '{status}'", _AFTER))
    for status in Status
}


class PiccoloConversations:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @repeated_when_gone
    async def get_or_create(self, conversation: Conversation, *, provision: bool) -> Created:
        try:
            rows, again = await self._engine.fetch_noting(
                GET_OR_CREATE, **conversation_values(conversation), provision=provision
            )
        except (*NO_USER, DatabaseRuleError) as error:
            if not await is_about_user(self._engine, conversation.user_id, error):
                if provision and may_be_of_users(error):
                    return await self.get_or_create(conversation, provision=False)
                raise
            raise explain_unprovisioned(conversation.user_id, error, provision=provision) from error
        if rows:
            found = to_conversation(rows[0])
            made_before = again and found.created_at == conversation.created_at
            return Created(found, (), created=rows[0]["created"] or made_before)
        # Another request created it while this statement ran: it was not in the snapshot.
        try:
            return Created(await self.get(conversation.user_id, conversation.id), (), created=False)
        except ConversationNotFoundError as error:
            raise GoneError from error

    async def get(self, user_id: UserId, conversation_id: ConversationId) -> Conversation:
        rows = await self._engine.fetch(GET, id=conversation_id, user_id=user_id)
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return to_conversation(rows[0])

    async def list(
        self,
        user_id: UserId,
        *,
        status: Status | None,
        after: LastSeen | None,
        limit: int,
        max_bytes: int = NO_BOUND,
    ) -> Page[Conversation]:
        values: dict[str, Any] = {"user_id": user_id}
        if after is None:
            statement = LIST if status is None else LIST_STATUS[status]
        else:
            statement = LIST_AFTER if status is None else LIST_STATUS_AFTER[status]
            values |= {"after": after.at, "after_id": after.id}
        share = max_bytes // limit
        rows = await self._engine.fetch(statement, **values, limit=limit + 1, share=share)
        found = [
            to_conversation(row)
            for row in takewhile(lambda row: row["bytes"] <= share, rows[:limit])
        ]
        if found or not rows:
            return Page(found, more=len(rows) > len(found))
        # Only an import stores one this large. It gets a separate page.
        large = await self._engine.fetch(statement, **values, limit=1, share=NO_BOUND)
        return Page([to_conversation(row) for row in large], more=bool(large) and len(rows) > 1)

    async def find(  # noqa: PLR0913 - each is one independent part of the question
        self,
        user_id: UserId,
        wanted: Filter,
        *,
        sort: Sort = Sort.UPDATED,
        after: LastSeen | None,
        limit: int,
        max_read: int,
        max_bytes: int = NO_BOUND,
    ) -> Found:
        find = finding.find if sort is Sort.UPDATED else finding.find_by_creation
        return await find(
            self._engine,
            user_id,
            wanted,
            after=after,
            limit=limit,
            max_read=max_read,
            max_bytes=max_bytes,
        )

    async def count(self, user_id: UserId, wanted: Filter, *, max_read: int) -> MatchCount:
        return await finding.count(self._engine, user_id, wanted, max_read=max_read)

    async def change(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        changes: Changes,
        *,
        expected: int | None = None,
    ) -> Conversation:
        title, status, metadata = changes.title, changes.status, changes.metadata
        retain = changes.retain
        rows, again = await self._engine.fetch_noting(
            CHANGE,
            id=conversation_id,
            user_id=user_id,
            expected=expected,
            sets_title=not isinstance(title, Unset),
            title=None if isinstance(title, Unset) else to_text(title),
            status=None if isinstance(status, Unset) else status.value,
            metadata=None if isinstance(metadata, Unset) else to_jsonb(metadata),
            retain=None if isinstance(retain, Unset) else retain,
        )
        if rows:
            return to_conversation(rows[0])
        if expected is None:
            raise ConversationNotFoundError(conversation_id)
        current = await self.get(user_id, conversation_id)
        if again and may_have_made(current, changes, expected):
            return current
        raise RevisionConflictError(conversation_id, current.revision)

    async def delete(
        self, user_id: UserId, conversation_id: ConversationId, *, expected: int | None = None
    ) -> None:
        rows, again = await self._engine.fetch_noting(
            DELETE, id=conversation_id, user_id=user_id, expected=expected
        )
        if not rows:
            if not again:
                raise ConversationNotFoundError(conversation_id)
            return
        [row] = rows
        if row["retain"]:
            raise RetainedError(conversation_id)
        if expected not in {None, row["revision"]}:
            raise RevisionConflictError(conversation_id, row["revision"])


def explain_unprovisioned(
    user_id: UserId, error: Exception, *, provision: bool
) -> UserNotProvisionedError:
    if provision:
        if isinstance(error, asyncpg.ForeignKeyViolationError):  # the user was erased just now
            raise GoneError(lambda: explain_refusal(user_id, error)) from error
        return explain_refusal(user_id, error)
    return UserNotProvisionedError(
        user_id, "users are added by a service key (PUT /v1/users/{id})."
    )
