"""`chatkeep import` of exports as they were downloaded, on a real Postgres."""

import json
import zipfile
from pathlib import Path

from tests.support.processes import chatkeep
from tests.unit.test_chatgpt import node, tree

MESSAGES = {"messages": [{"role": "user", "content": "hello"}]}


def chatgpt(number: int) -> object:
    return tree(node("q", "root", "user", "hello"), conversation_id=f"c{number}", current="q")


def claude(number: int) -> object:
    return {"uuid": f"c{number}", "chat_messages": [{"sender": "human", "text": "hello"}]}


def pack(path: Path, **members: object) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), json.dumps(content))
    return path


def test_archives_and_folders_go_in_with_one_command_and_once(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "exports"
    (folder / "more").mkdir(parents=True)
    export = pack(
        folder / "chatgpt.zip",
        **{
            "conversations-000__json": [chatgpt(1), chatgpt(2)],
            "conversations-001__json": [chatgpt(3)],
            "user__json": {"id": "u"},
            "image__png": "",
        },
    )
    pack(
        folder / "claude.zip",
        conversations__json=[claude(1)],
        projects__json=[{"uuid": "p", "name": "P", "docs": []}],
    )
    (folder / "more" / "talk.jsonl").write_text(json.dumps(MESSAGES) + "\n")
    (folder / "notes.txt").write_text("notes")
    settings = {"DATABASE_URL": database_url}

    done = chatkeep("import", folder, "--user", "alice", **settings)
    assert (done.returncode, done.stderr) == (0, "")
    counted, kept, passed_over = done.stdout.splitlines()
    assert counted == "5 imported, 0 already there, 0 refused; 5 messages imported"
    assert kept.startswith("kept in metadata only: chatgpt.id (3)")
    assert passed_over == (
        f"files without conversations (4): {export}:user.json, "
        f"{folder}/claude.zip:projects.json, {export}:image.png, {folder}/notes.txt"
    )

    again = chatkeep("import", export, folder / "claude.zip", "--user", "alice", **settings)
    assert again.stdout.startswith("0 imported, 4 already there, 0 refused")


def test_what_is_wrong_with_one_file_does_not_keep_the_others_out(
    database_url: str, tmp_path: Path
) -> None:
    broken = tmp_path / "a.zip"
    broken.write_bytes(b"PK\x03\x04" + bytes(100))
    inner = pack(tmp_path / "inner.zip", conversations__json=[chatgpt(1)])
    outer = tmp_path / "b.zip"
    with zipfile.ZipFile(outer, "w") as archive:
        archive.writestr("inner.zip", inner.read_bytes())
        archive.writestr("conversations.json", json.dumps([chatgpt(2), {"prompt": "x"}]))
        archive.writestr("other.json", "[{")
    last = tmp_path / "c.json"
    last.write_text(json.dumps([MESSAGES]))

    files = (broken, outer, last)
    done = chatkeep("import", *files, "--user", "alice", DATABASE_URL=database_url)
    assert done.returncode == 1
    assert done.stdout.startswith("2 imported, 0 already there, 4 refused; 2 messages")
    said = done.stderr.splitlines()
    assert said[0].startswith(f"{broken}: is not a ZIP archive that can be read")
    assert said[1].startswith(f"{outer}:inner.zip: is an archive in an archive")
    assert said[2].startswith(f"{outer}:conversations.json:conversation 2: conversation: is in")
    assert said[3] == f"{outer}:other.json: ends in the middle of conversation 1"
    assert "stopped here" in said[4]


def test_many_files_without_conversations_are_counted_by_their_kind(
    database_url: str, tmp_path: Path
) -> None:
    folder = tmp_path / "export"
    folder.mkdir()
    for number in range(30):
        (folder / f"{number}.PNG").touch()
    (folder / "chat.html").touch()
    done = chatkeep("import", folder, "--user", "alice", DATABASE_URL=database_url)
    assert done.stdout.splitlines()[1] == (
        f"files without conversations (31): {folder}/chat.html, 30 .png"
    )


def test_a_path_that_is_not_there_is_named(database_url: str, tmp_path: Path) -> None:
    gone = tmp_path / "gone.json"
    done = chatkeep("import", gone, "--user", "alice", DATABASE_URL=database_url)
    assert done.returncode == 2
    assert f"'{gone}' does not exist" in done.stderr
