"""Drafts on Postgres."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import asyncpg

from chatkeep.adapters.piccolo.branches import TRIES, PiccoloBranches, crowded, pause
from chatkeep.adapters.piccolo.by_user import fetch_at_once
from chatkeep.adapters.piccolo.draft_statements import (
    CHUNKS,
    END_EMPTY,
    FORGET,
    FORGET_WAITING,
    GET,
    LATEST,
    OVERDUE,
    START,
    TAKE_OVER,
    WRITE,
)
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.log_append_statements import END_DRAFT, END_DRAFT_PLACED
from chatkeep.adapters.piccolo.log_edits import changed_too_often
from chatkeep.adapters.piccolo.log_values import place_values
from chatkeep.adapters.piccolo.races import GoneError, repeated_when_gone
from chatkeep.adapters.piccolo.rows import (
    Row,
    from_jsonb,
    from_text,
    message_values,
    to_jsonb,
    to_text,
)
from chatkeep.domain.draft_errors import DraftNotFoundError
from chatkeep.domain.drafts import (
    Chunk,
    Draft,
    DraftId,
    DraftStatus,
    EndedDraft,
    NewChunks,
    size_of_chunk,
)
from chatkeep.domain.errors import ConversationNotFoundError, MessageIdTakenError
from chatkeep.domain.ids import id_text, of_conversation, parse_id, with_text
from chatkeep.domain.model import (
    FIRST_POSITION,
    BranchNumber,
    ConversationId,
    Limits,
    MessageId,
    NewMessage,
    Position,
    UserId,
    microseconds,
)
from chatkeep.domain.pages import NO_BOUND
from chatkeep.domain.places import After, AtTip, Place

_STATUSES: Final = {status.value: status for status in DraftStatus}


class PiccoloDrafts:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._branches = PiccoloBranches(engine)

    @repeated_when_gone
    async def start(self, draft: Draft, *, forget_before: datetime) -> Draft:
        try:
            rows = await self._engine.fetch(
                START,
                **_key(draft),
                id=draft.id,
                text_id=id_text(draft.id),
                epoch=draft.epoch,
                message_id=draft.message_id,
                message_text_id=id_text(draft.message_id),
                place=_place_text(draft.place),
                format=draft.format,
                metadata=to_jsonb(draft.metadata),
                lease=draft.lease,
                next_chunk=draft.next,
                started_at=draft.started_at,
                ends_by=draft.ends_by,
                first=max(FIRST_POSITION, microseconds(draft.started_at)),
                forget_before=forget_before,
            )
        except asyncpg.UniqueViolationError as error:  # another start has just been faster
            raise GoneError(changed_too_often) from error
        if not rows:
            raise ConversationNotFoundError(draft.conversation_id)
        if rows[0]["number"] is not None:
            held = [to_draft(row, draft.conversation_id) for row in rows]
            return held[0] if rows[0]["is_new"] else draft.match_start(held)
        if rows[0]["is_taken"]:
            raise MessageIdTakenError(draft.message_id)
        raise GoneError(changed_too_often)

    async def take_over(self, draft: Draft, at: datetime) -> Draft | None:
        rows = await self._engine.fetch(
            TAKE_OVER, **_key(draft), number=draft.number, epoch=draft.epoch, at=at
        )
        return to_draft(rows[0], draft.conversation_id) if rows else None

    async def write(  # noqa: PLR0913, PLR0917 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        draft_id: DraftId,
        epoch: int,
        seq: int,
        chunks: NewChunks,
        at: datetime,
        limits: Limits,
    ) -> Draft:
        rows = await self._engine.fetch(
            WRITE,
            user_id=user_id,
            conversation_id=conversation_id,
            id=draft_id,
            epoch=epoch,
            seq=seq,
            chunks=[to_text(text) for text in chunks.texts],
            bytes=[str(size_of_chunk(text)) for text in chunks.texts],
            chars=[str(len(text)) for text in chunks.texts],
            are_documents=chunks.are_documents,
            at=at,
            max_bytes=limits.max_draft_bytes,
            max_chars=limits.max_message_chars,
        )
        if not rows:
            raise DraftNotFoundError(draft_id)
        draft = to_draft(rows[0], conversation_id)
        if not rows[0]["is_written"]:
            draft.check_write(epoch, seq, chunks, at, limits)
        return draft

    async def end(
        self,
        draft: Draft,
        status: DraftStatus,
        at: datetime,
        message: NewMessage | None,
        *,
        place: Place | None,
    ) -> EndedDraft | None:
        known = {
            **_key(draft),
            "number": draft.number,
            "epoch": draft.epoch,
            "next_chunk": draft.next,
            "status": status.value,
            "ended_at": at,
        }
        if message is None:
            rows = await self._engine.fetch(END_EMPTY, **known)
            return _to_ended(rows[0], draft) if rows else None
        values = known | message_values(message)
        values |= place_values(draft.user_id, draft.conversation_id, 1, 1, at)
        try:
            if place is None:
                rows = await self._engine.fetch(END_DRAFT, **values)
            else:
                rows = await self._end_placed(draft, place, at, values)
        except asyncpg.UniqueViolationError as error:
            raise MessageIdTakenError(message.id or draft.message_id) from error
        return _to_ended(rows[0], draft, message, at) if rows else None

    async def _end_placed(
        self, draft: Draft, place: Place, at: datetime, values: dict[str, Any]
    ) -> list[Row]:
        for attempt in range(TRIES):
            try:
                read, tree = await self._branches.find_place(
                    draft.user_id, draft.conversation_id, place, at
                )
            except ConversationNotFoundError:
                return []
            rows = await self._engine.fetch(
                END_DRAFT_PLACED, **values, **read.saved_by_append(tree)
            )
            if rows or not await self._is_unchanged(draft):
                return rows
            await pause(attempt)
        raise crowded()

    async def _is_unchanged(self, draft: Draft) -> bool:
        try:
            now = await self.get(draft.user_id, draft.conversation_id, draft.id)
        except DraftNotFoundError:
            return False
        return now.is_active and (now.epoch, now.next) == (draft.epoch, draft.next)

    async def get(
        self, user_id: UserId, conversation_id: ConversationId, draft_id: DraftId
    ) -> Draft:
        rows = await self._engine.fetch(
            GET, user_id=user_id, conversation_id=conversation_id, id=draft_id
        )
        if not rows:
            raise DraftNotFoundError(draft_id)
        return to_draft(rows[0], conversation_id)

    async def latest(
        self, user_id: UserId, conversation_id: ConversationId, *, limit: int
    ) -> Sequence[Draft]:
        rows = await self._engine.fetch(
            LATEST, user_id=user_id, conversation_id=conversation_id, limit=limit
        )
        if not rows:
            raise ConversationNotFoundError(conversation_id)
        return [to_draft(row, conversation_id) for row in rows if row["number"] is not None]

    async def chunks(
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        number: Position,
        *,
        after: int = 0,
        max_bytes: int = NO_BOUND,
    ) -> Sequence[Chunk]:
        rows = await self._engine.fetch(
            CHUNKS,
            user_id=user_id,
            conversation_id=conversation_id,
            number=number,
            after=after,
            max_bytes=max_bytes,
        )
        return [
            Chunk(seq, from_text(text))
            for row in rows
            for seq, text in enumerate(row["chunks"], row["seq"] - len(row["chunks"]) + 1)
            if seq > after
        ]

    async def overdue(self, at: datetime, *, limit: int) -> Sequence[Draft]:
        rows = await self._engine.fetch(OVERDUE, at=at, limit=limit)
        return [to_draft(row) for row in rows]

    async def forget(self, before: datetime, *, limit: int) -> int:
        values = {"before": before, "limit": limit}
        rows = await fetch_at_once(self._engine, FORGET, values)
        if rows is None:
            rows = await self._engine.fetch(FORGET_WAITING, **values)
        return len(rows)


def _key(draft: Draft) -> dict[str, Any]:
    return {"user_id": draft.user_id, "conversation_id": draft.conversation_id}


def _to_ended(
    row: Row, draft: Draft, message: NewMessage | None = None, at: datetime | None = None
) -> EndedDraft:
    stored = None
    if message is not None and at is not None:
        stored = message.to_message(draft.conversation_id, Position(row["first"]), at)
    ended = to_draft(row, draft.conversation_id)
    return EndedDraft(ended, stored, row["message_count"], row["revision"], row["branch"])


def to_draft(row: Row, within: ConversationId | None = None) -> Draft:
    """Return the draft of a row; `within` is the id of its conversation as the caller gave it."""
    conversation_id = ConversationId(row["conversation_id"]) if within is None else within
    return Draft(
        id=DraftId(with_text(row["id"], row["text_id"])),
        user_id=UserId(row["user_id"]),
        conversation_id=conversation_id,
        message_id=MessageId(with_text(row["message_id"], row["message_text_id"])),
        started_at=row["started_at"],
        progress_at=row["progress_at"],
        ends_by=row["ends_by"],
        lease=row["lease"],
        number=Position(row["number"]),
        epoch=row["epoch"],
        status=_STATUSES[row["status"]],
        place=None if row["place"] is None else _place(row["place"], conversation_id),
        format=row["format"],
        metadata=from_jsonb(row["metadata"]),
        next=row["next_chunk"],
        bytes=row["bytes"],
        chars=row["chars"],
        ended_at=row["ended_at"],
        position=None if row["position"] is None else Position(row["position"]),
    )


def _place_text(place: Place | None) -> str | None:
    """Return a place as the column `place` has it: JSON."""
    if place is None:
        return None
    if isinstance(place, AtTip):
        return json.dumps({"branch": place.branch})
    return to_text(
        json.dumps({"after": None if place.message_id is None else str(place.message_id)})
    )


def _place(document: str, conversation_id: ConversationId) -> Place:
    place = json.loads(from_text(document))
    if "branch" in place:
        return AtTip(BranchNumber(place["branch"]))
    if place["after"] is None:
        return After(None)
    return After(of_conversation(conversation_id, parse_id(place["after"])))
