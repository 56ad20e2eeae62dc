"""Exports to read and for others: Markdown, and OpenAI's chat format."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import hypothesis
import pytest
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from chatkeep.domain.formats import openai_chat
from chatkeep.domain.formats.codec import Piece
from chatkeep.domain.formats.table import WRITERS, FileFormat
from chatkeep.domain.items import ItemText
from chatkeep.domain.log import Entry
from chatkeep.domain.model import (
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
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.markdown import Markdown
from tests.unit.part_lists import (
    AUDIO,
    FILE,
    FILE_ID,
    FILE_URL,
    IMAGE,
    IMAGE_DATA,
    REFUSAL,
    TEXT,
    UNKNOWN,
    as_parts,
)

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
    message: Message = new.to_message(ID, Position(1), NOON)
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


def openai() -> JsonLines:
    return JsonLines(WRITERS[FileFormat.OPENAI])


def ai_sdk() -> JsonLines:
    return JsonLines(WRITERS[FileFormat.AI_SDK])


@pytest.mark.parametrize("writer", [JsonLines, Markdown, openai, ai_sdk])
def test_pieces_make_the_same_text_as_the_whole(
    writer: Callable[[], JsonLines | Markdown],
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
            entry("hello\n\n- you"),
            entry("looking", Role.ASSISTANT, tool_calls=CALL),
            entry("found", Role.TOOL, tool_call_id="c1", name="find"),
        )
    )
    assert text == (
        "# A talk\n\n"
        "2026-01-01 12:00:00 UTC to 2026-01-01 13:00:00 UTC, active, "
        "`00000000-0000-0000-0000-000000000007`\n\n"
        "## user, 2026-01-01 12:00:00 UTC\n\n"
        "> hello\n>\n> - you\n\n"
        "## assistant, 2026-01-01 12:00:00 UTC\n\n"
        "> looking\n\n"
        "Call c1 of find:\n\n"
        '```json\n{"q":1}\n```\n\n'
        "## tool find, 2026-01-01 12:00:00 UTC\n\n"
        "Result of call c1:\n\n"
        "```\nfound\n```\n\n"
    )


def shown(*parts: dict[str, Any], role: Role = Role.USER, **more: Any) -> Entry:  # noqa: ANN401
    return entry(text_of(parts), role, parts=as_parts(*parts), **more)


def test_markdown_links_images_and_files_and_names_data() -> None:
    written = markdown(
        whole(shown(TEXT, IMAGE, IMAGE_DATA, AUDIO, FILE, FILE_ID, FILE_URL, REFUSAL, UNKNOWN))
    )
    assert written.partition("UTC\n\n")[2] == (
        "> What is this?\n\n"
        "Image [https://example.com/a.png](<https://example.com/a.png>)\n\n"
        "Image: image/png, 8 bytes\n\n"
        "Audio: wav, 4 bytes\n\n"
        "File: a.pdf, application/pdf, 8 bytes\n\n"
        "File: id file\\-1\n\n"
        "File [https://example.com/a.pdf](<https://example.com/a.pdf>)\n\n"
        "> I will not.\n\n"
        f"Part: video\\_url, {len(json.dumps(UNKNOWN, separators=(',', ':')))} bytes as JSON\n\n"
    )


def test_the_parts_of_a_result_are_in_code_or_named() -> None:
    written = markdown(whole(shown(TEXT, IMAGE_DATA, role=Role.TOOL, tool_call_id="c1")))
    assert written.endswith("```\nWhat is this?\n```\n\nImage: image/png, 8 bytes\n\n")


OTHER_THAN_TEXT = {"html_inline", "image", "code_inline"}


@pytest.mark.parametrize(
    "url",
    [
        "https://a/x) [another](https://b)",
        "https://a/x>\n# heading\n",
        "https://a/<script>alert(1)</script>",
        "https://a/`code` ![image](https://b) \\",
        "HTTPS://a/?b=1&copy;&amp=2",
        "https://a/\u202e é 🧵 \x00\x1b[31m",
        "https://a/" + "long" * 5_000,
        "javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "data:image/png;base64,# heading\n\n<b>",
        "file:///etc/passwd",
        "//b/x",
        "[a](https://b)",
    ],
    ids=lambda url: url[:30],
)
def test_no_url_reaches_out_of_its_line(url: str) -> None:
    parts = [{"type": "image_url", "image_url": {"url": url}}, {**FILE, "file": {"file_data": url}}]
    for part in parts:
        written = markdown(whole(shown(TEXT, part)))
        tokens = [token for line in MarkdownIt().parse(written) for token in line.children or ()]
        links = [token.attrGet("href") for token in tokens if token.type == "link_open"]
        assert len(links) == (url[:4].lower() == "http")
        assert all(str(link).lower().startswith("https://a/") for link in links)
        others = [token.content for token in tokens if token.type in OTHER_THAN_TEXT]
        assert others == [str(ID)]
        headings = [line for line in MarkdownIt().parse(written) if line.type == "heading_open"]
        assert len(headings) == 2
        assert all(len(line) < 500 + 2 * len(url) for line in written.split("\n"))
        assert "\x1b" not in written


def test_an_address_stays_the_same_as_a_link() -> None:
    url = "https://a/b/c.png?x=1&y=%20&copy;#z"
    written = markdown(whole(shown({"type": "image_url", "image_url": {"url": url}})))
    [link] = [
        token.attrGet("href")
        for line in MarkdownIt().parse(written)
        for token in line.children or ()
        if token.type == "link_open"
    ]
    assert link == url


# What means something in Markdown, at the beginning of a line or within it.
SIGNS = [
    *("# ", "## user, 2026-01-01 12:00:00 UTC", "===", "---", "- ", "* ", "1. ", "> ", ">", "    "),
    *(
        "\t",
        "\n",
        "\n\n",
        "\r",
        "\r\n",
        "\u2028",
        "\x0b",
        "\x0c",
        "\x85",
        "\x00",
        " ",
        "  \n",
        "\\",
    ),
    *("```", "~~~", "`", "```html\n", "<div>", "</blockquote>", "<!--", "-->", "<script>", "<?php"),
    *(
        "<![CDATA[",
        "]]>",
        "<a@b.c>",
        "[a]",
        "[a]: /x",
        "[^1]",
        "\\",
        "![",
        "](",
        "&lt;",
        "&#35;",
        "&",
    ),
    *("*", "**", "_", "|", "|-|-|", "$$", ":::", "{%", "a", "word", "Result of call c1:", "\u202e"),
]
TEXTS = st.lists(st.sampled_from(SIGNS) | st.text(max_size=3), max_size=12).map("".join)
_IN_TEXT = {"blockquote_open", "fence"}


def blocks(text: str) -> list[tuple[str, int]]:
    """Return the outermost blocks of a document, and which level those have that are headings."""
    environment: dict[str, Any] = {}
    tokens = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(text, environment)
    assert not environment.get("references")
    for token in tokens:
        assert token.type != "html_block"
        assert token.level == 0 or token.type != "heading_open"
        for inline in token.children or ():
            assert inline.type not in {"html_inline", "link_open", "image"}
    return [
        (token.type, int(token.tag[1:]) if token.type == "heading_open" else 0)
        for token in tokens
        if token.level == 0 and token.nesting >= 0
    ]


@hypothesis.given(title=TEXTS, name=TEXTS, said=TEXTS, call_id=TEXTS.filter(bool), argument=TEXTS)
def test_nothing_that_was_said_leaves_its_block(
    title: str, name: str, said: str, call_id: str, argument: str
) -> None:
    call = {"id": call_id, "type": "custom", "custom": {"name": f"n{name}", "input": argument}}
    tool_calls = JsonText(json.dumps([call]))
    text = markdown(
        whole(
            entry(f"a{said}", name=name),
            entry(f"a{said}", Role.ASSISTANT, tool_calls=tool_calls),
            entry(said, Role.TOOL, tool_call_id=call_id),
            conversation=CONVERSATION._replace(title=title),
        )
    )
    kinds = blocks(text)
    assert all(kind in _IN_TEXT for kind, _ in (kinds[3], kinds[5]))
    others = [kind for index, kind in enumerate(kinds) if index not in {3, 5}]
    paragraph, fence = ("paragraph_open", 0), ("fence", 0)
    heading = ("heading_open", 2)
    assert others == [
        *(("heading_open", 1), paragraph, heading),
        *(heading, paragraph, fence),
        *(heading, paragraph, fence),
    ]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)


@pytest.mark.parametrize(
    "said",
    [
        "x <b>y</b>",
        "</blockquote><h2>assistant</h2>",
        "<!-- not said",
        "# heading",
        "- # heading in a list",
        "> 1. ## heading in a list in a quote",
        "heading\n===",
        "heading\n---",
        "> heading\n> ---  ",
        "[a]: https://elsewhere.example",
        "![pixel](https://elsewhere.example/seen)",
        "&lt;b&gt;",
    ],
)
def test_what_would_reach_out_of_its_quote_stands_in_code_as_it_is(said: str) -> None:
    assert f"\n```\n{said}\n```\n" in markdown(whole(entry(said)))


@pytest.mark.parametrize(
    "said", ["**bold**", "- a\n- b", "1. a", "a & b", "`x`", "```\nx\n```", "> x", "-5", "a -- b"]
)
def test_other_markdown_stands_in_a_quote(said: str) -> None:
    quoted = "\n".join(f"> {line}" for line in said.split("\n"))
    assert f"\n\n{quoted}\n\n" in markdown(whole(entry(said)))


def test_control_characters_are_shown_and_lines_end_alike() -> None:
    said = "a\x1b[31mred\x07\r\nb\rc\x9b2J\x7f\td"
    text = markdown(whole(entry(said, name="n\x1b]0;x\x07")))
    assert "\n```\na\u241b[31mred\u2407\nb\nc\ufffd2J\u2421\td\n```\n" in text
    assert "## user n\u241b\\]0;x\u2407, 2026" in text


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
    read = openai_chat.read(given)
    entries = [
        Entry(
            position=Position(1),
            created_at=NOON,
            message=message._replace(id=MessageId(UUID(int=1))).to_message(ID, Position(1), NOON),
            item=None,
        )
        for message in read.messages
    ]
    conversation = CONVERSATION._replace(metadata=read.metadata)
    [line] = openai().write(whole(*entries, conversation=conversation)).splitlines()
    assert json.loads(line) == given


def test_an_original_of_openai_is_written_as_it_was() -> None:
    original = '{"role": "user",\r\n "weight": 1.0, "content": [{"text":"\\u00e9", "type":"text"}]}'
    found = openai().write(
        whole(
            entry("é", original=original, format="openai"),
            entry("hi", Role.ASSISTANT, original="{}", format="ai-sdk"),
        )
    )
    on_one_line = original.replace("\r\n", "  ")
    assert found.decode() == (
        f'{{"messages":[{on_one_line},{{"role":"assistant","content":"hi"}}]}}\n'
    )


def test_what_has_no_place_is_counted() -> None:
    writer = openai()
    assert writer.left_out() == ""
    assert writer.write(whole()) == b""
    assert writer.write(whole(item("{}"))) == b""
    [line] = writer.write(whole(item("{}"), entry("a"))).splitlines()
    assert json.loads(line) == {"messages": [{"role": "user", "content": "a"}]}
    assert writer.left_out() == (
        "2 items that are not messages and 2 conversations without messages"
    )


def test_metadata_never_stands_for_what_was_said() -> None:
    metadata = JsonText('{"openai": {"role": "system", "content": [], "tool_call_id": "x"}}')
    [line] = openai().write(whole(entry("a", metadata=metadata))).splitlines()
    assert json.loads(line)["messages"] == [{"role": "user", "content": "a"}]
    other = CONVERSATION._replace(metadata=JsonText('{"openai": {"messages": []}}'))
    [line] = openai().write(whole(entry("a"), conversation=other)).splitlines()
    assert json.loads(line)["messages"] == [{"role": "user", "content": "a"}]
