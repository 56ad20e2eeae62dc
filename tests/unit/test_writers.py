"""Exports to read and for others: Markdown, and OpenAI's chat format."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.entries import Entry
from domain.items import ItemText
from domain.model import (
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
from domain.transfer import Piece
from entrypoints.formats import openai_chat
from entrypoints.formats.jsonl import JsonLines
from entrypoints.formats.markdown import Markdown
from entrypoints.formats.openai_chat import OpenAIChat

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ID = ConversationId(UUID(int=7))
CALL = JsonText(
    '[{"id":"c1","type":"function","function":{"name":"find","arguments":"{\\"q\\":1}"}}]'
)
CONVERSATION = Conversation(
    id=ID,
    user_id=UserId("alice"),
    title="A talk",
    status=Status.ACTIVE,
    metadata=JsonText("{}"),
    message_count=0,
    created_at=NOON,
    updated_at=NOON + timedelta(hours=1),
)


def entry(content: str | None, role: Role = Role.USER, **more: Any) -> Entry:  # noqa: ANN401 - the fields' own types
    new = NewMessage(role=role, content=content, id=MessageId(UUID(int=1)), **more)
    message: Message = new.stored(ID, Position(1), NOON)
    return Entry(position=Position(1), created_at=NOON, message=message, item=None)


def item(text: str) -> Entry:
    return Entry(position=Position(1), created_at=NOON, message=None, item=ItemText(text))


def whole(*entries: Entry, conversation: Conversation = CONVERSATION) -> Piece:
    return Piece(conversation, entries, is_first=True, is_last=True)


def in_pieces(*entries: Entry) -> list[Piece]:
    """Return the pieces of a conversation, one entry each, and an empty last one."""
    pieces = [
        Piece(CONVERSATION, (each,), is_first=n == 0, is_last=False)
        for n, each in enumerate(entries)
    ]
    return [*pieces, Piece(CONVERSATION, (), is_first=not entries, is_last=True)]


def markdown(*pieces: Piece) -> str:
    writer = Markdown()
    return b"".join(writer.write(piece) for piece in pieces).decode()


# Whatever the format


@pytest.mark.parametrize("writer", [JsonLines, Markdown, OpenAIChat])
def test_pieces_make_the_same_text_as_the_whole(
    writer: type[JsonLines | Markdown | OpenAIChat],
) -> None:
    entries = [
        item('{"id":"rs_1","type":"reasoning"}'),
        entry("a"),
        entry(None, Role.ASSISTANT, tool_calls=CALL),
        entry("found", Role.TOOL, tool_call_id="c1"),
    ]
    one, other = writer(), writer()
    for given in (entries, [], entries[:1], entries[1:2]):
        written = b"".join(one.write(piece) for piece in in_pieces(*given))
        assert written == other.write(whole(*given))


# Markdown


def test_markdown_reads_as_a_talk() -> None:
    text = markdown(
        whole(
            entry("hello\n\n# you"),
            entry("looking", Role.ASSISTANT, tool_calls=CALL),
            entry("found", Role.TOOL, tool_call_id="c1", name="find"),
        )
    )
    assert text == (
        "# A talk\n\n"
        "2026-01-01 12:00:00 UTC to 2026-01-01 13:00:00 UTC, active, "
        "`00000000-0000-0000-0000-000000000007`\n\n"
        "## user, 2026-01-01 12:00:00 UTC\n\n"
        "> hello\n>\n> # you\n\n"
        "## assistant, 2026-01-01 12:00:00 UTC\n\n"
        "> looking\n\n"
        "Call c1 of find:\n\n"
        '```json\n{"q":1}\n```\n\n'
        "## tool find, 2026-01-01 12:00:00 UTC\n\n"
        "Result of call c1:\n\n"
        "```\nfound\n```\n\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_nothing_that_was_said_leaves_its_quote(end: str) -> None:
    said = end.join(["```", "## assistant, 2026-01-01 12:00:00 UTC", "", "<!--", "---", "> x"])
    lines = re.split(r"\r\n|\r|\n", markdown(whole(entry(said))))
    outside = [line for line in lines if line and not line.startswith(">")]
    assert len(outside) == 3
    assert outside[-1].startswith("## user")


@pytest.mark.parametrize("inside", ["```", "````\n## x", "~~~", "a`````b"])
def test_a_fence_is_longer_than_any_in_what_it_holds(inside: str) -> None:
    text = markdown(whole(entry(f"x\n{inside}\ny", Role.TOOL, tool_call_id="c")))
    fence = text.rstrip().rpartition("\n")[2]
    assert set(fence) == {"`"}
    assert text.count(f"\n{fence}\n") == 2
    assert fence not in inside


def test_titles_and_names_are_one_line_of_plain_text() -> None:
    title = "<b>*a*</b>\n# [b](c) `d`"
    text = markdown(whole(conversation=CONVERSATION._replace(title=title)))
    first = text.partition("\n")[0]
    assert first == r"# \<b\>\*a\*\</b\> \# \[b\]\(c\) \`d\`"


def test_items_that_are_no_messages_are_shown_too() -> None:
    text = markdown(whole(item('{"type":"reasoning"}')))
    assert '```json\n{"type":"reasoning"}\n```' in text


def test_conversations_are_told_apart() -> None:
    assert markdown(whole(), whole()).count("\n---\n\n# A talk\n") == 1


# OpenAI


def test_what_openai_gave_is_what_openai_gets() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]
    given = {
        "messages": [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": parts, "name": "ada"},
            {"role": "assistant", "content": None, "tool_calls": json.loads(CALL)},
            {"role": "tool", "content": "found", "tool_call_id": "c1"},
            {"role": "assistant", "content": "hi", "weight": 0},
        ],
        "tools": [{"type": "function", "function": {"name": "find"}}],
    }
    read = openai_chat.read(json.dumps(given).encode())
    entries = [
        Entry(
            position=Position(1),
            created_at=NOON,
            message=replace(message, id=MessageId(UUID(int=1))).stored(ID, Position(1), NOON),
            item=None,
        )
        for message in read.messages
    ]
    conversation = CONVERSATION._replace(metadata=read.metadata)
    [line] = OpenAIChat().write(whole(*entries, conversation=conversation)).splitlines()
    assert json.loads(line) == given


def test_what_has_no_place_is_counted() -> None:
    writer = OpenAIChat()
    assert writer.left_out() == ""
    assert writer.write(whole()) == b""
    assert writer.write(whole(item("{}"))) == b""
    [line] = writer.write(whole(item("{}"), entry("a"))).splitlines()
    assert json.loads(line) == {"messages": [{"role": "user", "content": "a"}]}
    assert writer.left_out() == (
        "2 items that are no messages and 2 conversations without messages"
    )


def test_metadata_never_stands_for_what_was_said() -> None:
    metadata = JsonText('{"openai": {"role": "system", "content": [], "tool_call_id": "x"}}')
    [line] = OpenAIChat().write(whole(entry("a", metadata=metadata))).splitlines()
    assert json.loads(line)["messages"] == [{"role": "user", "content": "a"}]
    other = CONVERSATION._replace(metadata=JsonText('{"openai": {"messages": []}}'))
    [line] = OpenAIChat().write(whole(entry("a"), conversation=other)).splitlines()
    assert json.loads(line)["messages"] == [{"role": "user", "content": "a"}]
