"""`chatkeep import` of files as other services write them, on a real Postgres."""

import json
from pathlib import Path
from typing import Any

from tests.support.processes import chatkeep
from tests.unit.test_chatgpt import node, tree
from tests.unit.test_tree_writers import GIVEN
from tests.unit.ui_messages import SAMPLES

HELLO = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "hi"}]
CHATGPT = tree(
    node("q", "root", "user", "hello"),
    node("old", "q", "assistant", "first"),
    node("new", "q", "assistant", "hi"),
    current="new",
)
IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
TEXT = {"type": "text", "text": "hi"}
FILES: dict[str, str] = {
    "chatgpt": json.dumps([CHATGPT]),
    "claude-ai": json.dumps(
        [
            {
                "uuid": "c",
                "chat_messages": [
                    {"uuid": "q", "sender": "human", "text": "hello", "content": []},
                    {
                        "uuid": "a",
                        "sender": "assistant",
                        "text": "hi",
                        "content": [{"type": "thinking", "thinking": "?"}, TEXT],
                    },
                ],
            }
        ]
    ),
    "openai": json.dumps({"messages": [*HELLO], "tools": [], "parallel_tool_calls": True}) + "\n",
    "sharegpt": json.dumps(
        [
            {
                "id": "a_0",
                "conversations": [
                    {"from": "human", "value": "hello"},
                    {"from": "gpt", "value": "hi"},
                ],
            }
        ],
        indent=2,
    ),
    "anthropic": json.dumps(
        {
            "system": "Be kind.",
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hello"}, IMAGE]},
                HELLO[1],
            ],
        },
        indent=1,
    ),
}


def text_of(content: Any) -> str:  # noqa: ANN401 - a text or parts
    """Return the text of a content, which may be a text with an image."""
    found: str = content if isinstance(content, str) else content[0]["text"]
    return found


def test_files_of_every_format_go_in_once_and_what_was_said_comes_out(
    database_url: str, tmp_path: Path
) -> None:
    settings = {"DATABASE_URL": database_url}
    for name, text in FILES.items():
        file = tmp_path / f"{name}.json"
        file.write_text(text, encoding="utf-8")
        done = chatkeep("import", file, "--user", "alice", **settings)
        assert (done.returncode, done.stderr) == (0, ""), name
        assert done.stdout.startswith("1 imported, 0 already there, 0 refused")
    for name in FILES:
        again = ("import", tmp_path / f"{name}.json", "--user", "alice", "--format", name)
        done = chatkeep(*again, **settings)
        assert done.stdout == "0 imported, 1 already there, 0 refused; 0 messages imported\n"

    done = chatkeep("export", "--user", "alice", **settings)
    lines = done.stdout.splitlines()
    assert len(lines) == len(FILES)
    for name, text in FILES.items():
        [line] = [line for line in lines if f'"format":"{name}"' in line]
        messages = json.loads(line)["messages"]
        said = [(each["role"], text_of(each["content"])) for each in messages]
        if name == "chatgpt":  # an answer on another branch
            said.remove(("assistant", "first"))
        assert said[-2:] == [("user", "hello"), ("assistant", "hi")]
        assert all(each["original"] in text for each in messages[-2:])


def test_branches_are_imported_and_exported(database_url: str, tmp_path: Path) -> None:
    file, out = tmp_path / "conversations.json", tmp_path / "out.jsonl"
    file.write_text(FILES["chatgpt"], encoding="utf-8")
    settings = {"DATABASE_URL": database_url}
    done = chatkeep("import", file, "--user", "alice", **settings)
    assert done.stdout.startswith("1 imported, 0 already there, 0 refused; 3 messages imported")
    chatkeep("export", "--user", "alice", "--output", out, **settings)
    line = json.loads(out.read_text(encoding="utf-8"))
    assert [each["content"] for each in line["messages"]] == ["hello", "first", "hi"]
    assert [each.get("branch", 0) for each in line["messages"]] == [0, 0, line["branch"]]
    for again in (file, out):
        done = chatkeep("import", again, "--user", "alice", **settings)
        assert done.stdout.startswith("0 imported, 1 already there")
    assert (
        "first"
        not in chatkeep("export", "--user", "alice", "--format", "openai", **settings).stdout
    )


def test_trees_come_back_as_they_were(database_url: str, tmp_path: Path) -> None:
    ids = {"chatgpt": "conversation_id", "claude-ai": "uuid"}
    documents = [
        {**each, ids[name]: f"{name} {number}"} for number, (name, each) in enumerate(GIVEN)
    ]
    file, out = tmp_path / "conversations.json", tmp_path / "out.json"
    file.write_text(json.dumps(documents, indent=1), encoding="utf-8")
    done = chatkeep("import", file, "--user", "alice", DATABASE_URL=database_url)
    assert (done.returncode, done.stderr) == (0, "")
    for name, key in ids.items():
        options = ("--user", "alice", "--format", name, "--output", out)
        assert chatkeep("export", *options, DATABASE_URL=database_url).returncode == 0
        written = json.loads(out.read_text(encoding="utf-8"))
        assert len(written) == len(documents)
        for given in (each for each in documents if key in each):
            assert given in written


