"""Conversations and their lists."""

from datetime import datetime
from typing import Literal

import msgspec

from chatkeep_client.models.json import JsonObject
from chatkeep_client.models.messages import Message

Status = Literal["active", "archived"]
Sort = Literal["updated", "created"]


class ForkedFrom(msgspec.Struct, kw_only=True):
    """Where a conversation was forked from. `message_id` is the last message that was copied."""

    conversation_id: str
    message_id: str | None


class Conversation(msgspec.Struct, kw_only=True):
    """A conversation, without its messages.

    - `updated_at`: the time of the last activity, an append.
    - `retain`: a hold; nothing in it can be deleted or rewritten.
    - `revision`: grows with every change of it or its messages.
    - `branch`: the current branch; None if it never branched.
    """

    id: str
    title: str | None
    status: Status
    metadata: JsonObject
    message_count: int
    created_at: datetime
    updated_at: datetime
    retain: bool
    revision: int
    branch: int | None = None
    forked_from: ForkedFrom | None = None


class FoundConversation(Conversation, kw_only=True):
    """A conversation. `created` says whether this request created it."""

    created: bool = False


class CreatedConversation(Conversation, kw_only=True):
    """A new conversation, with its first `messages` as they are stored."""

    messages: list[Message] = []


class Count(msgspec.Struct, kw_only=True):
    """How many conversations match; at least `value` if not `exact` (there are over 10,000)."""

    value: int
    exact: bool


class ConversationPage(msgspec.Struct, kw_only=True):
    """Conversations, latest first. It may be short, or empty, before the last one.

    `next_cursor` is None on the last page. `count` is there if it was requested.
    """

    items: list[Conversation]
    next_cursor: str | None
    count: Count | None = None
