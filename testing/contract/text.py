"""Text and JSON come back exactly as they were given, whatever is in them."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chatkeep.domain.model import Changes, JsonText, Role, same_json
from chatkeep.domain.operations.selftest.builders import ALICE, new_conversation, new_message
from chatkeep.domain.operations.selftest.store import StoreUnderTest
from chatkeep.testing.builders import contents, new_messages, normalize

TEXTS = {
    "empty": "",
    "a space": " ",
    "NUL": "\x00",
    "NULs among text": "\x00a\x00\x00b\x00",
    "a written NUL": "\\u0000 \\x00 \\0 %00",
    "NUL and a written one": "\x00\\u0000\x00\\",
    "control characters": "\x01\x07\x08\t\n\x0b\x0c\r\x1b\x1f\x7f\x80\x9f",
    "line ends": "a\r\nb\rc\n\u2028\u2029\u0085",
    "emoji": "😀👩‍👩‍👧‍👦🏳️‍🌈🇵🇹",
    "astral": "𝔘𐍈𝄞\U0010ffff",
    "noncharacters": "\ufdd0\ufdef\ufffe\uffff\U0001fffe\U0010fffe",
    "noncharacters and NUL": "\ufdd0\x00\ufdd00\ufdd0\ufdd0\x00\ufdd1\uffff\x00",
    "private use and NUL": "\ue000\x00\ue0000\uf8ff\x00\U000f0000",
    "replacement and NUL": "\ufffd\x00\u2400\x00\u0080\x00",
    "a byte order mark": "\ufeffa\ufeff",
    "right to left": "שלום עולם \u202eabc\u202c مرحبا بالعالم",
    "composed and not": "é e\u0301 Å A\u030a \u212b ﬁ",
    "white space around": "  \t a \n ",
    "quotes": "' \" ` '' \\' \\\\ \\\" $$ E'\\n' --; /* */",
    "placeholders": "{} {{}} {0} %s %(a)s $1 :name ? @> ?|",
    "JSON": '{"a": [null, "\\u0000"]}',
    "the word null": "null",
    "an array of Postgres": '{NULL,"a",b}',
}

any_text = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)

surprising = st.text(
    st.one_of(
        st.sampled_from("\x00\\u0{}%$'\"\ufdd0\ufdd1\ue000\ufffd\uffff\U0010ffff"),
        st.characters(exclude_categories=["Cs"]),
    ),
    max_size=30,
)
surprising_json = st.recursive(
    st.none()
    | st.booleans()
    | surprising
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(surprising, inner, max_size=3),
    max_leaves=8,
)


def as_json(value: object) -> JsonText:
    return JsonText(json.dumps(value, ensure_ascii=False))


@any_text
async def test_a_message_comes_back_exactly(store: StoreUnderTest, text: str) -> None:
    conversation = await store.start()
    arguments = as_json({"id": text, "function": {"name": text, "arguments": as_json([text])}})
    new = [
        new_message(text, name=text),
        new_message(text, Role.TOOL, tool_call_id=text),
        new_message(text, Role.ASSISTANT, tool_calls=JsonText(f"[{arguments}]")),
        new_message("metadata", metadata=as_json({text: [text, {text: text}], "": None})),
    ]

    answer = await store.append(conversation, *new)

    found = await store.history(conversation)
    assert contents(found)[:3] == [text] * 3
    for given_, answered, stored in zip(new, answer, found, strict=True):
        assert given_.equals(answered)
        assert given_.equals(stored)
        assert await store.log.get(ALICE, conversation.id, stored.id) == stored
    window = await store.log.window(ALICE, conversation.id, limit=5)
    assert list(window.tail) == found
    repeated = await store.append(conversation, *new)
    assert [normalize(each) for each in repeated] == [normalize(each) for each in answer]


@any_text
async def test_a_conversation_comes_back_exactly(store: StoreUnderTest, text: str) -> None:
    metadata = as_json({text: [text, {text: text}]})
    new = new_conversation(title=text, metadata=metadata)

    created = await store.create(new, [new_message(text, name=text)], provision=True)

    read = await store.reload(new)
    [shown] = await store.list_conversations()
    for conversation in (created.conversation, read, shown):
        assert conversation.title == text
        assert same_json(conversation.metadata, metadata)
    assert contents(await store.history(new)) == contents(created.messages) == [text]
    repeated = await store.create(new, (), provision=True)
    assert (repeated.created, repeated.conversation) == (False, read)


@any_text
async def test_a_change_is_kept_exactly(store: StoreUnderTest, text: str) -> None:
    metadata = as_json({text: text})
    new = new_conversation()

    answer = await store.conversations.get_or_create(new, provision=True)
    changed = await store.conversations.change(
        ALICE, new.id, Changes(title=text, metadata=metadata)
    )

    assert answer.conversation.title is None
    assert changed.title == text
    assert same_json(changed.metadata, metadata)
    assert await store.reload(new) == changed


@pytest.mark.parametrize("character", ["a", "\x00", "\ufdd0", "😀", "\\"])
async def test_a_very_long_message_comes_back_exactly(
    store: StoreUnderTest, character: str
) -> None:
    conversation = await store.start()
    text = character * 200_000

    await store.append(conversation, new_message(text), new_message("and the next"))

    # Compared without pytest, which would take long to explain a difference.
    long, short = contents(await store.history(conversation))
    assert long is not None
    assert len(long) == 200_000
    assert (long == text) is True
    assert short == "and the next"


@pytest.mark.parametrize("character", ["a", "\x00", "\ufdd0", "😀", "\\"])
async def test_titles_names_and_call_ids_may_be_as_long_as_they_are_allowed(
    store: StoreUnderTest, character: str
) -> None:
    new = new_conversation(title=character * 200)
    message = new_message("sunny", Role.TOOL, name=character * 255, tool_call_id=character * 255)

    await store.create(new, [message], provision=True)

    assert (await store.reload(new)).title == new.title
    [stored] = await store.history(new)
    assert message.equals(stored)


async def test_no_content_is_not_empty_content(store: StoreUnderTest) -> None:
    conversation = await store.start()
    calls = JsonText("[]")

    await store.append(
        conversation,
        new_message(None, Role.ASSISTANT, tool_calls=calls),
        new_message("", Role.ASSISTANT, tool_calls=calls),
        new_message("", Role.ASSISTANT, name="", metadata=JsonText('{"": ""}')),
    )

    nothing, empty, named = await store.history(conversation)
    assert (nothing.content, nothing.name, nothing.tool_call_id) == (None, None, None)
    assert empty.content == ""
    assert same_json(empty.tool_calls, calls)
    assert (named.content, named.name, named.tool_calls) == ("", "", None)


async def test_no_title_is_not_an_empty_title(store: StoreUnderTest) -> None:
    without = await store.start()
    empty = new_conversation(title="")
    await store.create(empty, (), provision=True)

    assert (await store.reload(without)).title is None
    assert (await store.reload(empty)).title == ""


@pytest.mark.parametrize(
    "document",
    [
        "{}",
        '{"a": {"b": {"c": [[], {}, [{}]]}}}',
        '{"large": 123456789012345678901234567890, "small": 1e-7, "half": 0.5, "minus": -0.25}',
        '{"exponent": 1.5e300, "beyond a double": 1e5000}',
        '{"true": true, "false": false, "null": null}',
        '{"escapes": "é😀\\u0000\\\\u0000\\\\\\u0000/\\n\\u001f\\"", "\\u0000": "\\u0000"}',
        '{"b": 1, "a": 2, "": 3, " ": 4}',
    ],
)
async def test_json_comes_back_as_the_same_document(store: StoreUnderTest, document: str) -> None:
    metadata = JsonText(document)
    new = new_conversation(metadata=metadata)
    message = new_message(
        "x", Role.ASSISTANT, tool_calls=JsonText(f"[{document}]"), metadata=metadata
    )

    await store.create(new, [message], provision=True)

    assert same_json((await store.reload(new)).metadata, metadata)
    [stored] = await store.history(new)
    assert same_json(stored.metadata, metadata)
    assert same_json(stored.tool_calls, message.tool_calls)


# All examples share the store on purpose: each appends to a new conversation.
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(surprising, min_size=1, max_size=8), document=surprising_json)
async def test_whatever_text_and_json_come_back_exactly(
    store: StoreUnderTest, texts: list[str], document: object
) -> None:
    conversation = await store.start()
    calls = new_message(
        None,
        Role.ASSISTANT,
        tool_calls=as_json([document]),
        metadata=as_json({"document": document}),
    )
    new = [*new_messages(*texts), calls]

    await store.append(conversation, *new)

    found = await store.history(conversation)
    assert contents(found) == [*texts, None]
    assert calls.equals(found[-1])
