"""What both clients do, against the service in memory."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from threads import Threads

from chatkeep_client import AsyncChatkeep, Chatkeep, NewMessage, errors
from chatkeep_client.testing import MemoryService


def says(text: str, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"role": role, "content": text, **more}


async def chat_of(alice: AsyncChatkeep, *texts: str) -> tuple[str, list[str]]:
    """Return a new conversation with these messages, and their ids."""
    created = await alice.create_conversation(messages=[says(text) for text in texts])
    return created.id, [each.id for each in created.messages]


async def test_a_conversation_is_created_found_changed_and_deleted(alice: AsyncChatkeep) -> None:
    created = await alice.create_conversation(
        title="Lunch", metadata={"agent": "cook", "rating": 5}, messages=[says("Soup?")]
    )
    assert created.title == "Lunch"
    assert created.metadata == {"agent": "cook", "rating": 5}
    assert [each.content for each in created.messages] == ["Soup?"]
    assert created.revision == 1

    found = await alice.get_conversation(created.id)
    assert found.message_count == 1
    assert found.created_at.tzinfo is not None

    changed = await alice.change_conversation(
        created.id, title=None, status="archived", expected_revision=found.revision
    )
    assert (changed.title, changed.status) == (None, "archived")
    assert changed.revision == found.revision + 1
    with pytest.raises(errors.RevisionConflictError) as conflict:
        await alice.change_conversation(created.id, title="Late", expected_revision=1)
    assert conflict.value.revision == changed.revision

    await alice.delete_conversation(created.id)
    with pytest.raises(errors.NotFoundError):
        await alice.get_conversation(created.id)


async def test_ids_may_be_any_text(alice: AsyncChatkeep) -> None:
    chat, message = "shop/42 +%ü?#", "msg #1/é"
    first = await alice.get_or_create_conversation(chat, title="Order")
    again = await alice.get_or_create_conversation(chat, title="Another")
    assert (first.created, again.created, again.title) == (True, False, "Order")
    assert again.id == chat

    await alice.append_messages(chat, says("Hi", id=message))
    assert (await alice.get_message(chat, message)).id == message
    await alice.append_messages(chat, says("Later"))
    page = await alice.get_history(chat, after=message)
    assert [each.content for each in page.items] == ["Later"]
    for bad in ("", ".", ".."):
        with pytest.raises(ValueError, match="an id cannot be"):
            await alice.get_conversation(bad)


async def test_the_conditions_of_a_put(alice: AsyncChatkeep) -> None:
    with pytest.raises(errors.NotFoundError):
        await alice.get_or_create_conversation("new", expected_revision=1)
    await alice.get_or_create_conversation("new", must_be_new=True)
    with pytest.raises(errors.RevisionConflictError):
        await alice.get_or_create_conversation("new", must_be_new=True)


async def test_conversations_are_listed_and_filtered(alice: AsyncChatkeep) -> None:
    for number in range(5):
        await alice.create_conversation(
            conversation_id=str(number),
            metadata={"even": number % 2 == 0, "number": number, "none": None, "name": "true"},
        )
    page = await alice.list_conversations(limit=2, count=True)
    assert [each.id for each in page.items] == ["4", "3"]
    assert page.count is not None
    assert (page.count.value, page.count.exact) == (5, True)
    rest = await alice.list_conversations(limit=2, cursor=page.next_cursor)
    assert [each.id for each in rest.items] == ["2", "1"]

    async def ids(**filters: Any) -> list[str]:
        return [each.id async for each in alice.iter_conversations(page_size=2, **filters)]

    assert await ids() == ["4", "3", "2", "1", "0"]
    assert await ids(metadata={"even": True, "name": "true"}) == ["4", "2", "0"]
    assert await ids(metadata={"number": 3, "none": None}) == ["3"]
    assert await ids(sort="created", status="active") == ["4", "3", "2", "1", "0"]
    assert await ids(status="archived") == []
    hour = timedelta(hours=1)
    assert await ids(updated_after=datetime.now(timezone.utc) + hour) == []
    assert len(await ids(updated_before=(datetime.now(timezone.utc) + hour).isoformat())) == 5


async def test_an_append_returns_the_messages_and_the_context(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice, "Hi")
    calls = [{"id": "c1", "type": "function", "function": {"name": "menu", "arguments": "{}"}}]
    done = await alice.append_messages(
        chat,
        [
            NewMessage(role="assistant", content=None, tool_calls=calls),
            NewMessage(role="tool", content="soup", tool_call_id="c1", name="menu", tokens=3),
            says("Soup.", "assistant", metadata={"model": "m"}),
        ],
        context=20,
        max_chars=10_000,
        max_tokens=1_000,
    )
    assert [each.role for each in done.messages] == ["assistant", "tool", "assistant"]
    assert done.messages[0].tool_calls == calls
    assert done.messages[1].tokens == 3
    assert done.messages[2].metadata == {"model": "m"}
    assert done.context is not None
    assert [each["role"] for each in done.context.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert done.revision == (await alice.get_conversation(chat)).revision
    assert done.warning is None
    with pytest.raises(errors.RevisionConflictError):
        await alice.append_messages(chat, says("Late"), expected_revision=1)


async def test_an_append_that_is_sent_again_is_stored_once(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice)
    for _ in range(2):
        await alice.append_messages(chat, says("Hi", id="first"))
        await alice.append_messages(chat, says("Ho"), idempotency_key="second")
    assert [each.content async for each in alice.iter_history(chat)] == ["Hi", "Ho"]
    with pytest.raises(errors.IdTakenError):
        await alice.append_messages(chat, says("Other", id="first"))


async def test_the_history_is_read_in_both_directions(alice: AsyncChatkeep) -> None:
    texts = [str(number) for number in range(7)]
    chat, ids = await chat_of(alice, *texts)

    async def contents(**options: Any) -> list[Any]:
        return [each.content async for each in alice.iter_history(chat, page_size=3, **options)]

    assert await contents() == texts
    assert await contents(order="desc") == texts[::-1]
    assert await contents(after=ids[2], before=ids[5]) == ["3", "4"]
    page = await alice.get_history(chat, limit=2, order="desc")
    assert [each.content for each in page.items] == ["6", "5"]
    page = await alice.get_history(chat, limit=2, cursor=page.next_cursor)
    assert [each.content for each in page.items] == ["4", "3"]


async def test_what_is_known_is_not_sent_again(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice, "Hi")
    page = await alice.get_history(chat)
    assert page.revision > 0
    for read in (
        alice.get_history,
        alice.get_context,
        alice.get_conversation,
        alice.list_branches,
    ):
        with pytest.raises(errors.NotModifiedError) as unchanged:
            await read(chat, known_revision=page.revision)
        assert unchanged.value.revision == page.revision
        with pytest.raises(errors.RevisionConflictError):
            await read(chat, expected_revision=page.revision + 1)


async def test_originals_come_back_byte_for_byte(alice: AsyncChatkeep) -> None:
    text = b'{"b":1.0, "a":[1e2,"\\u00fc"]}'
    chat, _ = await chat_of(alice)
    message = NewMessage(
        role="user", content="Hi", id="m", format="ours", original=msgspec.Raw(text)
    )
    await alice.append_messages(chat, message)
    [found] = (await alice.get_history(chat, originals=True)).items
    assert isinstance(found.original, msgspec.Raw)
    assert bytes(found.original) == text
    assert found.format == "ours"
    one = await alice.get_message(chat, "m", originals=True)
    assert isinstance(one.original, msgspec.Raw)
    assert isinstance((await alice.get_message(chat, "m")).original, msgspec.UnsetType)


async def test_ui_messages_keep_their_ids(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice)
    message = {"id": "msg-8", "role": "user", "parts": [{"type": "text", "text": "Hi"}]}
    for _ in range(2):  # the id in the original makes it safe
        await alice.append_messages(chat, {"format": "ai-sdk", "original": message})
    assert (await alice.get_ui_history(chat)).items == [message]
    assert await alice.get_ui_message(chat, "msg-8") == message
    context = await alice.get_context(chat, format="ai-sdk")
    assert context.messages == [message]


async def test_contexts_come_in_the_formats_of_models(alice: AsyncChatkeep) -> None:
    created = await alice.create_conversation(
        messages=[says("Be brief.", "system"), says("Hi"), says("Ho", "assistant")]
    )
    openai = await alice.get_context(created.id)
    assert openai.format == "openai"
    assert [each["role"] for each in openai.messages] == ["system", "user", "assistant"]
    anthropic = await alice.get_context(created.id, format="anthropic", limit=2)
    assert anthropic.system == "Be brief."
    await alice.append_messages(created.id, says("So far: Hi.", starts_context=True, id="sum"))
    shorter = await alice.get_context(created.id, max_tokens=100, max_chars=1_000)
    assert (shorter.starts_at, shorter.replaced) == ("sum", 2)
    assert not shorter.truncated


async def test_messages_are_put_patched_and_deleted(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice)
    new = await alice.put_message(chat, "m", NewMessage(role="assistant", content="So f"))
    assert new.created
    longer = await alice.put_message(
        chat, "m", says("So far", "assistant"), expected_revision=new.revision
    )
    assert not longer.created
    assert longer.edited_at is not None
    assert longer.revision == new.revision + 1
    patched = await alice.patch_message(chat, "m", metadata={"feedback": "up"}, tokens=2)
    assert patched.metadata == {"feedback": "up"}
    cleared = await alice.patch_message(chat, "m", metadata=None, tokens=None)
    assert (cleared.metadata, cleared.tokens) == ({}, None)
    assert await alice.delete_message(chat, "m") == cleared.revision + 1
    with pytest.raises(errors.NotFoundError):
        await alice.delete_message(chat, "m")


async def test_the_end_is_truncated_and_replaced(alice: AsyncChatkeep) -> None:
    chat, ids = await chat_of(alice, "a", "b", "c", "d")
    done = await alice.truncate_messages(chat, after=ids[2])
    assert (done.deleted, done.message_count) == (1, 3)
    done = await alice.truncate_messages(chat, start=ids[2])
    assert (done.deleted, done.message_count) == (1, 2)
    with pytest.raises(errors.SuffixDiffersError) as differs:
        await alice.replace_messages(chat, [says("x")], after=ids[0], expected=[ids[2]])
    assert differs.value.found == (ids[1],)
    replaced = await alice.replace_messages(
        chat, [says("x"), says("y")], after=ids[0], expected=[ids[1]]
    )
    assert (replaced.deleted, replaced.message_count) == (1, 3)
    assert [each.content async for each in alice.iter_history(chat)] == ["a", "x", "y"]
    gone = await alice.replace_messages(
        chat, [], after=None, expected=[ids[0], *(each.id for each in replaced.messages)]
    )
    assert gone.message_count == 0


async def test_branches_are_made_switched_named_and_deleted(alice: AsyncChatkeep) -> None:
    chat, [question, first] = await chat_of(alice, "Soup?", "No.")
    second = await alice.append_messages(chat, says("Yes.", "assistant"), after=question)
    assert second.branch == 1
    siblings = await alice.list_siblings(chat, first)
    assert [(each.id, each.branch) for each in siblings] == [
        (first, 0),
        (second.messages[0].id, 1),
    ]
    page = await alice.list_branches(chat, limit=1)
    assert page.items[0].number == 0
    branches = [each async for each in alice.iter_branches(chat, page_size=1)]
    assert [each.is_current for each in branches] == [False, True]
    assert branches[1].left_at == question

    back = await alice.change_branch(chat, 0, name="shorter", is_current=True)
    assert (back.name, back.is_current) == ("shorter", True)
    tree = [each async for each in alice.iter_history(chat, branch="all", page_size=1)]
    assert [each.parent_id for each in tree] == [None, question, question]
    assert [each.content async for each in alice.iter_history(chat, branch=1)] == ["Soup?", "Yes."]
    assert (await alice.get_context(chat, branch=1)).messages[-1]["content"] == "Yes."
    await alice.append_messages(chat, says("Sure?"), branch=0)
    with pytest.raises(errors.WrongBranchError):
        await alice.delete_branch(chat, 0)
    assert await alice.delete_branch(chat, 1) is not None
    before_all = await alice.append_messages(chat, says("Anew"), after=None)
    assert before_all.branch is not None


async def test_a_fork_is_a_new_conversation(alice: AsyncChatkeep) -> None:
    chat, ids = await chat_of(alice, "a", "b")
    fork = await alice.fork_conversation(chat, at=ids[0], title="Again", metadata={"x": 1})
    assert fork.forked_from is not None
    assert (fork.forked_from.conversation_id, fork.forked_from.message_id) == (chat, ids[0])
    assert (fork.title, fork.metadata, fork.message_count) == ("Again", {"x": 1}, 1)
    whole = await alice.fork_conversation(chat, new_id="mine", branch=0)
    assert (whole.id, whole.message_count) == ("mine", 2)


async def test_the_export_has_every_conversation(alice: AsyncChatkeep) -> None:
    assert [each async for each in alice.export_me()] == []
    for number in range(3):
        await alice.create_conversation(title=str(number), messages=[says("ü" * 500)] * 50)
    lines = [json.loads(line) async for line in alice.export_me()]
    assert {each["title"] for each in lines} == {"0", "1", "2"}
    usage = await alice.get_usage()
    assert (usage.conversations, usage.messages) == (3, 150)
    chat = lines[0]["id"]
    assert (
        json.loads(b"".join([each async for each in alice.export_conversation(chat)])) == lines[0]
    )
    text = b"".join([each async for each in alice.export_conversation(chat, format="markdown")])
    assert text.startswith(f"# {lines[0]['title']}\n".encode())


async def test_the_user_is_erased_unless_something_is_on_hold(alice: AsyncChatkeep) -> None:
    held = await alice.create_conversation(retain=True)
    with pytest.raises(errors.RetainedError):
        await alice.erase_me()
    await alice.change_conversation(held.id, retain=False)
    await alice.erase_me()
    assert (await alice.get_usage()).conversations == 0


async def test_a_service_adds_and_erases_users(service_client: AsyncChatkeep) -> None:
    assert (await service_client.put_user("bob/ü")).created
    again = await service_client.put_user("bob/ü")
    [listed] = (await service_client.list_users(prefix="bob/")).items
    assert (listed.id, listed.conversations.value, listed.latest_activity) == ("bob/ü", 0, None)
    assert (again.id, again.created) == ("bob/ü", False)
    assert (await service_client.list_audit(user="bob/ü", limit=1)).items == []
    assert len((await service_client.get_overview()).days) == 14
    await service_client.erase_user("bob/ü")
    with pytest.raises(errors.NotFoundError):
        await service_client.erase_user("bob/ü")
    assert await service_client.is_live()
    assert await service_client.is_ready()


async def test_what_an_operator_asks_for_is_in_the_audit(
    service: MemoryService, someone: str
) -> None:
    options = {"service_key": service.service_key, "operator": "Jürgen"}
    async with AsyncChatkeep(service.url, **options) as operator:  # type: ignore[arg-type]
        await operator.as_user(someone).list_conversations()
    with Chatkeep(service.url, **options) as operator_in_thread:  # type: ignore[arg-type]
        threads: Any = Threads(operator_in_thread.as_user(someone))
        await threads.get_usage()
    async with service.async_client(someone) as backend:
        await backend.list_conversations()
        lines = (await backend.list_audit(user=someone)).items
    assert [(line.operator, line.action) for line in lines] == [
        ("Jürgen", "getUsage"),
        ("Jürgen", "listConversations"),
    ]


async def test_a_limit_is_an_error_with_its_fields(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice)
    with pytest.raises(errors.LimitExceededError) as over:
        await alice.append_messages(chat, says("x" * 1_001))
    error = over.value
    assert (error.status, error.code) == (422, "limit-exceeded")
    assert (error.field, error.limit, error.actual) == ("content", 1_000, 1_001)
    assert error.setting == "CHATKEEP_MAX_USER_MESSAGE_CHARS"
    assert "the limit is 1000" in str(error)
    with pytest.raises(errors.InvalidValueError) as invalid:
        await alice.append_messages(chat, {"role": "user", "contents": "Hi"})
    assert invalid.value.field == "messages[0].contents"


async def test_one_user_does_not_see_anothers(service: MemoryService) -> None:
    async with service.async_client() as client:
        chat = await client.as_user("one").create_conversation()
        with pytest.raises(errors.NotFoundError):
            await client.as_user("other").get_conversation(chat.id)
        assert client.user is None
    with service.client("one") as one:
        assert one.user == "one"
        assert one.get_conversation(chat.id).id == chat.id


async def test_items_of_openais_api_are_the_same_log(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice, "Hi")
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    stored = await alice.append_items(chat, [reasoning, {"role": "user", "content": "Ho"}])
    assert stored[0] == reasoning
    again = [await alice.append_items(chat, [says("Once")], idempotency_key="k") for _ in "ab"]
    assert again[0] == again[1]
    kinds = [each["type"] async for each in alice.iter_items(chat, page_size=2)]
    assert kinds == ["message", "reasoning", "message", "message"]
    page = await alice.list_items(chat, limit=1)
    assert (page.last_id, page.has_more) == (again[0][0]["id"], True)
    await alice.delete_item(chat, page.last_id)
    assert [each.content async for each in alice.iter_history(chat)] == ["Hi", "Ho"]
    with pytest.raises(errors.NotFoundError):
        await alice.delete_item(chat, page.last_id)
    with pytest.raises(errors.InvalidValueError) as invalid:
        await alice.append_items(chat, [says("x", "robot")])
    assert (invalid.value.field, invalid.value.code) == ("items[0].role", "invalid-value")
    with pytest.raises(errors.IdTakenError):
        await alice.append_items(chat, [says("Other")], idempotency_key="k")


async def test_what_was_said_is_found(alice: AsyncChatkeep) -> None:
    chat, ids = await chat_of(alice, "Is there soup?", "No soup today.", "Salad?")
    page = await alice.search("soup", limit=1)
    assert [each.message_id for each in page.items] == [ids[1]]
    [(start, end)] = page.items[0].highlights
    assert page.items[0].snippet[start:end] == "soup"
    assert page.query.written == "soup"
    hits = [each async for each in alice.iter_search("soup", page_size=1)]
    assert [(each.conversation_id, each.role) for each in hits] == [(chat, "user")] * 2
    grouped = [each async for each in alice.iter_search("soup", group="conversation")]
    assert len(grouped) == 1
    await alice.append_items(chat, [{"type": "reasoning", "id": "rs_1", "summary": ["Leek?"]}])
    [item] = (await alice.search("leek")).items
    assert (item.kind, item.item_id, item.item_type) == ("item", "rs_1", "reasoning")
    around = await alice.get_history(chat, around=item.item_id, limit=4)
    assert [each.id for each in around.items] == ids[1:]


async def test_a_draft_is_written_read_and_finished(alice: AsyncChatkeep) -> None:
    chat, _ = await chat_of(alice, "Soup?")
    started = await alice.start_draft(chat, draft_id="answer", metadata={"model": "m"}, lease=30)
    with pytest.raises(errors.DraftActiveError) as active:
        await alice.start_draft(chat)
    assert active.value.draft is not None
    assert active.value.draft.id == "answer"
    for _ in range(2):  # it may be sent again
        written = await alice.write_chunks(chat, "answer", ["Soup, ", "or"], epoch=1, seq=1)
    assert (started.next, written.next) == (1, 3)
    with pytest.raises(errors.DraftGapError) as gap:
        await alice.write_chunks(chat, "answer", ["x"], epoch=1, seq=5)
    assert gap.value.draft is not None
    assert gap.value.draft.next == 3
    page = await alice.get_draft(chat, "answer", after=1)
    assert (page.text, page.last, page.more) == ("or", 2, False)
    ended = await alice.finish_draft(chat, "answer", epoch=1)
    assert ended.message is not None
    assert (ended.message.id, ended.message.content) == ("answer", "Soup, or")
    assert [each.status for each in await alice.list_drafts(chat)] == ["finished"]
    with pytest.raises(errors.DraftEndedError):
        await alice.write_chunks(chat, "answer", ["x"], epoch=1, seq=3)
    await alice.start_draft(chat, draft_id="other")
    cancelled = await alice.cancel_draft(chat, "other", keep=False)
    assert cancelled.message is None


async def test_a_block_writes_a_draft(service: MemoryService) -> None:
    async with service.async_client("writer") as bob:
        chat, _ = await chat_of(bob, "Soup?")
        async with bob.draft(chat, message_id="m") as draft:
            for piece in ("Soup ", "or ", "salad."):
                await draft.write(piece)
        assert draft.message is not None
        assert (draft.message.id, draft.message.content) == ("m", "Soup or salad.")

        async def break_off() -> None:
            async with bob.draft(chat) as draft:
                await draft.write("Half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await break_off()
        last = (await bob.get_history(chat, order="desc", limit=1)).items[0]
        assert last.content == "Half"
        assert last.metadata["chatkeep.interrupted"] == "cancelled"

        async def write_on() -> None:
            async with bob.draft(chat) as draft:
                await bob.cancel_draft(chat, draft.draft.id)
                await draft.write("x" * 5_000)

        with pytest.raises(errors.DraftEndedError):
            await write_on()

    with service.client("writer") as carl:
        with carl.draft(chat) as other:
            other.write("Whole")
            other.finish({"role": "assistant", "content": "The whole.", "tokens": 3})
        assert carl.get_history(chat, order="desc", limit=1).items[0].tokens == 3
