"""The messages that drafts become."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from chatkeep.domain.drafts import INTERRUPTED, TEXT, Chunk, Draft, Interruption, text_of_chunks
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.ai_sdk_chunks import assemble
from chatkeep.domain.formats.ai_sdk_writing import FORMAT as AI_SDK
from chatkeep.domain.formats.originals import read_original
from chatkeep.domain.ids import same_id
from chatkeep.domain.json_merge import merge_patch
from chatkeep.domain.model import (
    EMPTY_OBJECT,
    JsonText,
    Limits,
    NewMessage,
    OriginalText,
    Role,
)

NEEDS_MESSAGE: Final = (
    "is missing: only the chunks of the formats text and ai-sdk become a message; "
    "give the whole message"
)
_NO_LIMITS: Final = Limits(max_metadata_bytes=0, max_message_chars=0, max_item_bytes=0)


def finished_message(draft: Draft, chunks: Sequence[Chunk], limits: Limits) -> NewMessage | None:
    """Return the message that all chunks of a draft make; None if there are no chunks.

    Raises `InvalidValueError` or `LimitExceededError` naming the field.
    """
    if not chunks:
        return None
    if draft.format == TEXT:
        message = _text_message(draft, chunks)
    elif draft.format == AI_SDK:
        message = _ui_message(draft, chunks, limits)
    else:
        raise InvalidValueError("message", NEEDS_MESSAGE)
    message.check(limits)
    return message


def complete_message(draft: Draft, given: NewMessage) -> NewMessage:
    """Return the whole message that a producer has given, under the draft's id for it.

    Raises `InvalidValueError` if it has another id.
    """
    if given.id is not None and not same_id(given.id, draft.message_id):
        raise InvalidValueError("message.id", f"is not {draft.message_id}, the draft's message_id")
    metadata = draft.metadata if given.metadata == EMPTY_OBJECT else given.metadata
    return given._replace(id=draft.message_id, metadata=metadata)


def interrupted_message(
    draft: Draft, chunks: Sequence[Chunk], why: Interruption
) -> NewMessage | None:
    """Return the message that keeps what there is of an answer, marked; None if that is nothing.

    Chunks of a client's own format are the original, as a list, and there is no text.
    """
    if not chunks:
        return None
    if draft.format == TEXT:
        message = _text_message(draft, chunks)
    else:
        message = _own_message(draft, chunks)
        if draft.format == AI_SDK:
            with suppress(InvalidValueError):  # what the chunks make is not a UIMessage
                message = _ui_message(draft, chunks, _NO_LIMITS)
    mark = JsonText(json.dumps({INTERRUPTED: why.value}))
    return message._replace(metadata=merge_patch(message.metadata, mark))


def _text_message(draft: Draft, chunks: Sequence[Chunk]) -> NewMessage:
    return NewMessage(
        Role.ASSISTANT, text_of_chunks(chunks), metadata=draft.metadata, id=draft.message_id
    )


def _ui_message(draft: Draft, chunks: Sequence[Chunk], limits: Limits) -> NewMessage:
    original = assemble([chunk.text for chunk in chunks], str(draft.message_id))
    read = read_original(AI_SDK, original, field="chunks", limits=limits)
    if read is None:
        raise InvalidValueError("format", f"is {AI_SDK}, which cannot be read")
    metadata = merge_patch(draft.metadata, read.metadata)
    return read._replace(id=draft.message_id, metadata=metadata)


def _own_message(draft: Draft, chunks: Sequence[Chunk]) -> NewMessage:
    return NewMessage(
        Role.ASSISTANT,
        "",
        metadata=draft.metadata,
        id=draft.message_id,
        format=draft.format,
        original=OriginalText(f"[{','.join([chunk.text for chunk in chunks])}]"),
    )
