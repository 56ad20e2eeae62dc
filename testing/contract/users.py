"""Users: who is known, what they have stored, and that erasing a user leaves nothing."""

import asyncio

import pytest

from chatkeep.domain.errors import (
    ConversationNotFoundError,
    MessageNotFoundError,
    UserNotProvisionedError,
)
from chatkeep.domain.model import Changes, Status, Usage, UserId
from chatkeep.domain.operations.selftest.builders import ALICE, BOB, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import contents, everything_of, numbered_messages

NOTHING = Usage(user_id=ALICE, conversations=0, active=0, archived=0, messages=0, retained=0)


async def test_a_user_is_new_only_once(store: StoreUnderTest) -> None:
    assert await store.users.add(ALICE)
    assert not await store.users.add(ALICE)


async def test_a_user_added_by_many_at_once_is_new_to_one_of_them(store: StoreUnderTest) -> None:
    new = await asyncio.gather(*(store.users.add(ALICE) for _ in range(8)))

    assert sorted(new) == [False] * 7 + [True]


async def test_adding_a_user_again_leaves_what_they_own(store: StoreUnderTest) -> None:
    await store.start(*numbered_messages(2))
    before = await everything_of(store)

    assert not await store.users.add(ALICE)

    assert await everything_of(store) == before


@pytest.mark.parametrize(
    "user_id",
    [
        "u" * 255,
        "😀" * 255,
        "auth0|5f7c8ec7c33c6c004bbafe82",
        "alice@example.com",
        "https://issuer.example/users/1?a=b&c",
        "' OR '1'='1' --",
        "{} {0} %s $1 \\",
        "מִשְׁתַּמֵּשׁ",
        " ",
        "00000000-0000-0000-0000-000000000000",
    ],
)
async def test_a_user_id_may_be_any_text(store: StoreUnderTest, user_id: str) -> None:
    user = UserId(user_id)

    conversation = await store.start(*numbered_messages(1), user_id=user)

    assert conversation.user_id == user
    assert await store.list_conversations(user) == [conversation]
    assert not await store.users.add(user)
    assert (await store.users.usage(user)).user_id == user
    assert await store.users.erase(user)


async def test_user_ids_that_nearly_match_are_different_users(store: StoreUnderTest) -> None:
    await store.start(user_id=UserId("alice"))

    for other in ("Alice", "alice ", " alice", "alic", "alicé"):
        assert await store.list_conversations(UserId(other)) == []


async def test_an_unknown_user_has_stored_nothing(store: StoreUnderTest) -> None:
    assert await store.users.usage(ALICE) == NOTHING


async def test_a_user_without_conversations_has_stored_nothing(store: StoreUnderTest) -> None:
    await store.users.add(ALICE)

    assert await store.users.usage(ALICE) == NOTHING


async def test_usage_counts_conversations_by_status_and_all_their_messages(
    store: StoreUnderTest,
) -> None:
    first = await store.start(*numbered_messages(3))
    await store.start(*numbered_messages(2))
    await store.start()
    await store.append(first, *numbered_messages(4))
    await store.conversations.change(ALICE, first.id, Changes(status=Status.ARCHIVED))

    assert await store.users.usage(ALICE) == Usage(
        user_id=ALICE, conversations=3, active=2, archived=1, messages=9, retained=0
    )


async def test_usage_counts_no_more_what_was_deleted(store: StoreUnderTest) -> None:
    kept = await store.start(*numbered_messages(3))
    deleted = await store.start(*numbered_messages(5))
    await store.conversations.delete(ALICE, deleted.id)
    await store.log.delete(ALICE, kept.id, (await store.history(kept))[1].id)

    assert await store.users.usage(ALICE) == Usage(
        user_id=ALICE, conversations=1, active=1, archived=0, messages=2, retained=0
    )


async def test_usage_counts_nothing_of_other_users(store: StoreUnderTest) -> None:
    await store.start(*numbered_messages(3), user_id=BOB)
    await store.start(*numbered_messages(1))

    assert await store.users.usage(ALICE) == Usage(
        user_id=ALICE, conversations=1, active=1, archived=0, messages=1, retained=0
    )


async def test_erasing_a_user_takes_everything_they_own(store: StoreUnderTest) -> None:
    message = new_message("remember me")
    conversation = await store.start(message, *numbered_messages(2))
    assert message.id

    assert await store.users.erase(ALICE)

    assert await everything_of(store) == (NOTHING, [])
    with pytest.raises(ConversationNotFoundError):
        await store.conversations.get(ALICE, conversation.id)
    with pytest.raises(ConversationNotFoundError):
        await store.history(conversation)
    with pytest.raises(ConversationNotFoundError):
        await store.append(conversation, new_message("anybody there?"))
    with pytest.raises(MessageNotFoundError):
        await store.log.get(ALICE, conversation.id, message.id)


async def test_erasing_a_user_leaves_the_others(store: StoreUnderTest) -> None:
    await store.start(*numbered_messages(2))
    await store.start(*numbered_messages(3), user_id=BOB)
    before = await everything_of(store, BOB)

    await store.users.erase(ALICE)

    assert await everything_of(store, BOB) == before


async def test_there_is_nothing_to_erase_of_an_unknown_user(store: StoreUnderTest) -> None:
    assert not await store.users.erase(ALICE)


async def test_a_user_is_erased_only_once(store: StoreUnderTest) -> None:
    await store.start()

    assert await store.users.erase(ALICE)
    assert not await store.users.erase(ALICE)


async def test_a_user_who_owns_nothing_can_be_erased(store: StoreUnderTest) -> None:
    await store.users.add(ALICE)

    assert await store.users.erase(ALICE)


async def test_an_erased_user_can_start_anew_with_the_same_ids(store: StoreUnderTest) -> None:
    message = new_message("hello")
    old = await store.start(message, *numbered_messages(2))
    await store.users.erase(ALICE)

    assert await store.users.add(ALICE)
    new = await store.start(message, id=old.id)

    assert new.message_count == 1
    assert contents(await store.history(new)) == ["hello"]


async def test_a_create_may_add_its_user(store: StoreUnderTest) -> None:
    await store.create(new_conversation(), numbered_messages(1), provision=True)

    assert not await store.users.add(ALICE)


async def test_a_get_or_create_may_add_its_user(store: StoreUnderTest) -> None:
    await store.conversations.get_or_create(new_conversation(), provision=True)

    assert not await store.users.add(ALICE)


async def test_a_create_that_may_not_add_its_user_stores_nothing(store: StoreUnderTest) -> None:
    with pytest.raises(UserNotProvisionedError) as refusal:
        await store.create(new_conversation(), numbered_messages(2), provision=False)

    assert refusal.value.user_id == ALICE
    assert await everything_of(store) == (NOTHING, [])
    assert await store.users.add(ALICE)


async def test_a_get_or_create_that_may_not_add_its_user_stores_nothing(
    store: StoreUnderTest,
) -> None:
    with pytest.raises(UserNotProvisionedError) as refusal:
        await store.conversations.get_or_create(new_conversation(), provision=False)

    assert refusal.value.user_id == ALICE
    assert await everything_of(store) == (NOTHING, [])
    assert await store.users.add(ALICE)


async def test_a_known_user_needs_no_provisioning(store: StoreUnderTest) -> None:
    await store.users.add(ALICE)

    created = await store.create(new_conversation(), numbered_messages(2), provision=False)
    other = await store.conversations.get_or_create(new_conversation(), provision=False)

    assert created.created
    assert other.created
    assert (await store.users.usage(ALICE)).conversations == 2
