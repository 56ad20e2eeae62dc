"""The scenario of drafts: an answer that is written piece by piece becomes one message."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

from chatkeep.domain.draft_errors import DraftActiveError, DraftGapError, DraftSupersededError
from chatkeep.domain.drafts import Draft, DraftId, DraftStatus, NewChunks
from chatkeep.domain.model import Limits, MessageId, Role
from chatkeep.domain.operations.selftest.builders import HOUR, new_message
from chatkeep.domain.operations.selftest.checks import expect, expect_error
from chatkeep.domain.operations.selftest.store import StoreUnderTest

_LIMITS = Limits()


async def drafts(store: StoreUnderTest) -> str:
    """Start, write, take over and end drafts, also a second time and too late."""
    chat = await store.start(new_message("question"))
    own_id = DraftId(uuid4())
    new = Draft(
        id=own_id,
        user_id=store.user,
        conversation_id=chat.id,
        message_id=MessageId(own_id),
        started_at=store.at,
        progress_at=store.at,
        ends_by=store.at + HOUR,
    )
    draft = await store.drafts.start(new, forget_before=store.at - HOUR)
    [question] = await store.history(chat)
    expect(draft.number > question.position, "a draft has no number after the messages before it")
    other = replace(new, id=DraftId(uuid4()), message_id=MessageId(uuid4()))
    await expect_error(
        DraftActiveError,
        store.drafts.start(other, forget_before=store.at - HOUR),
        "a second active draft",
    )
    early = await _write(store, draft, 1, "It was ", "shipped")
    written = await _write(store, early, 2, "shipped", " today\x00.")
    await expect_error(DraftGapError, _write(store, draft, 9, "lost"), "a chunk after a gap")
    expect(
        await store.drafts.end(early, DraftStatus.CANCELLED, store.at, None, place=None) is None,
        "a draft was ended by a caller who had not seen all of its chunks",
    )
    taken = await store.drafts.take_over(written, store.at + timedelta(seconds=1))
    expect(taken is not None and taken.epoch > written.epoch, "a draft was not taken over")
    await expect_error(
        DraftSupersededError, _write(store, written, 4, "old"), "a chunk of the former producer"
    )
    now = taken or written
    chunks = await store.drafts.chunks(store.user, chat.id, draft.number)
    text = "".join(chunk.text for chunk in chunks)
    expect(text == "It was shipped today\x00.", f"the chunks are {text!r}")
    for message_id in (now.message_id, MessageId(uuid4())):
        message = new_message(text, Role.ASSISTANT, id=message_id)
        await store.drafts.end(now, DraftStatus.FINISHED, store.at, message, place=None)
    found = [each.content for each in await store.history(chat)]
    expect(found == ["question", text], f"a draft that was ended twice left {found}")
    expect((await store.reload(chat)).message_count == len(found), "its message was not counted")
    again = await store.drafts.start(other, forget_before=store.at - HOUR)
    expect(again.number > now.number, "a later draft has no higher number")
    return "drafts were written once, taken over, and ended with one message"


async def _write(store: StoreUnderTest, draft: Draft, seq: int, *texts: str) -> Draft:
    return await store.drafts.write(
        draft.user_id,
        draft.conversation_id,
        draft.id,
        draft.epoch,
        seq,
        NewChunks(texts),
        store.at,
        _LIMITS,
    )
