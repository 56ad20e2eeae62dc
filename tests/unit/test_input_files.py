"""Finding the files of an import, and reading members of archives as streams."""

import io
import json
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from chatkeep.entrypoints.formats.input_files import InputFiles
from chatkeep.entrypoints.formats.json_stream import BrokenFileError, elements
from tests.support.service_process import FULL

TALK = json.dumps([{"messages": [{"role": "user", "content": "hello"}]}])


def packed(path: Path, members: dict[str, str | bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def names(files: InputFiles, folder: Path) -> list[str]:
    return [file.name.removeprefix(f"{folder}/") for file in files.found]


def read(files: InputFiles) -> bytes:
    [file] = files.found
    with file.open() as opened:
        return b"".join(iter(lambda: opened.read1(7), b""))


def error(files: InputFiles) -> str:
    with pytest.raises(BrokenFileError) as caught:
        read(files)
    return str(caught.value)


def test_an_export_is_taken_as_it_was_downloaded(tmp_path: Path) -> None:
    export = packed(
        tmp_path / "export.ZIP",
        {
            "conversations-001.json": TALK,
            "conversations-000.json": TALK,
            "users.json": "[]",
            "chat.html": "<html>",
            "dalle/image.png": b"\x89PNG",
            "__MACOSX/._conversations.json": "junk",
        },
    )
    files = InputFiles.find([export])
    assert [(file.name.removeprefix(f"{export}:"), file.is_certain) for file in files.found] == [
        ("conversations-000.json", True),
        ("conversations-001.json", True),
        ("users.json", False),
    ]
    assert [name.removeprefix(f"{export}:") for name in files.passed_over] == [
        *("__MACOSX/._conversations.json", "chat.html", "dalle/image.png")
    ]
    assert files.size == 2 * len(TALK) + 2


def test_a_folder_is_looked_through_but_not_behind_links(tmp_path: Path) -> None:
    folder = tmp_path / "export"
    (folder / "b" / "c").mkdir(parents=True)
    outside = tmp_path / "outside.json"
    outside.write_text(TALK)
    (folder / "b" / "c" / "one.jsonl").write_text(TALK)
    (folder / "conversations.json").write_text(TALK)
    (folder / "link.json").symlink_to(outside)
    (folder / "up").symlink_to(tmp_path)
    packed(folder / "a.zip", {"conversations.json": TALK})
    files = InputFiles.find([folder])
    assert sorted(names(files, folder)) == [
        *("a.zip:conversations.json", "b/c/one.jsonl", "conversations.json")
    ]
    assert sorted(files.passed_over) == [f"{folder}/link.json", f"{folder}/up"]


def test_a_name_that_leads_out_of_an_archive_leads_nowhere(tmp_path: Path) -> None:
    archive = packed(tmp_path / "a.zip", {"../../etc/conversations.json": TALK})
    assert read(InputFiles.find([archive])).decode() == TALK
    assert [*tmp_path.iterdir()] == [archive]


def test_a_link_in_an_archive_is_passed_over(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("conversations.json")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    files = InputFiles.find([tmp_path / "a.zip"])
    assert not files.found
    assert len(files.passed_over) == 1


def test_an_archive_in_an_archive_is_reported(tmp_path: Path) -> None:
    inner = packed(tmp_path / "inner.zip", {"conversations.json": TALK})
    outer = packed(tmp_path / "outer.zip", {"deep/inner.zip": inner.read_bytes()})
    files = InputFiles.find([outer])
    assert not files.found
    [(name, reason)] = files.unreadable
    assert name == f"{outer}:deep/inner.zip"
    assert "archive in an archive" in reason


def test_what_is_no_archive_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "export.zip"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    [(name, reason)] = InputFiles.find([path]).unreadable
    assert name == str(path)
    assert "is not a ZIP archive that can be read" in reason


def test_members_that_cannot_be_read_are_named_with_the_reason(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", {"conversations.json": TALK * 100})
    whole = path.read_bytes()
    found = whole.index(b"PK\x01\x02")

    encrypted = bytearray(whole)
    for at in (6, found + 8):
        encrypted[at] |= 1
    path.write_bytes(encrypted)
    assert "is encrypted" in error(InputFiles.find([path]))

    for method in (zipfile.ZIP_BZIP2, 9):
        packed_otherwise = bytearray(whole)
        for at in (8, found + 10):
            packed_otherwise[at : at + 2] = struct.pack("<H", method)
        path.write_bytes(packed_otherwise)
        assert f"by method {method}" in error(InputFiles.find([path]))

    broken = bytearray(whole)
    broken[60:70] = bytes(10)
    path.write_bytes(broken)
    assert "is broken" in error(InputFiles.find([path]))

    elsewhere = bytearray(whole)
    elsewhere[found + 42 : found + 46] = struct.pack("<I", 20)
    path.write_bytes(elsewhere)
    assert "cannot be read from its archive" in error(InputFiles.find([path]))


def test_a_member_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("conversations.json", "w") as member,
    ):
        member.write(b'[{"a":"')
        for _ in range(200 if FULL else 40):
            member.write(b"x" * 1_000_000)
        member.write(b'"}, {"b": 1}]')
    assert path.stat().st_size < 1_000_000
    [file] = InputFiles.find([path]).found
    tracemalloc.start()
    with file.open() as opened:
        found = [*elements(opened, max_bytes=1_000_000)]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [element.data for element in found] == [None, b'{"b": 1}']
    assert peak < 8_000_000


def test_a_pipe_is_read_as_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(TALK.encode())))
    files = InputFiles.find([Path("-")])
    assert files.size is None
    assert read(files).decode() == TALK
