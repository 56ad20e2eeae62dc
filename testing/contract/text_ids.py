"""Text ids: kept as given, unique within a user or a conversation, found by their keys."""

import pytest

from chatkeep.domain.branches import EVERY
from chatkeep.domain.editing import MessagePatch
from chatkeep.domain.errors import (
    ConversationIdTakenError,
    ConversationNotFoundError,
    MessageIdTakenError,
    MessageNotFoundError,
    SuffixDiffersError,
    UserRetainedError,
)
from chatkeep.domain.ids import id_text, of_conversation, of_user, parse_id
from chatkeep.domain.log import Bounds, View, entries_of
from chatkeep.domain.model import (
    Changes,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Order,
    Role,
    UserId,
)
from chatkeep.domain.operations.selftest.builders import (
    ALICE,
    BOB,
    HOUR,
    KEY,
    NOON,
    new_conversation,
    new_message,
)
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After
from chatkeep.testing.builders import contents, new_full_message, new_items, new_messages

TEXTS = {
    "plain": "chat-42",
    "in upper case": "CHAT-42",
    "composed": "é",
    "decomposed": "e\u0301",
    "of a path": "a/b?c#d%2Fe",
    "with spaces": " a  b ",
    "noncharacters": "\ufdd0\ufdd00\ufdd01\ufffe\U0010ffff",
    "of the longest": "🧵" * 255,
    "of SQL": "'; DROP TABLE messages; -- $1 {} :id",
    "of an array": '{"a",NULL,\\"b\\"}',
    "the word NULL": "NULL",
    "that looks like a UUID": "{0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b}",
}
any_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


def conversation_id(text: str, user_id: UserId = ALICE) -> ConversationId:
    return of_user(user_id, parse_id(text))


def message_of(conversation: Conversation, text: str, content: str = "Hello") -> NewMessage:
    return new_message(content, id=of_conversation(conversation.id, parse_id(text)))


def texts(messages: list[Message] | tuple[Message, ...]) -> list[str | None]:
    return [id_text(message.id) for message in messages]


@any_text
async def test_a_text_id_comes_back_as_it_was_given(store: StoreUnderTest, text: str) -> None:
    new = new_conversation(id=conversation_id(text))
    first = message_of(new, text)

    created = await store.create(new, [first, new_message("And?")], provision=True)
    conversation = created.conversation
    await store.append(conversation, message_of(new, f"{text[:254]}2", "one"))
    await store.append(
        conversation,
        message_of(new, f"{text[:254]}3", "two"),
        new_message("plain"),
        message_of(new, f"{text[:254]}4", "three"),
    )

    assert id_text(created.conversation.id) == text
    expected = [text, None, f"{text[:254]}2", f"{text[:254]}3", None, f"{text[:254]}4"]
    history = await store.history(conversation)
    assert texts(history) == expected
    assert {str(each.conversation_id) for each in history} == {text}
    assert texts(await store.history(conversation, order=Order.DESC)) == expected[::-1]
    window = await store.log.window(ALICE, conversation.id, limit=10)
    assert texts(window.tail) == expected
    for message in history:
        found = await store.log.get(ALICE, conversation.id, message.id)
        assert (found, id_text(found.id)) == (message, id_text(message.id))
    for found_conversation in (
        await store.reload(conversation),
        *await store.list_conversations(),
        await store.conversations.change(ALICE, conversation.id, Changes(title="T")),
        (await store.conversations.get_or_create(new, provision=True)).conversation,
    ):
        assert id_text(found_conversation.id) == text
    whole = await store.log.page(
        ALICE, conversation.id, Bounds(), view=View.WHOLE, order=Order.ASC, limit=10
    )
    assert texts([each.message for each in whole.items if each.message]) == expected


