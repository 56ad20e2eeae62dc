"""Windows have the originals of the formats of `NEED_ORIGINALS`, and of no others."""

import json

import pytest

from chatkeep.domain.log import entries_of
from chatkeep.domain.model import NewMessage, OriginalText, Role
from chatkeep.domain.operations.selftest.builders import ALICE, NOON, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.domain.places import After
from chatkeep.domain.window import NEED_ORIGINALS

KB = 1_000
needed = pytest.mark.parametrize("form", sorted(NEED_ORIGINALS))


def sent(
    form: str, content: str = "hello", role: Role = Role.USER, *, chars: int = 1
) -> NewMessage:
    original = OriginalText(json.dumps({"text": "é\x00" * chars}, ensure_ascii=False))
    return new_message(content, role)._replace(format=form, original=original)


@needed
async def test_a_window_has_the_originals_that_a_context_needs(
    store: StoreUnderTest, form: str
) -> None:
    opening = sent(form, "Be kind.", Role.SYSTEM)
    given = [opening, sent("notes"), sent(form), new_message("plain"), sent(form, "last")]
    conversation = await store.start(*given)

    window = await store.log.window(ALICE, conversation.id, limit=2)
    whole = await store.log.window(ALICE, conversation.id, limit=10)

    assert [each.original for each in (*window.head, *window.tail)] == [
        opening.original,
        None,
        given[-1].original,
    ]
    assert [each.original for each in whole.tail] == [
        each.original if each.format == form else None for each in given
    ]


@needed
@pytest.mark.parametrize("count", [1, 2])
async def test_so_has_that_of_an_append(store: StoreUnderTest, form: str, count: int) -> None:
    conversation = await store.start(sent(form, "Be kind.", Role.SYSTEM), sent(form), sent("notes"))
    batch = [sent(form) for _ in range(count)]

    appended = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=3)
    again = await store.log.append(ALICE, conversation.id, entries_of(batch), NOON, window=3)

    assert appended.window is not None
    originals = [each.original for each in appended.window.tail]
    assert originals[-count:] == [each.original for each in batch]
    assert appended.window == again.window
    assert appended.window == await store.log.window(ALICE, conversation.id, limit=3)


@needed
async def test_they_count_as_bytes_of_the_window(store: StoreUnderTest, form: str) -> None:
    large = [sent(form, str(number), chars=2 * KB) for number in range(4)]
    conversation = await store.start(*large)

    for max_bytes, expected in ((1, 1), (70 * KB, 2), (200 * KB, 4)):
        window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=max_bytes)
        assert [each.original for each in window.tail] == [
            each.original for each in large[-expected:]
        ]


@needed
async def test_they_count_in_that_of_an_append(store: StoreUnderTest, form: str) -> None:
    conversation = await store.start(new_message("before"))
    large = [sent(form, str(number), chars=20 * KB) for number in range(2)]

    appended = await store.log.append(
        ALICE, conversation.id, entries_of(large), NOON, window=10, max_bytes=10 * KB
    )

    assert appended.window is not None
    assert [each.content for each in appended.window.tail] == ["1"]
    window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=10 * KB)
    assert appended.window == window


async def test_others_do_not_count(store: StoreUnderTest) -> None:
    conversation = await store.start(*(sent("notes", chars=2 * KB) for _ in range(4)))

    window = await store.log.window(ALICE, conversation.id, limit=10, max_bytes=5 * KB)

    assert [each.original for each in window.tail] == [None] * 4


@needed
async def test_so_has_that_of_another_branch(store: StoreUnderTest, form: str) -> None:
    given = [sent(form, "Be kind.", Role.SYSTEM), sent(form, "question"), sent(form, "answer")]
    conversation = await store.start(*given)
    _, question, _ = await store.history(conversation)
    again = sent(form, "another answer")

    appended = await store.log.append(
        ALICE, conversation.id, entries_of([again]), NOON, window=2, place=After(question.id)
    )

    window = await store.log.window(ALICE, conversation.id, limit=2)
    assert [each.original for each in (*window.head, *window.tail)] == [
        *(given[0].original, given[1].original),
        again.original,
    ]
    assert appended.window == window
