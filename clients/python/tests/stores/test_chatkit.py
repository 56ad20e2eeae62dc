"""ChatkeepStore keeps what ChatKit's server gives it, as the interface of stores says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta, timezone
from itertools import count
from typing import Any, cast

import pytest
from chatkit.server import ChatKitServer, StreamingResult
from chatkit.store import NotFoundError
from chatkit.types import (
    ActiveStatus,
    AssistantMessageContent,
    AssistantMessageItem,
    ClientToolCallItem,
    FileAttachment,
    HiddenContextItem,
    ImageAttachment,
    InferenceOptions,
    LockedStatus,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    UserMessageTextContent,
    WidgetItem,
)
from chatkit.widgets import Card, Text
from pydantic import AnyUrl

from chatkeep_client import AsyncChatkeep, errors
from chatkeep_client.chatkit import ChatkeepStore
from chatkeep_client.testing import MemoryService

_numbers = count()
NOW = datetime(2026, 11, 28, 9, 30, 0, 123456)  # noqa: DTZ001 - as ChatKit's own times


@pytest.fixture
async def client(service: MemoryService) -> AsyncIterator[AsyncChatkeep]:
    async with service.async_client() as client:
        yield client


@pytest.fixture
def number() -> int:
    return next(_numbers)


@pytest.fixture
def store(client: AsyncChatkeep, number: int) -> ChatkeepStore[str]:
    return ChatkeepStore(client, user=lambda context: f"{context} {number}")


@pytest.fixture
def mine(client: AsyncChatkeep, number: int) -> AsyncChatkeep:
    return client.as_user(f"alice {number}")


def thread(thread_id: str = "t", **fields: Any) -> ThreadMetadata:
    return ThreadMetadata(id=thread_id, **{"created_at": NOW, "title": "Lunch", **fields})


def said(item_id: str, text: str) -> UserMessageItem:
    return UserMessageItem(
        id=item_id,
        thread_id="t",
        created_at=NOW,
        content=[UserMessageTextContent(text=text)],
        inference_options=InferenceOptions(),
    )


def answer(item_id: str, text: str) -> AssistantMessageItem:
    content = [AssistantMessageContent(text=text)]
    return AssistantMessageItem(id=item_id, thread_id="t", created_at=NOW, content=content)


ITEMS: list[ThreadItem] = [
    said("msg_9", "Is there soup?\x00 🍲"),
    HiddenContextItem(id="h", thread_id="t", created_at=NOW, content={"day": [1, None]}),
    ClientToolCallItem(
        id="tc", thread_id="t", created_at=NOW, call_id="c", name="menu", arguments={"day": 1}
    ),
    WidgetItem(id="w", thread_id="t", created_at=NOW, widget=Card(children=[Text(value="Soup")])),
    answer("msg_1", "long " * 5_000),
    answer("empty", ""),
]


async def ids(
    store: ChatkeepStore[str], after: str | None, limit: int, order: str
) -> tuple[list[str], bool, str | None]:
    page = await store.load_thread_items("t", after, limit, order, "alice")
    return [item.id for item in page.data], page.has_more, page.after


async def test_threads_come_back_as_they_were_saved(store: ChatkeepStore[str]) -> None:
    for wanted in (
        thread(metadata={"a": {"b": [1, 0.5, None]}}),
        thread(title=None, status=LockedStatus(reason="Closed")),
        thread(title="x" * 500, status=ActiveStatus(), allowed_image_domains=["example.com"]),
        thread(created_at=NOW.replace(tzinfo=timezone.utc)),
    ):
        for _ in range(2):
            await store.save_thread(wanted, "alice")
            assert await store.load_thread("t", "alice") == wanted
    with pytest.raises(NotFoundError):
        await store.load_thread("t", "bob")


async def test_items_come_back_as_they_were_added(store: ChatkeepStore[str]) -> None:
    await store.save_thread(thread(), "alice")
    for item in ITEMS:
        await store.add_thread_item("t", item, "alice")
        assert await store.load_item("t", item.id, "alice") == item
    assert (await store.load_thread_items("t", None, 20, "asc", "alice")).data == ITEMS
    assert (await store.load_thread_items("t", None, 20, "desc", "alice")).data == ITEMS[::-1]
    for wrong in (("t", "msg_9", "bob"), ("t", "absent", "alice"), ("absent", "msg_9", "alice")):
        with pytest.raises(NotFoundError):
            await store.load_item(*wrong)
    assert (await store.load_thread_items("t", None, 20, "asc", "bob")).data == []


async def test_items_come_in_pages(store: ChatkeepStore[str]) -> None:
    await store.save_thread(thread(), "alice")
    for number in range(5):
        await store.add_thread_item("t", said(f"m{number}", str(number)), "alice")
    assert await ids(store, None, 2, "asc") == (["m0", "m1"], True, "m1")
    assert await ids(store, "m1", 3, "asc") == (["m2", "m3", "m4"], False, None)
    assert await ids(store, "m4", 3, "asc") == ([], False, None)
    assert await ids(store, None, 2, "desc") == (["m4", "m3"], True, "m3")
    assert await ids(store, "m3", 9, "desc") == (["m2", "m1", "m0"], False, None)
    assert await ids(store, None, 0, "asc") == ([], False, None)
    for order in ("asc", "desc"):
        with pytest.raises(NotFoundError):
            await ids(store, "absent", 2, order)


async def test_a_page_has_as_many_items_as_it_should(
    store: ChatkeepStore[str], mine: AsyncChatkeep
) -> None:
    await store.save_thread(thread(), "alice")
    for start in range(0, 240, 80):
        await mine.append_messages(
            "t", [{"role": "user", "content": str(start + n)} for n in range(80)]
        )
    page = await store.load_thread_items("t", None, 230, "asc", "alice")
    assert (len(page.data), page.has_more, page.after) == (230, True, page.data[-1].id)
    rest = await store.load_thread_items("t", page.after, 230, "asc", "alice")
    assert (len(rest.data), rest.has_more) == (10, False)


async def test_a_saved_item_keeps_its_place(store: ChatkeepStore[str]) -> None:
    await store.save_thread(thread(), "alice")
    for item_id in ("a", "b", "c"):
        await store.add_thread_item("t", answer(item_id, ""), "alice")
    for _ in range(2):
        await store.save_item("t", answer("b", "Soup."), "alice")
    assert await store.load_item("t", "b", "alice") == answer("b", "Soup.")
    assert (await ids(store, None, 9, "asc"))[0] == ["a", "b", "c"]
    await store.delete_thread_item("t", "b", "alice")
    await store.delete_thread_item("t", "b", "alice")
    assert (await ids(store, None, 9, "asc"))[0] == ["a", "c"]
    with pytest.raises(NotFoundError):
        await store.save_item("absent", answer("b", "Soup."), "alice")


async def test_threads_come_in_pages_in_the_order_in_which_they_were_saved(
    store: ChatkeepStore[str],
) -> None:
    for number in range(3):
        created = NOW - timedelta(seconds=number)
        await store.save_thread(thread(f"t{number}", created_at=created), "alice")
    await store.save_attachment(FileAttachment(id="f", name="f", mime_type="a/b"), "alice")
    await store.add_thread_item("t0", said("a", "Soup?"), "alice")
    for order, ids in (("asc", ["t0", "t1", "t2"]), ("desc", ["t2", "t1", "t0"])):
        page = await store.load_threads(2, None, order, "alice")
        assert [each.id for each in page.data] == ids[:2]
        assert (page.has_more, page.after) == (True, "t1")
        page = await store.load_threads(2, "t1", order, "alice")
        assert [each.id for each in page.data] == ids[2:]
        assert (page.has_more, page.after) == (False, None)
        assert len((await store.load_threads(3, None, order, "alice")).data) == 3
        with pytest.raises(NotFoundError):
            await store.load_threads(2, "absent", order, "alice")
        assert (await store.load_threads(2, None, order, "bob")).data == []


async def test_a_page_of_the_latest_threads_is_one_request(
    store: ChatkeepStore[str], client: AsyncChatkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        await store.save_thread(thread(f"t{number}"), "alice")
    asked: list[dict[str, Any]] = []
    listed = AsyncChatkeep.list_conversations

    async def counted(self: AsyncChatkeep, **options: Any) -> Any:
        asked.append(options)
        return await listed(self, **options)

    monkeypatch.setattr(AsyncChatkeep, "list_conversations", counted)
    page = await store.load_threads(2, "t3", "desc", "alice")
    assert [each.id for each in page.data] == ["t2", "t1"]
    assert [(each["limit"], each["after"]) for each in asked] == [(3, "t3")]

    async def too_many(self: AsyncChatkeep, **options: Any) -> Any:
        if options["sort"] == "created":
            options["updated_after"] = "no time"  # refused as more than 10,000 are: 422
        return await listed(self, **options)

    monkeypatch.setattr(AsyncChatkeep, "list_conversations", too_many)
    page = await store.load_threads(2, "t3", "desc", "alice")
    assert [each.id for each in page.data] == ["t2", "t1"]


async def test_a_deleted_thread_is_gone(store: ChatkeepStore[str]) -> None:
    await store.save_thread(thread(), "alice")
    await store.add_thread_item("t", ITEMS[0], "alice")
    for _ in range(2):
        await store.delete_thread("t", "alice")
    with pytest.raises(NotFoundError):
        await store.load_thread("t", "alice")
    assert (await store.load_thread_items("t", None, 20, "asc", "alice")).data == []


async def test_attachments_come_back_as_they_were_saved(store: ChatkeepStore[str]) -> None:
    file = FileAttachment(id="f", name="f.txt", mime_type="text/plain", metadata={"a": 1})
    image = ImageAttachment(
        id="i", name="i.png", mime_type="image/png", preview_url=AnyUrl("https://example.com/i")
    )
    for attachment in (file, image, file.model_copy(update={"thread_id": "t"})):
        await store.save_attachment(attachment, "alice")
        assert await store.load_attachment(attachment.id, "alice") == attachment
        with pytest.raises(NotFoundError):
            await store.load_attachment(attachment.id, "bob")
    for _ in range(2):
        await store.delete_attachment("f", "alice")
    with pytest.raises(NotFoundError):
        await store.load_attachment("f", "alice")


async def test_its_threads_are_conversations_like_all(
    store: ChatkeepStore[str], mine: AsyncChatkeep
) -> None:
    await mine.create_conversation(conversation_id="t", title="Old", metadata={"team": "x"})
    assert (await store.load_thread("t", "alice")).title == "Old"
    for role in ("user", "assistant", "system"):
        await mine.append_messages("t", {"role": role, "content": "Hi"})
    native = (await store.load_thread_items("t", None, 9, "asc", "alice")).data
    assert [item.type for item in native] == [
        "user_message",
        "assistant_message",
        "hidden_context_item",
    ]
    await store.save_thread(thread(), "alice")
    await mine.change_conversation("t", title="Renamed")
    assert (await store.load_thread("t", "alice")).title == "Renamed"
    assert (await mine.get_conversation("t")).metadata["team"] == "x"
    await store.add_thread_item("t", said("long", "x" * 3_000), "alice")
    last = (await mine.get_history("t", order="desc")).items[0]
    assert (last.role, last.content) == ("user", "x" * 1_000)


async def test_a_hold_keeps_what_was_said(store: ChatkeepStore[str], mine: AsyncChatkeep) -> None:
    await store.save_thread(thread(), "alice")
    await store.add_thread_item("t", ITEMS[0], "alice")
    await mine.change_conversation("t", retain=True)
    for change in (
        store.delete_thread("t", "alice"),
        store.delete_thread_item("t", "msg_9", "alice"),
        store.save_item("t", said("msg_9", "Other"), "alice"),
    ):
        with pytest.raises(errors.RetainedError):
            await change


async def test_several_writers_lose_nothing(store: ChatkeepStore[str]) -> None:
    await store.save_thread(thread(), "alice")
    await asyncio.gather(
        *(store.add_thread_item("t", said(f"m{n}", str(n)), "alice") for n in range(20)),
        *(store.save_thread(thread(metadata={"n": n}), "alice") for n in range(5)),
    )
    assert sorted((await ids(store, None, 99, "asc"))[0]) == sorted(f"m{n}" for n in range(20))
    assert (await store.load_thread("t", "alice")).metadata["n"] in range(5)


def test_ids_are_not_given_twice(store: ChatkeepStore[str]) -> None:
    made = {store.generate_item_id("message", thread(), "alice") for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(each.startswith("msg_") for each in made)
    assert store.generate_thread_id("alice").startswith("thr_")


class Cook(ChatKitServer[str]):
    """A server that says how many items the thread has."""

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: str
    ) -> AsyncIterator[ThreadStreamEvent]:
        page = await self.store.load_thread_items(thread.id, None, 50, "asc", context)
        its_id = self.store.generate_item_id("message", thread, context)
        item = answer(its_id, f"{len(page.data)} items")
        yield ThreadItemDoneEvent(item=item.model_copy(update={"thread_id": thread.id}))


def asks(kind: str, **params: Any) -> str:
    content = [{"type": "input_text", "text": "Is there soup?"}]
    message = {"content": content, "attachments": [], "inference_options": {}}
    return json.dumps({"type": kind, "params": {"input": message, **params}})


async def test_a_server_keeps_its_threads(store: ChatkeepStore[str]) -> None:
    server = Cook(store)

    async def stream(request: str) -> list[Any]:
        result = await server.process(request, "alice")
        assert isinstance(result, StreamingResult)
        return [json.loads(event.removeprefix(b"data: ")) async for event in result]

    events = await stream(asks("threads.create"))
    [thread_id] = [each["thread"]["id"] for each in events if each["type"] == "thread.created"]
    await stream(asks("threads.add_user_message", thread_id=thread_id))
    found = await store.load_thread_items(thread_id, None, 9, "asc", "alice")
    texts = [cast("Any", item).content[0].text for item in found.data]
    assert texts == ["Is there soup?", "1 items", "Is there soup?", "3 items"]


async def test_the_example_of_the_page_runs(
    service: MemoryService, capsys: pytest.CaptureFixture[str], run_example: Callable[..., None]
) -> None:
    class Context:
        user_id = "alice of ChatKit"

    await asyncio.to_thread(
        run_example,
        "ChatkeepStore",
        URL=service.url,
        KEY=service.service_key,
        MyServer=Cook,
        context=Context(),
        request=asks("threads.create"),
    )
    assert "1 thread" in capsys.readouterr().out
