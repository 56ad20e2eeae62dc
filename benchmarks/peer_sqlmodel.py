"""A typical alternative: FastAPI, SQLModel and asyncpg, in the usual way.

It has a pooled async engine and a session for each request. One transaction checks the owner of the
conversation, and writes the message and the conversation's `updated_at`. It does not check tokens:
`X-User-Id` names the caller.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import Depends, FastAPI, Header, HTTPException
from sqlalchemy import Column, DateTime, ForeignKey, Index, String, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlmodel import Field, SQLModel, select


def now() -> datetime:
    return datetime.now(UTC)


class User(SQLModel, table=True):
    __tablename__ = "users"
    id: str = Field(primary_key=True, max_length=255)


class Conversation(SQLModel, table=True):
    __tablename__ = "conversations"
    __table_args__ = (
        Index("idx_conversations_user_id", "user_id"),
        Index("idx_conversations_updated_at", "updated_at"),
        Index("idx_conversations_user_status", "user_id", "status"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    user_id: str = Field(
        sa_column=Column(String(255), ForeignKey("users.id", ondelete="CASCADE"), nullable=False)
    )
    status: str = Field(default="active", max_length=20)
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))
    updated_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))


class Message(SQLModel, table=True):
    __tablename__ = "messages"
    __table_args__ = (
        Index("idx_messages_conversation_id", "conversation_id"),
        Index("idx_messages_created_at", "created_at"),
        Index("idx_messages_conversation_created", "conversation_id", "created_at"),
    )
    id: UUID = Field(default_factory=uuid4, primary_key=True)
    conversation_id: UUID = Field(
        sa_column=Column(ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False)
    )
    user_id: str = Field(max_length=255)
    role: str = Field(max_length=20)
    content: str = Field(sa_column=Column(Text, nullable=False))
    tool_calls: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSONB))
    created_at: datetime = Field(default_factory=now, sa_type=DateTime(timezone=True))


class NewMessage(SQLModel):
    role: str
    content: str
    tool_calls: list[dict[str, Any]] | None = None


engine = create_async_engine(
    os.environ["DATABASE_URL"], pool_size=10, max_overflow=20, pool_timeout=30, pool_recycle=3600
)
sessions = async_sessionmaker(engine, expire_on_commit=False)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    yield
    await engine.dispose()


async def session() -> AsyncIterator[AsyncSession]:
    async with sessions() as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]
UserId = Annotated[str, Header(alias="X-User-Id")]

app = FastAPI(lifespan=lifespan)


async def get_conversation(conversation_id: UUID, user_id: str, db: AsyncSession) -> Conversation:
    conversation = await db.get(Conversation, conversation_id)
    if conversation is None or conversation.user_id != user_id:
        raise HTTPException(404, "Conversation not found")
    return conversation


@app.get("/conversations")
async def list_conversations(user_id: UserId, db: Session, limit: int = 20) -> list[Conversation]:
    rows = await db.execute(
        select(Conversation)
        .where(Conversation.user_id == user_id)
        .order_by(Conversation.updated_at.desc())
        .limit(limit)
    )
    return list(rows.scalars().all())


@app.post("/conversations/{conversation_id}/messages", status_code=201)
async def append(conversation_id: UUID, new: NewMessage, user_id: UserId, db: Session) -> Message:
    if new.role not in {"user", "assistant"}:
        raise HTTPException(422, "role")
    conversation = await get_conversation(conversation_id, user_id, db)
    message = Message(
        conversation_id=conversation_id,
        user_id=user_id,
        role=new.role,
        content=new.content,
        tool_calls=new.tool_calls,
    )
    db.add(message)
    conversation.updated_at = now()
    await db.commit()
    return message


@app.get("/conversations/{conversation_id}/messages")
async def history(
    conversation_id: UUID, user_id: UserId, db: Session, limit: int = 20
) -> list[Message]:
    await get_conversation(conversation_id, user_id, db)
    rows = await db.execute(
        select(Message)
        .where(Message.conversation_id == conversation_id)
        .order_by(Message.created_at.desc())
        .limit(limit)
    )
    return list(reversed(rows.scalars().all()))
