"""The scenario of events: a reader who goes on from a mark gets everything once."""

from chatkeep.domain.events import FROM_START, Event, EventKind, Followed, Mark
from chatkeep.domain.model import Conversation
from chatkeep.domain.operations.selftest.builders import new_message
from chatkeep.domain.operations.selftest.checks import expect
from chatkeep.domain.operations.selftest.store import StoreUnderTest

_FEW = 2


async def events(store: StoreUnderTest) -> str:
    """Follow a conversation in small pages, over an edit, a deletion and the end of it."""
    chat = await store.start(*map(new_message, ("a", "b", "c", "d", "e")))
    other = await store.start(new_message("of another conversation"))
    found, mark = await _read_all(store, chat, FROM_START)
    expect(_texts(found) == ["a", "b", "c", "d", "e"], f"from the start came {_texts(found)}")
    found, _ = await _read_all(store, chat, found[2].mark)
    expect(_texts(found) == ["d", "e"], f"behind the third message came {_texts(found)}")
    latest = await store.events.latest(store.user, chat.id)
    for at in (mark, latest):
        expect(not (await _read_all(store, chat, at))[0], "something came behind everything")

    [first, second, *_] = await store.history(chat)
    read = Followed(store.user, chat.id, mark.revision, *mark.unread_draft)
    unread = Followed(store.user, other.id, other.revision + 1, *mark.unread_draft)
    expect({*await store.events.moved([read, unread])} == {unread}, "what has not moved has moved")
    await store.put(chat, new_message("A", id=first.id))
    await store.log.delete(store.user, chat.id, second.id)
    await store.append(chat, new_message("f"))
    expect(read in await store.events.moved([read]), "what has moved has not moved")
    found, _ = await _read_all(store, chat, mark)
    expect(
        [_short(event) for event in found]
        == [
            (EventKind.MESSAGE_CREATED, "f"),
            (EventKind.MESSAGE_UPDATED, "A"),
            (EventKind.MESSAGE_DELETED, str(second.id)),
        ],
        f"after an edit, a deletion and an append came {[_short(event) for event in found]}",
    )
    await store.conversations.delete(store.user, chat.id)
    expect(read in await store.events.moved([read]), "a conversation that is gone has not moved")
    return "a reader got each message, change and deletion once, in order"


async def _read_all(
    store: StoreUnderTest, chat: Conversation, mark: Mark
) -> tuple[list[Event], Mark]:
    """Return the events after a mark, and the mark behind them."""
    found: list[Event] = []
    while True:
        page = await store.events.read(store.user, chat.id, mark, limit=_FEW)
        expect(len(page.events) <= _FEW, "a page has more events than the limit")
        expect(bool(page.events) or not page.more, "a page without events says that others follow")
        found += page.events
        mark = page.mark
        if not page.more:
            return found, mark


def _short(event: Event) -> tuple[EventKind, object]:
    message = event.message
    return event.kind, str(event.message_id) if message is None else message.content


def _texts(found: list[Event]) -> list[object]:
    return [_short(event)[1] for event in found]
