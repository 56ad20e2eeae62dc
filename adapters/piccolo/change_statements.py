"""The fragments with which a statement notes what it has changed (`conversation_changes`).

A reader who follows a conversation finds new messages in the log. That an old one was changed or
deleted is found here, under the revision that the change gave the conversation.
"""

from typing import Final

from chatkeep.domain.events import EventKind

_INSERT: Final = """
  INSERT INTO conversation_changes
    (conversation_id, user_id, revision, number, kind, message_id, text_id)
  SELECT"""

# A conversation that is created again comes to the revision with which the earlier one was deleted.
_AGAIN: Final = """
  ON CONFLICT (conversation_id, revision, number, user_id) DO UPDATE
  SET kind = excluded.kind, message_id = excluded.message_id, text_id = excluded.text_id,
      changed_at = excluded.changed_at"""


NOT_ADDED_AGAIN: Final = "gone.id <> ALL(:id::text[]::uuid[])"
"""Whether a message that is gone does not come again, under its id, with the same statement."""


def message_updated(source: str, revision: str) -> str:
    """Return the statement that notes a change of the message in `source`, which has its row."""
    return f"""{_INSERT} :conversation_id, :user_id, {revision}, 0,
         '{EventKind.MESSAGE_UPDATED}', {source}.id, NULL
  FROM {source}, locked{_AGAIN}"""


def messages_deleted(source: str, revision: str, *, unless: str = "") -> str:
    """Return the statement that notes the deletion of the messages in `gone`.

    `source` has the row of the conversation. The condition `unless` leaves messages out.
    """
    where = f"\n  WHERE {unless}" if unless else ""
    return f"""{_INSERT} :conversation_id, :user_id, {revision},
         row_number() OVER (ORDER BY gone.position)::int,
         '{EventKind.MESSAGE_DELETED}', gone.id, gone.text_id
  FROM gone, {source}{where}{_AGAIN}"""


def conversation_updated(source: str, condition: str = "") -> str:
    """Return the statement that notes a change of the conversation in `source`.

    `source` has its key, and its revision after the change.
    """
    where = f"\n  WHERE {condition}" if condition else ""
    return f"""{_INSERT} {source}.id, {source}.user_id, {source}.revision, 0,
         '{EventKind.CONVERSATION_UPDATED}', NULL, NULL
  FROM {source}{where}{_AGAIN}"""


def conversation_deleted(source: str) -> str:
    """Return the statement that notes that the conversations in `source` were deleted."""
    return f"""{_INSERT} {source}.id, {source}.user_id, {source}.revision + 1, 0,
         '{EventKind.CONVERSATION_DELETED}', NULL, {source}.text_id
  FROM {source}{_AGAIN}"""
