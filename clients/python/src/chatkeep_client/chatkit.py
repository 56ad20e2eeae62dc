"""Threads of ChatKit, kept by chatkeep. Needs `chatkeep-client[chatkit]`.

    store = ChatkeepStore(AsyncChatkeep(URL, service_key=KEY), user=lambda context: context.user_id)
    server = MyChatKitServer(store)

A thread is the conversation with its id, and an item is a message, so that both are also there for
everything else that reads conversations.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import msgspec
from chatkit.store import NotFoundError, Store, StoreItemType, default_generate_id
from chatkit.types import Attachment, Page, ThreadItem, ThreadMetadata
from pydantic import TypeAdapter

from chatkeep_client import errors
from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._chatkit_items import as_item, as_message
from chatkeep_client._fitting import send_fitting
from chatkeep_client._requests import uuid7
from chatkeep_client.models import Conversation, JsonObject, Order

TContext = TypeVar("TContext")

_THREAD: Final = "chatkit"
_ATTACHMENTS: Final = "chatkit-attachments"
_ATTACHMENT: Final = "chatkit-attachment"
_MOST: Final = 100
_TITLE: Final = 200
_LOST_ANSWERS: Final = 3

_attachments: TypeAdapter[Attachment] = TypeAdapter(Attachment)


class ChatkeepStore(Store[TContext]):
    """Keeps threads, items and what is known of attachments, of the user of each context.

    - `user` returns the id of the user of a context, for a client with a service key. Without it
      all belongs to the client's own user.
    - Items come back exactly. Their text is cut to the service's limits for everything else that
      reads messages. Threads and items are in the order in which they were added, whatever their
      `created_at`.
    - What was appended by others is an item too: messages of a user and of the assistant, and
      hidden context for other roles.
    - Saving and adding are safe to send again: an item is stored once under its id.
    - `load_threads` asks for a page of the latest ones. Oldest first, and beyond 10,000, it reads
      all conversations of the user for each page.
    - The files of attachments are not kept; use an `AttachmentStore` over your object storage.

    What is absent, or belongs to another user, raises ChatKit's `NotFoundError`; deleting it does
    nothing. While a thread is on hold, deleting and changing its items raises `RetainedError`.
    """

    def __init__(
        self, client: AsyncChatkeep, *, user: Callable[[TContext], str] | None = None
    ) -> None:
        self._client = client
        self._user = user

    def generate_thread_id(self, context: TContext) -> str:  # noqa: ARG002 - ChatKit's
        """Return a new id that no other thread will get: ChatKit's own have 32 random bits."""
        return _generate_id("thread")

    def generate_item_id(
        self,
        item_type: StoreItemType,
        thread: ThreadMetadata,  # noqa: ARG002 - ChatKit's
        context: TContext,  # noqa: ARG002 - ChatKit's
    ) -> str:
        """Return a new id that no other item will get."""
        return _generate_id(item_type)

    async def load_thread(self, thread_id: str, context: TContext) -> ThreadMetadata:
        """Return a thread. Raises `NotFoundError`."""
        async with _chatkits_errors():
            return _to_thread(await self._of(context).get_conversation(thread_id))

    async def save_thread(self, thread: ThreadMetadata, context: TContext) -> None:
        """Store a thread, new or changed. Other metadata of its conversation stay."""
        client = self._of(context)
        title = None if thread.title is None else thread.title[:_TITLE]
        written = thread.model_dump(mode="json", exclude={"items"})
        lost = 0
        while True:
            found = await client.get_or_create_conversation(
                thread.id, title=title, metadata={_THREAD: written}
            )
            metadata = {**found.metadata, _THREAD: written}
            if found.created or (found.title == title and found.metadata == metadata):
                return
            try:
                await client.change_conversation(
                    thread.id, title=title, metadata=metadata, expected_revision=found.revision
                )
            except (errors.RevisionConflictError, errors.NotFoundError):
                continue  # something else changed: look again
            except errors.ConnectionFailedError as error:
                lost += 1
                if not error.may_be_done or lost == _LOST_ANSWERS:
                    raise
            else:
                return

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: TContext
    ) -> Page[ThreadMetadata]:
        """Return a page of the user's threads by creation here. Raises `NotFoundError`."""
        if order == "desc":
            # The service refuses to sort more than 10,000 conversations.
            with suppress(errors.InvalidValueError):
                return await self._load_latest_threads(limit, after, context)
        found = [
            each async for each in self._of(context).iter_conversations() if each.id != _ATTACHMENTS
        ]
        found.sort(key=lambda each: (each.created_at, each.id), reverse=order == "desc")
        threads = [_to_thread(each) for each in found]
        start = 0
        if after is not None:
            ids = [thread.id for thread in threads]
            if after not in ids:
                raise NotFoundError(f"There is no thread {after!r} to continue after.")
            start = ids.index(after) + 1
        end = start + max(limit, 0)
        return _page(threads[start:end], has_more=end < len(threads))

    async def _load_latest_threads(
        self, limit: int, after: str | None, context: TContext
    ) -> Page[ThreadMetadata]:
        client = self._of(context)
        threads: list[ThreadMetadata] = []
        cursor: str | None = None
        while len(threads) <= limit:  # one more, to know whether there are more
            async with _chatkits_errors():
                page = await client.list_conversations(
                    sort="created",
                    limit=min(limit + 1, _MOST),
                    cursor=cursor,
                    after=after if cursor is None else None,
                )
            threads += [_to_thread(each) for each in page.items if each.id != _ATTACHMENTS]
            cursor = page.next_cursor
            if cursor is None:
                break
        return _page(threads[: max(limit, 0)], has_more=len(threads) > limit)

    async def delete_thread(self, thread_id: str, context: TContext) -> None:
        """Delete a thread with its items, permanently. Raises `RetainedError`."""
        with suppress(errors.NotFoundError):
            await self._of(context).delete_conversation(thread_id)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: TContext
    ) -> Page[ThreadItem]:
        """Return a page of the items; an empty one if there is no such thread.

        Raises `NotFoundError` if there is no item `after`.
        """
        client = self._of(context)
        way: Order = "desc" if order == "desc" else "asc"
        items: list[ThreadItem] = []
        last, has_more = after, limit > 0
        try:
            while has_more and len(items) < limit:
                page = await client.get_history(
                    thread_id,
                    limit=min(limit - len(items), _MOST),
                    order=way,
                    after=last if way == "asc" else None,
                    before=last if way == "desc" else None,
                    originals=True,
                )
                items += map(as_item, page.items)
                has_more = page.next_cursor is not None
                last = page.items[-1].id if page.items else last
        except errors.NotFoundError as error:
            if last is None:
                return Page()
            raise NotFoundError(f"There is no item {last!r} to continue after.") from error
        return _page(items, has_more=has_more)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        """Store an item at the end, or in the place of the one with its id.

        Raises `NotFoundError` if there is no such thread.
        """
        await self._put(thread_id, item.id, as_message(item), context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: TContext) -> None:
        """Store an item in the place of the one with its id, or at the end.

        Raises `NotFoundError` if there is no such thread.
        """
        await self._put(thread_id, item.id, as_message(item), context)

    async def load_item(self, thread_id: str, item_id: str, context: TContext) -> ThreadItem:
        """Return an item. Raises `NotFoundError`."""
        async with _chatkits_errors():
            return as_item(await self._of(context).get_message(thread_id, item_id, originals=True))

    async def delete_thread_item(self, thread_id: str, item_id: str, context: TContext) -> None:
        """Delete an item, permanently. Raises `RetainedError`."""
        with suppress(errors.NotFoundError):
            await self._of(context).delete_message(thread_id, item_id)

    async def save_attachment(self, attachment: Attachment, context: TContext) -> None:
        """Store what is known of an attachment, new or changed."""
        message: JsonObject = {
            "role": "user",
            "content": attachment.name,
            "format": _ATTACHMENT,
            "original": msgspec.Raw(_attachments.dump_json(attachment)),
        }
        try:
            await self._put(_ATTACHMENTS, attachment.id, message, context)
        except NotFoundError:
            await self._of(context).get_or_create_conversation(
                _ATTACHMENTS, title="Attachments of ChatKit"
            )
            await self._put(_ATTACHMENTS, attachment.id, message, context)

    async def load_attachment(self, attachment_id: str, context: TContext) -> Attachment:
        """Return what is known of an attachment. Raises `NotFoundError`."""
        async with _chatkits_errors():
            message = await self._of(context).get_message(
                _ATTACHMENTS, attachment_id, originals=True
            )
        if message.format != _ATTACHMENT or not isinstance(message.original, msgspec.Raw):
            raise NotFoundError(f"There is no attachment {attachment_id!r}.")
        return _attachments.validate_json(bytes(message.original))

    async def delete_attachment(self, attachment_id: str, context: TContext) -> None:
        """Delete what is known of an attachment; not its file."""
        await self.delete_thread_item(_ATTACHMENTS, attachment_id, context)

    async def _put(
        self, thread_id: str, item_id: str, message: JsonObject, context: TContext
    ) -> None:
        client = self._of(context)
        async with _chatkits_errors():
            await send_fitting(
                [message], lambda sent: client.put_message(thread_id, item_id, sent[0])
            )

    def _of(self, context: TContext) -> AsyncChatkeep:
        return self._client if self._user is None else self._client.as_user(self._user(context))


@asynccontextmanager
async def _chatkits_errors() -> AsyncIterator[None]:
    try:
        yield
    except errors.NotFoundError as error:
        raise NotFoundError(error.detail) from error


def _generate_id(item_type: StoreItemType) -> str:
    prefix = default_generate_id(item_type).partition("_")[0]
    return f"{prefix}_{uuid7().replace('-', '')}"


def _to_thread(conversation: Conversation) -> ThreadMetadata:
    """Return the thread of a conversation, also of one that was not created as a thread."""
    written = conversation.metadata.get(_THREAD)
    if not isinstance(written, dict):
        return ThreadMetadata(
            id=conversation.id, title=conversation.title, created_at=conversation.created_at
        )
    thread = ThreadMetadata.model_validate({**written, "id": conversation.id})
    if (thread.title or "")[:_TITLE] != (conversation.title or ""):
        thread.title = conversation.title  # somebody else renamed it
    return thread


def _page(data: list[Any], *, has_more: bool) -> Page[Any]:
    return Page(data=data, has_more=has_more, after=data[-1].id if has_more and data else None)
