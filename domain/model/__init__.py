"""Users, conversations and messages, and their rules.

Times are timezone-aware, in UTC, to the microsecond. Lengths of text are in Unicode code points.

Conversations and messages are named tuples, since a page has 20 of them: creating frozen
dataclasses takes three times as long.
"""

from chatkeep.domain.model.conversations import Changes, Conversation, ForkedFrom, Status, Usage
from chatkeep.domain.model.json_text import EMPTY_OBJECT, JsonText, OriginalText, same_json
from chatkeep.domain.model.limits import Limits, check_metadata, check_title
from chatkeep.domain.model.messages import (
    AUTHORED,
    MAX_FORMAT_CHARS,
    MAX_TOKENS,
    Message,
    NewMessage,
    Role,
    check_format,
    check_original_bytes,
    check_tokens,
    is_opening,
)
from chatkeep.domain.model.values import (
    EPOCH,
    FIRST_POSITION,
    FIRST_REVISION,
    LAST_POSITION,
    MAX_ID_CHARS,
    MAX_REVISION,
    NO_REVISION,
    UNSET,
    BranchNumber,
    ConversationId,
    MessageId,
    Order,
    Position,
    Unset,
    UserId,
    check_user_id,
    microseconds,
    uuid7,
)

__all__ = [
    "AUTHORED",
    "EMPTY_OBJECT",
    "EPOCH",
    "FIRST_POSITION",
    "FIRST_REVISION",
    "LAST_POSITION",
    "MAX_FORMAT_CHARS",
    "MAX_ID_CHARS",
    "MAX_REVISION",
    "MAX_TOKENS",
    "NO_REVISION",
    "UNSET",
    "BranchNumber",
    "Changes",
    "Conversation",
    "ConversationId",
    "ForkedFrom",
    "JsonText",
    "Limits",
    "Message",
    "MessageId",
    "NewMessage",
    "Order",
    "OriginalText",
    "Position",
    "Role",
    "Status",
    "Unset",
    "Usage",
    "UserId",
    "check_format",
    "check_metadata",
    "check_original_bytes",
    "check_title",
    "check_tokens",
    "check_user_id",
    "is_opening",
    "microseconds",
    "same_json",
    "uuid7",
]
