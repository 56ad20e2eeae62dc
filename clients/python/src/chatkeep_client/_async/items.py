"""Items: a conversation in the form of OpenAI's Conversations API, below /openai/v1."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from chatkeep_client._async.sending import AsyncSender
from chatkeep_client._requests import Request, into, nothing, segment, uuid7
from chatkeep_client.models import ItemPage, JsonObject, Order

_page = into(ItemPage)


def _items(conversation_id: str, *more: str) -> str:
    return "/".join(("/openai/v1/conversations", segment(conversation_id), "items", *more))


class AsyncItems(AsyncSender):
    """The routes of items. A conversation's items and its messages are one log."""

    async def append_items(
        self,
        conversation_id: str,
        items: Sequence[Mapping[str, Any]],
        *,
        idempotency_key: str | None = None,
    ) -> list[JsonObject]:
        """Append items, all or none, and return them as they are stored, with their ids.

        Without an `idempotency_key` it gets one, so that it is safe to send again. Raises
        `NotFoundError`, `LimitExceededError`, `InvalidValueError`, and `ConflictError`.
        """
        request = Request(
            "POST",
            _items(conversation_id),
            _page,
            headers={"Idempotency-Key": idempotency_key or uuid7()},
            body={"items": list(items)},
        )
        return (await self._send(request)).data

    async def list_items(
        self,
        conversation_id: str,
        *,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
    ) -> ItemPage:
        """Return a page of the items, at most 100: latest first, or oldest first.

        `after` is the id of an item; the next page is after `last_id`, if `has_more`. Raises
        `NotFoundError`.
        """
        query = {"limit": limit, "order": order, "after": after}
        return await self._send(Request("GET", _items(conversation_id), _page, query=query))

    async def iter_items(
        self, conversation_id: str, *, order: Order = "asc", page_size: int = 100
    ) -> AsyncIterator[JsonObject]:
        """Yield all items, oldest first, or latest first."""
        after: str | None = None
        while True:
            page = await self.list_items(conversation_id, limit=page_size, order=order, after=after)
            for item in page.data:
                yield item
            if not page.has_more:
                return
            after = page.last_id

    async def delete_item(self, conversation_id: str, item_id: str) -> None:
        """Delete an item, and the message that it belongs to.

        Raises `NotFoundError`, and `RetainedError` while the conversation is on hold.
        """
        path = _items(conversation_id, segment(item_id))
        await self._send(Request("DELETE", path, nothing, if_gone=nothing))
