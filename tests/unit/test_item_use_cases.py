"""A retry without a key, when the request that it repeats is still under way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from adapters.memory import MemoryItems, MemoryStore
from domain.item_shapes import drafted
from domain.item_use_cases import OpenAIConversations
from domain.items import Item, ItemText, NewItem, RequestKey
from domain.model import EMPTY_OBJECT, ConversationId, Order, Position, UserId
from entrypoints.bootstrap.use_cases import memory_chatkeep
from tests.contract.builders import ALICE

HELLO = ItemText('{"role":"user","content":"Hello"}')
OTHER = ItemText('{"role":"user","content":"Another"}')


@dataclass(frozen=True, slots=True)
class Overtaken(MemoryItems):
    """Stores what others append just before an append that asks to be the next one."""

    others: list[ItemText] = field(default_factory=list)

    async def append(  # noqa: PLR0913 - the port's
        self,
        user_id: UserId,
        conversation_id: ConversationId,
        items: Sequence[NewItem],
        at: datetime,
        *,
        key: RequestKey | None = None,
        last_position: Position | None = None,
    ) -> Sequence[Item] | None:
        if last_position is not None and self.others:
            other = drafted(self.others.pop(), field="items").new(at)
            await MemoryItems.append(self, user_id, conversation_id, [other], at)
        return await MemoryItems.append(
            self, user_id, conversation_id, items, at, key=key, last_position=last_position
        )


async def retried(*others: ItemText) -> list[Item]:
    """Return what is stored after a retry of `HELLO` that others overtake."""
    chatkeep = memory_chatkeep()
    assert isinstance(chatkeep.items, MemoryItems)
    store: MemoryStore = chatkeep.items.store
    openai = OpenAIConversations(replace(chatkeep, items=Overtaken(store, [*others])))
    conversation = await openai.create(ALICE, [], metadata=EMPTY_OBJECT)

    stored = await openai.append(ALICE, conversation.id, [HELLO], is_retry=True)

    page = await openai.list(ALICE, conversation.id, order=Order.ASC)
    assert stored[0] in page.items
    return list(page.items)


async def test_a_retry_that_its_first_attempt_overtakes_is_stored_once() -> None:
    assert len(await retried(HELLO)) == 1


async def test_a_retry_that_others_overtake_is_stored_once() -> None:
    assert len(await retried(OTHER)) == 2
    assert len(await retried(*[OTHER] * 20)) == 6  # after some tries it is appended all the same


async def test_a_retry_of_what_was_never_stored_is_stored() -> None:
    assert len(await retried()) == 1
