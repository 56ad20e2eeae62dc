"""Each codec in the table of formats keeps the same promises: a new one is held to them at once."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chatkeep.domain.context import calls, select
from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.openai_items import ItemWriter, parse_item
from chatkeep.domain.formats.table import (
    CONTEXTS,
    READERS,
    WRITERS,
    FileFormat,
    Format,
    read_any,
)
from chatkeep.domain.items import ItemText
from chatkeep.domain.json_fields import is_unicode
from chatkeep.domain.log import Entry
from chatkeep.domain.model import (
    AUTHORED,
    Conversation,
    ConversationId,
    JsonText,
    Message,
    MessageId,
    NewMessage,
    Position,
    Role,
    Status,
    UserId,
)
from chatkeep.domain.parts import text_of
from chatkeep.entrypoints.formats.decoding import decode
from chatkeep.entrypoints.formats.json_lines import JsonLines
from tests.unit.histories import histories, limits, window
from tests.unit.part_lists import EVERY_KIND
from tests.unit.ui_messages import STATES

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = ConversationId(UUID(int=7))

TEXTS = st.text(max_size=12)
IDS = TEXTS.filter(bool)
OBJECTS = st.dictionaries(TEXTS, st.none() | st.booleans() | st.integers() | TEXTS, max_size=2)
FUNCTION_CALLS = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": IDS, "arguments": TEXTS}),
    }
)
CUSTOM_CALLS = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("custom"),
        "custom": st.fixed_dictionaries({"name": IDS, "input": TEXTS}),
    }
)


def as_text(value: object) -> JsonText:
    return JsonText(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


CALLS = st.lists(FUNCTION_CALLS | CUSTOM_CALLS, min_size=1, max_size=2).map(as_text)
ROLES = st.sampled_from(Role)
SAID = st.fixed_dictionaries({"role": ROLES.filter(lambda role: role != "tool"), "content": TEXTS})
ASKED = st.fixed_dictionaries(
    {"role": st.just(Role.ASSISTANT), "content": st.none() | TEXTS, "tool_calls": CALLS}
)
ANSWERED = st.fixed_dictionaries(
    {"role": st.just(Role.TOOL), "content": TEXTS, "tool_call_id": IDS}
)
EXTRAS: st.SearchStrategy[dict[str, Any]] = st.just({}) | st.fixed_dictionaries(
    {"format": st.sampled_from(["own", "another"])},
    optional={
        "tokens": st.integers(0, 2**31 - 1),
        "starts_context": st.booleans(),
        "edited_at": st.just(NOON),
        "original": OBJECTS.map(lambda value: json.dumps(value, indent=1)),
    },
)
MESSAGES: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda message, name, metadata, extras: {
        **message,
        "name": name,
        "metadata": metadata,
        **extras,
    },
    SAID | SAID | ASKED | ANSWERED,
    st.none() | TEXTS,
    OBJECTS.map(as_text),
    EXTRAS,
)


SHOWN: st.SearchStrategy[dict[str, Any]] = st.builds(
    lambda message, parts: {**message, "content": text_of(parts), "parts": as_text(parts)},
    MESSAGES,
    st.lists(
        st.sampled_from([*EVERY_KIND.values()])
        | TEXTS.map(lambda text: {"type": "text", "text": text})
        | st.builds(lambda more, kind: {**more, "type": kind}, OBJECTS, IDS.map("x{}".format)),
        min_size=1,
        max_size=3,
    ),
)


def entries(messages: Sequence[dict[str, Any]]) -> tuple[Entry, ...]:
    """Return the messages, stored one after the other."""
    stored = [
        NewMessage(**message, id=MessageId(UUID(int=place))).to_message(ID, Position(place), NOON)
        for place, message in enumerate(messages, start=1)
    ]
    return tuple(
        Entry(position=each.position, created_at=NOON, message=each, item=None) for each in stored
    )


def conversation() -> Conversation:
    return Conversation(
        id=ID,
        user_id=UserId("alice"),
        title="A talk",
        status=Status.ARCHIVED,
        metadata=JsonText('{"source":"web"}'),
        message_count=0,
        created_at=NOON,
        updated_at=NOON,
    )


def fields(message: Message | NewMessage, leaves_out: frozenset[str]) -> dict[str, object]:
    names = {*AUTHORED, "id", "edited_at"}
    found = {name: getattr(message, name) for name in names - leaves_out}
    return {
        name: json.loads(value) if value and name in {"tool_calls", "metadata"} else value
        for name, value in found.items()
    }


def is_of_one_part(message: dict[str, Any]) -> bool:
    """Return whether the AI SDK has the same message: no calls, nor the role of developers."""
    return message["role"] is not Role.DEVELOPER and message.keys().isdisjoint(
        {"tool_calls", "tool_call_id", "parts"}
    )


@pytest.mark.parametrize("name", [*WRITERS])
@given(messages=st.lists(MESSAGES | SHOWN, min_size=1, max_size=4))
def test_what_is_written_is_read_again_but_for_what_the_format_leaves_out(
    name: FileFormat, messages: list[dict[str, Any]]
) -> None:
    writer = WRITERS[name]
    if name is FileFormat.AI_SDK:
        messages = list(filter(is_of_one_part, messages))
    written = [each for each in entries(messages) if writer.write([each], json.loads)]
    assume(written)
    piece = Piece(conversation(), entries(messages), is_first=True, is_last=True)

    line = READERS[name].read(decode(JsonLines(writer).write(piece)))

    assert [fields(each, writer.leaves_out) for each in line.messages] == [
        fields(each.message, writer.leaves_out) for each in written if each.message is not None
    ]


def said(messages: Sequence[Message | NewMessage]) -> dict[bool, str]:
    """Return all that was said, without spaces: to the model beforehand, and in the talk."""
    texts = {True: "", False: ""}
    has_begun = False
    for message in messages:
        before = message.role in {Role.SYSTEM, Role.DEVELOPER}
        text = "".join((message.content or "").split())
        has_begun = has_begun or (message.role is Role.USER and text != "")
        if before or has_begun:
            texts[before] += text
    return texts


@pytest.mark.parametrize("form", [*CONTEXTS])
@given(history=histories(), limit=limits)
def test_a_context_is_read_as_what_was_said(
    form: Format, history: tuple[Message, ...], limit: int
) -> None:
    context = select(window(history, limit))
    document = CONTEXTS[form](context, msgspec.Raw)

    line = READERS[FileFormat(form)].read(decode(msgspec.json.encode(document)))

    texts = [each for each in context.messages if form is not Format.AI_SDK or each.role != "tool"]
    assert said(line.messages) == said(texts)


WORDS = (
    *("messages", "role", "content", "tool_calls", "tool_call_id", "name", "metadata", "id"),
    *("created_at", "updated_at", "item", "source", "title", "status", "retain", "type", "text"),
    *("function", "arguments", "custom", "input", "function_call", "tools", "system", "mapping"),
    *("conversations", "from", "value", "message", "parent", "author", "create_time", "parts"),
    *("content_type", "recipient", "channel", "current_node", "conversation_id", "tool_use_id"),
    *("user", "assistant", "tool", "human", "gpt", "observation", "tool_use", "tool_result"),
    *(
        "thoughts",
        "dynamic-tool",
        "step-start",
        "toolCallId",
        "state",
        "output",
        "code",
        "2026-01-01T00:00:00Z",
        str(UUID(int=1)),
        '{"id":"a","type":"b"}',
    ),
)
HOSTILE: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(WORDS) | st.text(st.characters(), max_size=3), inner)
    ),
    max_leaves=30,
)


def shaped(list_name: str, **members: Any) -> st.SearchStrategy[Any]:  # noqa: ANN401 - strategies
    """Draw a document that is nearly one: a list of objects with some of these members."""
    wrong = {name: good | HOSTILE for name, good in members.items()}
    elements = st.lists(st.fixed_dictionaries({}, optional=wrong) | HOSTILE, max_size=3)
    return st.fixed_dictionaries(
        {list_name: elements},
        optional=dict.fromkeys(("id", "title", "system", "metadata", "created_at"), HOSTILE),
    )


BLOCKS = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "tool_use", "tool_result", "image"])},
        optional=dict.fromkeys(("text", "id", "name", "input", "content"), TEXTS | HOSTILE)
        | {"tool_use_id": TEXTS},
    ),
    max_size=3,
)
UI_PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "file", "tool-a", "dynamic-tool", "steering-message", ""])},
    optional=dict.fromkeys(("text", "url", "mediaType", "toolCallId", "toolName"), TEXTS | HOSTILE)
    | {"state": st.sampled_from(STATES), "errorText": TEXTS, "parts": HOSTILE, "approval": HOSTILE},
)
ANY_ROLES = st.sampled_from([*Role, "function"])
NODES = st.fixed_dictionaries(
    {
        "parent": st.sampled_from([None, "a", "b"]),
        "message": st.fixed_dictionaries(
            {"author": st.fixed_dictionaries({"role": ANY_ROLES})},
            optional={
                "content": st.fixed_dictionaries(
                    {}, optional={"content_type": HOSTILE, "parts": HOSTILE, "text": TEXTS}
                ),
                "recipient": TEXTS | HOSTILE,
                "metadata": st.dictionaries(TEXTS, HOSTILE, max_size=2) | HOSTILE,
                "create_time": st.floats() | st.integers() | HOSTILE,
            },
        )
        | HOSTILE,
    }
)
NEARLY = st.one_of(
    HOSTILE,
    shaped(
        "messages",
        role=ANY_ROLES,
        content=TEXTS | BLOCKS,
        tool_calls=st.lists(FUNCTION_CALLS | HOSTILE, max_size=2),
        tool_call_id=TEXTS,
        name=TEXTS,
        id=st.sampled_from(WORDS),
        created_at=st.sampled_from(WORDS),
        item=st.sampled_from(WORDS),
        function_call=st.fixed_dictionaries({"name": TEXTS, "arguments": TEXTS}),
    ),
    shaped(
        "messages",
        role=ANY_ROLES,
        parts=st.lists(UI_PARTS | HOSTILE, max_size=3),
        id=TEXTS,
        metadata=OBJECTS,
        createdAt=st.sampled_from(WORDS),
    ),
    shaped("conversations", **{"from": st.sampled_from(WORDS), "value": TEXTS}),
    shaped(
        "chat_messages",
        uuid=st.sampled_from("abc"),
        parent_message_uuid=st.sampled_from("abc"),
        sender=st.sampled_from(WORDS),
        text=TEXTS,
        content=BLOCKS,
        attachments=st.lists(
            st.fixed_dictionaries({}, optional={"file_name": TEXTS, "extracted_content": TEXTS})
        ),
        files=HOSTILE,
        created_at=st.sampled_from(WORDS),
    ),
    st.fixed_dictionaries(
        {"mapping": st.dictionaries(st.sampled_from("abc"), NODES | HOSTILE)},
        optional={"current_node": st.sampled_from("abc"), "id": TEXTS, "create_time": HOSTILE},
    ),
)


@pytest.mark.parametrize("name", [*READERS])
@given(document=NEARLY)
def test_a_hostile_document_is_read_or_refused_and_breaks_nothing(
    name: FileFormat, document: object
) -> None:
    assert READERS[name].recognizes(document) in {True, False}
    for read in (READERS[name].read, read_any):
        try:
            line = read(document)
        except InvalidValueError:
            continue
        texts = (line.title or "", line.metadata, *(each.content or "" for each in line.messages))
        assert all(map(is_unicode, texts))


@pytest.mark.parametrize("name", [*READERS])
def test_a_document_nested_without_end_is_refused(name: FileFormat) -> None:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    message = {"role": "user", "from": "human", "content": "a", "value": "a", "more": nested}
    document = {
        "messages": [message],
        "conversations": [message],
        "chat_messages": [message | {"sender": "human"}],
        "mapping": {"one": {"more": nested}, "another": {"more": nested}},
    }
    with pytest.raises(InvalidValueError):
        READERS[name].read(document)


# OpenAI's items: read and written as texts


@given(messages=st.lists(MESSAGES, min_size=1, max_size=4))
def test_the_items_of_a_message_say_what_it_says(messages: list[dict[str, Any]]) -> None:
    written = [each.message for each in entries(messages) if each.message is not None]
    native = ItemWriter()

    for message in written:
        parsed = [parse_item(item.text, field="items[0]") for item in native.write(message)]

        found = [each.message for each in parsed if each.message is not None]
        texts = [each.content for each in found if each.content is not None]
        assert "".join(texts) == (message.content or "")
        asked = [call.id for each in found for call in calls(each.tool_calls or JsonText(""))]
        made = [] if message.tool_calls is None else calls(message.tool_calls)
        assert asked == [call.id for call in made if not call.is_custom]


@given(HOSTILE)
def test_any_json_is_an_item_or_refused(value: object) -> None:
    try:
        text = ItemText(msgspec.json.encode(value).decode())
    except UnicodeEncodeError:
        return
    try:
        parsed = parse_item(text, field="items[0]")
    except InvalidValueError:
        return
    new = parsed.new(NOON)
    assert new.item is not None
    again = parse_item(new.item, field="items[0]")
    assert (again.id, again.kind) == (new.item_id, parsed.kind)
    assert again.new(NOON).item == new.item
