"""Changes of messages, and what becomes of a log that is truncated or partly replaced."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from chatkeep.domain.errors import SuffixDiffersError
from chatkeep.domain.json_merge import compact_json, merge_patch
from chatkeep.domain.log import Entry, messages_in
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    UNSET,
    JsonText,
    Limits,
    Message,
    MessageId,
    NewMessage,
    Unset,
    check_metadata,
    check_tokens,
    same_json,
)

MAX_NAMED_MORE: Final = 100
"""How many messages beyond the expected ones the error about a suffix names."""


@dataclass(frozen=True, slots=True)
class Stored:
    """The result of a put or a patch: the message without its original.

    `created` means that it is new. `revision` is that of the conversation after this call, as in
    all results: of a repeated call the one after the expected revision (`revision_after`).
    """

    message: Message
    revision: int
    created: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePatch:
    """Changes of the notes about a message: these are not an edit of what was said.

    `metadata` is a JSON merge patch (RFC 7396): a member with null is removed, null alone removes
    all of them. `limits` bound the metadata that result.
    """

    metadata: JsonText | Unset = UNSET
    tokens: int | Unset | None = UNSET
    limits: Limits | None = None

    def check(self) -> None:
        """Raise `InvalidValueError` if a value breaks a rule."""
        if not isinstance(self.tokens, Unset) and self.tokens is not None:
            check_tokens(self.tokens)

    def apply(self, message: Message) -> Message:
        """Return the message with these changes; itself if they change nothing.

        Raises `LimitExceededError` if the metadata grow beyond the limit.
        """
        tokens = message.tokens if isinstance(self.tokens, Unset) else self.tokens
        metadata = message.metadata
        if not isinstance(self.metadata, Unset):
            metadata = self._merge(metadata, self.metadata)
        if tokens == message.tokens and metadata is message.metadata:
            return message
        return message._replace(tokens=tokens, metadata=metadata)

    def _merge(self, metadata: JsonText, patch: JsonText) -> JsonText:
        merged = merge_patch(metadata, patch)
        if not merged.startswith("{") or merged == EMPTY_OBJECT:
            merged = EMPTY_OBJECT
        if same_json(merged, metadata):
            return metadata
        # Imported metadata may be over the limit; then they may still shrink.
        if self.limits is not None and len(merged) > len(compact_json(metadata)):
            check_metadata(merged, self.limits)
        return merged


@dataclass(frozen=True, slots=True)
class Truncated:
    """The result of a truncation: how many messages it deleted, and how many are left."""

    deleted: int
    message_count: int
    revision: int


@dataclass(frozen=True, slots=True)
class Replaced:
    """The result of replacing a suffix: the new messages as they are stored.

    A repeated call deletes nothing, and returns what is stored.
    """

    messages: tuple[Message, ...]
    deleted: int
    message_count: int
    revision: int


def edit(stored: Message, new: NewMessage, at: datetime) -> Message:
    """Return the stored message replaced by a new one at that time; itself if they are equal.

    Its place and the time of its creation stay. Content parts are kept as they are written, so they
    are compared as texts.
    """
    new = new._replace(created_at=None, edited_at=None)
    if new.equals(stored) and new.parts == stored.parts:
        return stored
    edited = new.to_message(stored.conversation_id, stored.position, stored.created_at)
    return edited._replace(edited_at=at)


def match_replace(
    given: Sequence[NewMessage], suffix: Sequence[Entry]
) -> tuple[Message, ...] | None:
    """Return the messages of `suffix` if they are already what `given` would make of them."""
    stored = messages_in(suffix)
    if len(given) == len(suffix) == len(stored) and all(map(NewMessage.equals, given, stored)):
        return stored
    return None


def check_suffix(found: Sequence[MessageId], expected: Sequence[MessageId]) -> None:
    """Raise `SuffixDiffersError` unless the messages found are the expected ones."""
    if [*found] != [*expected]:
        raise SuffixDiffersError(found[: len(expected) + MAX_NAMED_MORE])