async def test_an_append_with_a_window_returns_the_texts(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    for messages in (
        [message_of(conversation, "one")],
        [message_of(conversation, "two"), new_message("plain"), message_of(conversation, "three")],
    ):
        for _ in range(2):  # the second time it is a repetition
            appended = await store.log.append(
                ALICE, conversation.id, entries_of(messages), NOON, window=10
            )
            assert texts(appended.messages) == [id_text(each.id) for each in messages]
            assert {str(each.conversation_id) for each in appended.messages} == {"chat"}
            assert appended.window is not None
            assert texts(appended.window.tail) == texts(await store.history(conversation))


async def test_pages_start_and_end_at_text_ids(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    messages = [message_of(conversation, f"m/{n}", f"{n}") for n in range(5)]
    await store.append(conversation, *messages)
    [one, three] = [messages[n].id for n in (1, 3)]
    assert one is not None
    assert three is not None

    assert contents(await store.history(conversation, after=one)) == ["2", "3", "4"]
    assert contents(await store.history(conversation, before=three)) == ["0", "1", "2"]
    assert contents(await store.history(conversation, after=one, before=three)) == ["2"]
    with pytest.raises(MessageNotFoundError) as missing:
        await store.history(conversation, after=of_conversation(conversation.id, parse_id("m/9")))
    assert "no message m/9." in str(missing.value)


async def test_the_same_text_in_two_conversations_is_two_messages(store: StoreUnderTest) -> None:
    one, other = await store.start(), await store.start(id=conversation_id("chat"))

    for conversation, content in ((one, "one"), (other, "other")):
        await store.append(conversation, message_of(conversation, "first", content))

    for conversation, content in ((one, "one"), (other, "other")):
        named = of_conversation(conversation.id, parse_id("first"))
        assert (await store.log.get(ALICE, conversation.id, named)).content == content
    await store.log.delete(ALICE, one.id, of_conversation(one.id, parse_id("first")))
    assert contents(await store.history(other)) == ["other"]


async def test_the_same_texts_of_two_users_are_different_things(store: StoreUnderTest) -> None:
    hers = await store.start(id=conversation_id("chat"))
    his = await store.start(id=conversation_id("chat", BOB), user_id=BOB)
    assert hers.id != his.id
    await store.append(hers, message_of(hers, "first", "hers"))
    await store.append(his, message_of(his, "first", "his"))

    assert contents(await store.history(hers)) == ["hers"]
    assert contents(await store.history(his)) == ["his"]
    for of_alice in (hers.id, ConversationId(parse_id(hers.id.hex))):
        with pytest.raises(ConversationNotFoundError):
            await store.conversations.get(BOB, of_alice)
    await store.users.erase(BOB)
    assert contents(await store.history(hers)) == ["hers"]


async def test_texts_that_differ_in_case_or_normalisation_are_different_ids(
    store: StoreUnderTest,
) -> None:
    given = ["Chat", "chat", "é", "e\u0301", "Å", "\u212b", "a", "a ", " a"]
    for text in given:
        conversation = await store.start(id=conversation_id(text))
        await store.append(conversation, *(message_of(conversation, each, each) for each in given))

    assert sorted(str(each.id) for each in await store.list_conversations()) == sorted(given)
    for text in given:
        found = await store.conversations.get(ALICE, conversation_id(text))
        assert id_text(found.id) == text
        assert texts(await store.history(found)) == contents(await store.history(found)) == given


async def test_a_repetition_is_recognised_and_another_content_is_refused(
    store: StoreUnderTest,
) -> None:
    new = new_conversation(id=conversation_id("chat"))
    first = message_of(new, "first")
    created = await store.create(new, [first], provision=True)
    again = await store.create(new, [first], provision=True)
    assert (again.created, again.messages) == (False, created.messages)
    assert texts(again.messages) == ["first"]

    with pytest.raises(ConversationIdTakenError) as conflict:
        await store.create(new._replace(title="Other"), [first], provision=True)
    assert "conversation chat with" in str(conflict.value)
    with pytest.raises(MessageIdTakenError) as taken:
        await store.append(new, first._replace(content="other"))
    assert "message first with" in str(taken.value)
    with pytest.raises(MessageIdTakenError):
        await store.append(new, new_message("more"), first)
    assert contents(await store.history(new)) == ["Hello"]


async def test_a_key_as_a_uuid_is_not_taken_for_a_repetition_of_its_text(
    store: StoreUnderTest,
) -> None:
    named = new_conversation(id=conversation_id("chat"))
    first = message_of(named, "first")
    assert first.id is not None
    keys = named._replace(id=ConversationId(parse_id(named.id.hex)))
    key_of_first = first._replace(id=MessageId(parse_id(first.id.hex)))
    await store.create(named, [first], provision=True)

    with pytest.raises(ConversationIdTakenError):
        await store.create(keys, [first], provision=True)
    with pytest.raises(ConversationIdTakenError):
        await store.create(named, [key_of_first], provision=True)
    with pytest.raises(MessageIdTakenError):
        await store.append(named, key_of_first)

    await store.conversations.delete(ALICE, named.id)
    await store.create(keys, [key_of_first], provision=True)
    with pytest.raises(ConversationIdTakenError):
        await store.create(named, [first], provision=True)
    with pytest.raises(MessageIdTakenError):
        await store.append(keys, first)


async def test_a_conversation_is_also_found_by_its_key(store: StoreUnderTest) -> None:
    """OpenAI's clients know it by that."""
    conversation = await store.start(new_message("Hello"), id=conversation_id("chat"))
    key = ConversationId(parse_id(conversation.id.hex))

    assert id_text((await store.conversations.get(ALICE, key)).id) == "chat"
    appended = await store.log.append(ALICE, key, entries_of(new_messages("More")), NOON + HOUR)
    assert contents(appended.messages) == ["More"]
    assert contents(await store.history(conversation)) == ["Hello", "More"]


async def test_messages_with_text_ids_are_items_by_their_keys(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    native = message_of(conversation, "first")
    assert native.id is not None
    await store.append(conversation, native)
    [item] = await store.list_items(conversation)
    added = await store.append_items(conversation, *new_items('{"role":"user","content":"x"}'))

    assert item.id == f"msg_{native.id.hex}"
    assert await store.items.get(ALICE, conversation.id, item.id) == item
    assert [each.id for each in await store.list_items(conversation)] == [item.id, added[0].id]
    assert await store.list_items(conversation, after=item.id) == list(added)
    await store.items.delete(ALICE, conversation.id, item.id)
    assert contents(await store.history(conversation)) == ["x"]


async def test_a_message_is_put_and_patched_under_its_text(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    new = message_of(conversation, "first", "one")
    assert new.id is not None

    added = await store.log.put(ALICE, conversation.id, new, NOON)
    again = await store.log.put(ALICE, conversation.id, new, NOON)
    edited = await store.log.put(ALICE, conversation.id, new._replace(content="two"), NOON)
    patched = await store.log.patch(ALICE, conversation.id, new.id, MessagePatch(tokens=7))

    for stored in (added, again, edited, patched):
        assert (str(stored.message.id), str(stored.message.conversation_id)) == ("first", "chat")
    assert [each.created for each in (added, again, edited)] == [True, False, False]
    [message] = await store.history(conversation)
    assert (str(message.id), message.content, message.tokens) == ("first", "two", 7)
    key = new._replace(id=MessageId(parse_id(new.id.hex)))
    with pytest.raises(MessageIdTakenError):
        await store.log.put(ALICE, conversation.id, key, NOON)
    assert await store.history(conversation) == [message]


async def test_the_end_is_truncated_and_replaced_by_texts(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    messages = [message_of(conversation, f"m/{n}", f"{n}") for n in range(4)]
    await store.append(conversation, *messages)
    zero, one, *_, three = [each.id for each in messages if each.id is not None]
    other = message_of(conversation, "other")

    truncated = await store.log.truncate(ALICE, conversation.id, three, keep=False)
    assert (truncated.deleted, truncated.message_count) == (1, 3)
    with pytest.raises(SuffixDiffersError) as refusal:
        await store.log.replace(ALICE, conversation.id, zero, [one], [other], NOON)
    assert [str(each) for each in refusal.value.found] == ["m/1", "m/2"]
    found = [MessageId(each) for each in refusal.value.found]
    with pytest.raises(MessageIdTakenError, match="message m/0 with"):
        await store.log.replace(ALICE, conversation.id, one, found[1:], [messages[0]], NOON)
    replaced = await store.log.replace(
        ALICE, conversation.id, zero, found, [other, messages[1]], NOON
    )
    again = await store.log.replace(ALICE, conversation.id, zero, found, [other, messages[1]], NOON)

    assert texts(replaced.messages) == texts(again.messages) == ["other", "m/1"]
    assert texts(await store.history(conversation)) == ["m/0", "other", "m/1"]


async def test_branches_start_after_texts_and_return_them(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    question = message_of(conversation, "q/1", "question")
    await store.append(conversation, question, message_of(conversation, "a/1", "answer"))
    other = message_of(conversation, "a/2", "other answer")

    for _ in range(2):  # the second time it is there
        appended = await store.log.append(
            ALICE, conversation.id, entries_of([other]), NOON, place=After(question.id), window=5
        )
        assert texts(appended.messages) == ["a/2"]
        assert appended.window is not None
        assert texts(appended.window.tail) == ["q/1", "a/2"]
    with pytest.raises(MessageNotFoundError, match="no message a/9"):
        await store.log.append(
            ALICE,
            conversation.id,
            entries_of(new_messages("lost")),
            NOON,
            place=After(of_conversation(conversation.id, parse_id("a/9"))),
        )
    everything = await store.log.page(
        ALICE,
        conversation.id,
        Bounds(),
        view=View.MESSAGES,
        order=Order.ASC,
        limit=10,
        branch=EVERY,
    )
    assert texts([each.message for each in everything.items if each.message]) == [
        *("q/1", "a/1", "a/2")
    ]
    assert texts(await store.history(conversation)) == ["q/1", "a/2"]


async def test_a_text_id_goes_with_every_other_field_and_with_items(store: StoreUnderTest) -> None:
    conversation = await store.start(id=conversation_id("chat"))
    named = of_conversation(conversation.id, parse_id("full"))
    full = new_full_message()._replace(id=named, created_at=NOON - HOUR)
    answer = new_message("42", Role.TOOL, tool_call_id="call_1", metadata=JsonText('{"a":1}'))
    item = new_items('{"role":"user","content":"sent as an item"}')[0]
    assert item.message is not None
    item = item._replace(
        message=item.message._replace(id=of_conversation(conversation.id, parse_id("item"))),
        item_id=None,
        item=None,
    )
    mixed = [*entries_of([full, answer]), item, *new_items('{"type":"reasoning","summary":[]}')]

    appended = await store.log.append(ALICE, conversation.id, mixed, NOON, key=KEY)
    again = await store.log.append(ALICE, conversation.id, mixed, NOON + HOUR, key=KEY)

    assert [each.position for each in appended.entries] == [each.position for each in again.entries]
    assert texts(await store.history(conversation)) == ["full", None, "item"]
    whole = await store.log.page(
        ALICE, conversation.id, Bounds(), view=View.WHOLE, order=Order.ASC, limit=10
    )
    stored = whole.items[0].message
    assert stored is not None
    assert full.equals(stored)


async def test_a_created_conversation_of_items_keeps_the_texts(store: StoreUnderTest) -> None:
    new = new_conversation(id=conversation_id("chat"))
    entries = [
        *entries_of([message_of(new, "first")]),
        *new_items('{"type":"reasoning","summary":[]}'),
    ]

    created = await store.log.create(new, entries, provision=True)
    again = await store.log.create(new, entries, provision=True)

    assert created.created
    assert not again.created
    assert texts(await store.history(new)) == ["first"]
    assert id_text((await store.reload(new)).id) == "chat"


async def test_an_erasure_names_conversations_on_hold_by_their_texts(
    store: StoreUnderTest,
) -> None:
    text = 'chat "of" a, b [c] \ufdd0'
    await store.create(
        new_conversation(id=conversation_id(text))._replace(retain=True), [], provision=True
    )
    plain = new_conversation()._replace(retain=True)
    await store.create(plain, [], provision=True)

    for call in (store.users.erasable, store.users.erase):
        with pytest.raises(UserRetainedError) as refusal:
            await call(ALICE)
        assert {str(each) for each in refusal.value.conversation_ids} == {text, str(plain.id)}


async def test_a_sweep_takes_conversations_with_text_ids(store: StoreUnderTest) -> None:
    kept = await store.start(id=conversation_id("kept"), at=NOON)
    await store.start(id=conversation_id("idle"), at=NOON - 2 * HOUR)

    idle = await store.sweeps.to_delete(NOON - HOUR, limit=10)
    swept = await store.sweeps.delete(idle, NOON - HOUR)

    assert swept.deleted == 1
    assert await store.list_conversations() == [kept]
