"""Sessions of the OpenAI Agents SDK, kept by chatkeep. Needs `chatkeep-client[openai-agents]`.

    session = ChatkeepSession("chat-42", AsyncChatkeep(URL, token=TOKEN))
    await Runner.run(agent, "Is there soup?", session=session)

The items of a session are those of the conversation with the same id, so that its messages are also
there for everything else that reads the conversation.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, cast

from agents.items import TResponseInputItem
from agents.memory import SessionSettings
from agents.memory.session_settings import coerce_session_settings, resolve_session_limit

from chatkeep_client._async.client import AsyncChatkeep
from chatkeep_client._requests import uuid7
from chatkeep_client.errors import NotFoundError, SuffixDiffersError
from chatkeep_client.models import JsonObject

_PAGE: Final = 100

# The service completes items as OpenAI does. An item without an id gets one here that says what it
# had not, so that it is returned as it was added: a hexadecimal digit and a UUID.
_HAD_NO_TYPE: Final = 1
_HAD_NO_STATUS: Final = 2
_HAD_TEXT: Final = 4
_HAD_FAKE_ID: Final = 8
_FAKE_ID: Final = "__fake_id__"
_MADE_ID: Final = re.compile(r"[a-z]+_([0-9a-f]?)([0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15})")
_PREFIXES: Final = {
    "message": "msg",
    "function_call": "fc",
    "function_call_output": "fco",
    "reasoning": "rs",
    "compaction": "cmp",
}


class ChatkeepSession:
    """A session whose items are those of the conversation `session_id`, of the client's user.

    - `add_items` stores all items or none, once, however often it must be sent; up to the service's
      `CHATKEEP_MAX_ITEMS` (1,000) at once. The conversation is created if it does not exist.
    - `get_items` returns items as they were added, except for members that OpenAI's API requires in
      an answer and that the service fills in, such as `annotations`. `limit` counts items.
    - `clear_session` keeps the conversation itself, with its title and metadata.

    Errors are those of `chatkeep_client.errors`. While the conversation is on hold, `pop_item` and
    `clear_session` raise `RetainedError`.
    """

    def __init__(
        self,
        session_id: str,
        client: AsyncChatkeep,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings: SessionSettings | None = (
            SessionSettings()
            if session_settings is None
            else coerce_session_settings(session_settings)
        )
        self._client = client

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the latest `limit` items, or all, oldest first; none for a new session."""
        most = resolve_session_limit(limit, self.session_settings)
        if most is not None and most >= 0:
            return (await self._latest(most))[::-1]
        try:
            return [_as_added(item) async for item in self._client.iter_items(self.session_id)]
        except NotFoundError:
            return []

    async def _latest(self, most: int) -> list[TResponseInputItem]:
        found: list[TResponseInputItem] = []
        after: str | None = None
        while len(found) < most:
            try:
                page = await self._client.list_items(
                    self.session_id, limit=min(most - len(found), _PAGE), after=after
                )
            except NotFoundError:
                break
            found += map(_as_added, page.data)
            if not page.has_more:
                break
            after = page.last_id
        return found

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Store the items at the end, all or none."""
        if not items:
            return
        sent, key = [_to_add(cast("JsonObject", item)) for item in items], uuid7()
        try:
            await self._client.append_items(self.session_id, sent, idempotency_key=key)
        except NotFoundError:
            await self._client.get_or_create_conversation(self.session_id)
            await self._client.append_items(self.session_id, sent, idempotency_key=key)

    async def pop_item(self) -> TResponseInputItem | None:
        """Delete the latest item and return it; None if there is none.

        Of several who pop at the same time each gets another item.
        """
        while True:
            try:
                page = await self._client.list_items(self.session_id, limit=1)
            except NotFoundError:
                return None
            if not page.data:
                return None
            with suppress(NotFoundError):  # another one was faster
                await self._client.delete_item(self.session_id, page.last_id)
                return _as_added(page.data[0])

    async def clear_session(self) -> None:
        """Delete all items."""
        expected: tuple[str, ...] | None = ()
        while expected is not None:
            expected = await self._clear(expected)

    async def _clear(self, expected: tuple[str, ...]) -> tuple[str, ...] | None:
        """Delete these messages; return those that are there if they are others or more."""
        try:
            await self._client.replace_messages(self.session_id, [], after=None, expected=expected)
        except SuffixDiffersError as error:
            return error.found
        except NotFoundError:
            pass
        return None


def _to_add(item: Mapping[str, Any]) -> JsonObject:
    """Return the item with an id, if it has none."""
    given = item.get("id")
    if given not in {None, "", _FAKE_ID}:
        return dict(item)
    kind = item.get("type") or "message"
    flags = (
        _HAD_NO_TYPE * ("type" not in item)
        | _HAD_NO_STATUS * ("status" not in item)
        | _HAD_TEXT * isinstance(item.get("content"), str)
        | _HAD_FAKE_ID * (given == _FAKE_ID)
    )
    prefix = _PREFIXES.get(kind, "item")
    return {**item, "id": f"{prefix}_{flags:x}{uuid7().replace('-', '')}"}


def _as_added(item: JsonObject) -> TResponseInputItem:
    """Return the item without what was not there when it was added."""
    found = _MADE_ID.fullmatch(str(item.get("id")))
    if found is not None:
        item = {key: value for key, value in item.items() if key != "id"}
        flags = int(found[1] or "0", 16)
        if flags & _HAD_FAKE_ID:
            item["id"] = _FAKE_ID
        if flags & _HAD_NO_TYPE:
            item.pop("type", None)
        if flags & _HAD_NO_STATUS:
            item.pop("status", None)
        if flags & _HAD_TEXT and isinstance(item.get("content"), list):
            item["content"] = "".join(part.get("text", "") for part in item["content"])
    return cast("TResponseInputItem", item)