def test_originals_can_be_left_out(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "conversations.json"
    file.write_text(FILES["chatgpt"], encoding="utf-8")
    options = ("--user", "alice", "--without-originals")
    done = chatkeep("import", file, *options, DATABASE_URL=database_url)
    assert done.returncode == 0
    exported = chatkeep("export", "--user", "alice", DATABASE_URL=database_url).stdout
    assert '"content":"hello"' in exported
    assert "original" not in exported
    again = chatkeep("import", file, "--user", "alice", DATABASE_URL=database_url)
    assert again.stdout.startswith("0 imported, 1 already there")


def test_what_is_wrong_is_told_by_its_place_and_the_others_go_in(
    database_url: str, tmp_path: Path
) -> None:
    grown = CHATGPT | {
        "mapping": CHATGPT["mapping"] | {"more": node("more", "new", "user", "and?")},
        "current_node": "more",
    }
    wide = tree(
        node("q", "root", "user", "hello"),
        node("old", "q", "assistant", "x" * 20_000),
        node("new", "q", "assistant", "hi"),
        conversation_id="other",
    )
    file = tmp_path / "conversations.json"
    all_: list[object] = [CHATGPT, {"prompt": "x"}, grown, wide, {"messages": HELLO}]
    file.write_text(json.dumps(all_)[:-1] + ', {"messages": [', encoding="utf-8")
    settings = {"DATABASE_URL": database_url}
    options = ("--user", "alice", "--enforce-limits", "--max-conversation-bytes", "100000")
    done = chatkeep("import", file, *options, **settings)
    assert done.returncode == 1
    assert done.stdout == (
        "2 imported, 0 already there, 4 refused; 5 messages imported\n"
        "kept in metadata only: chatgpt.id (3)\n"
    )
    second, third, fourth, broken, stopped = done.stderr.splitlines()
    assert second.startswith(f"{file}:conversation 2: conversation: is in none of the formats")
    assert "keys 'prompt'" in second
    assert third.startswith(f"{file}:conversation 3: 1 of its 4 messages are not in conversation")
    assert fourth.startswith(f"{file}:conversation 4: messages[1].content: has 20000")
    assert fourth.endswith("(raise it with --max-message-chars)")
    assert broken == f"{file}: ends in the middle of conversation 6"
    assert "Correct the file and import it again" in stopped

    done = chatkeep("import", file, *options, "--max-message-chars", "0", **settings)
    assert done.stdout.startswith("1 imported, 2 already there, 3 refused")


def test_a_conversation_that_is_too_large_names_the_option(database_url: str) -> None:
    done = chatkeep(
        *("import", "-", "--user", "alice", "--max-conversation-bytes", "30"),
        stdin=json.dumps({"messages": HELLO}),
        DATABASE_URL=database_url,
    )
    assert done.returncode == 1
    size = len(json.dumps({"messages": HELLO}))
    assert done.stderr == (
        f"<stdin>:1: conversation: has {size} bytes; the limit is 30 "
        "(raise it with --max-conversation-bytes)\n"
    )


def test_a_zip_archive_is_not_read_from_a_pipe(database_url: str) -> None:
    archive = "PK\x03\x04" + "\0" * 100
    done = chatkeep("import", "-", "--user", "alice", stdin=archive, DATABASE_URL=database_url)
    assert done.returncode == 1
    assert "<stdin>: is a ZIP archive: give it as a file" in done.stderr


def test_ui_messages_come_back_as_they_were(database_url: str, tmp_path: Path) -> None:
    samples = [
        {**each, "id": each["id"] and f"m{place}"} for place, each in enumerate(SAMPLES.values())
    ]
    chats: list[dict[str, Any]] = [
        {"id": "chat-1", "title": "All", "visibility": "private", "messages": samples},
        {"id": "chat-2", "messages": [SAMPLES["a question"]]},
    ]
    file = tmp_path / "chats.json"
    file.write_text(json.dumps(chats, ensure_ascii=False), encoding="utf-8")
    settings = {"DATABASE_URL": database_url}
    for options in ((), ("--format", "ai-sdk")):
        done = chatkeep("import", file, "--user", "alice", *options, **settings)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("0 imported, 2 already" if options else "2 imported, 0")
    done = chatkeep("import", file, "--user", "alice", "--without-originals", **settings)
    assert "id: chat-1 is another conversation of this user" in done.stderr

    done = chatkeep("export", "--user", "alice", "--format", "ai-sdk", **settings)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    found.sort(key=lambda chat: -len(chat["messages"]))
    for chat, given in zip(found, chats, strict=True):
        ids = [each["id"] for each in chat["messages"]]
        assert chat["messages"] == [
            {**each, "id": each["id"] or own}
            for each, own in zip(given["messages"], ids, strict=True)
        ]
    assert found[0]["title"] == "All"
    assert found[0]["visibility"] == "private"
    written = tmp_path / "written.jsonl"
    written.write_text(done.stdout, encoding="utf-8")
    again = chatkeep("import", written, "--user", "bob", **settings)
    assert again.stdout.startswith("2 imported")
    fine_tuning = chatkeep("export", "--user", "alice", "--format", "openai", **settings)
    assert '"role":"tool","content":"No such city.","tool_call_id":"call_2"' in fine_tuning.stdout
