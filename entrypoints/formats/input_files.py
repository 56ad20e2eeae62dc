"""Finds the files of an import: a file, the members of a ZIP archive, or all files of a folder.

Nothing is extracted: members of archives are read as streams, so their names are only shown. Files
that can have conversations end in .json, .jsonl or .ndjson; the others are listed as passed over.
"""

import os
import stat
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Final, Self, cast

from chatkeep.entrypoints.formats.json_stream import BrokenFileError, Readable

STDIN: Final = "-"
_SUFFIXES: Final = frozenset({".json", ".jsonl", ".ndjson"})
_CERTAIN: Final = "conversations"
_ZIP: Final = ".zip"
_SIGNATURES: Final = (b"PK\x03\x04", b"PK\x05\x06")
# Files that macOS adds to folders and archives.
_OF_MACOS: Final = ("__MACOSX", "._")
_READ_AS_A_STREAM: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_IS_ENCRYPTED: Final = 0x1
_BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    NotImplementedError,  # of a version of ZIP, or a kind of compression
    RuntimeError,  # a password is needed
    OSError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read. `name` is shown in messages; `size` is None if it is not known.

    `is_certain` means that it was given by its name, or is named like a file of conversations. Any
    other file is passed over if it has none.
    """

    name: str
    size: int | None
    is_certain: bool
    open: Callable[[], AbstractContextManager[Readable]]


@dataclass
class InputFiles:
    """The files that were found, those passed over by their names, and what cannot be read."""

    found: list[InputFile] = field(default_factory=list)
    passed_over: list[str] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    @classmethod
    def find(cls, paths: Sequence[Path]) -> Self:
        """Look for files: in folders at any depth, but not behind links."""
        files = cls()
        for path in paths:
            if str(path) == STDIN:
                stdin = InputFile("<stdin>", size=None, is_certain=True, open=_open_stdin)
                files.found.append(stdin)
            elif path.is_dir():
                files._add_folder(path)
            else:
                files._add_file(path)
        return files

    @property
    def size(self) -> int | None:
        """The size of all files; None if that of one is not known."""
        sizes = [file.size for file in self.found]
        return None if None in sizes else sum(filter(None, sizes))

    def _add_folder(self, folder: Path) -> None:
        for within, folders, names in os.walk(folder, onerror=self._note_error):
            folders.sort()
            links = (Path(within, name) for name in folders)
            self.passed_over += [str(path) for path in links if path.is_symlink()]
            for name in sorted(names):
                path = Path(within, name)
                if path.is_symlink() or not path.is_file():
                    self.passed_over.append(str(path))
                elif path.suffix.lower() == _ZIP:
                    self._add_archive(path)
                elif _may_have_conversations(path.relative_to(folder).parts):
                    self._add_plain(path, is_certain=_is_certain(name))
                else:
                    self.passed_over.append(str(path))

    def _note_error(self, error: OSError) -> None:
        self.unreadable.append((str(error.filename), error.strerror or str(error)))

    def _add_file(self, path: Path) -> None:
        try:
            is_archive = path.is_file() and _begins_as_archive(path)
        except OSError as error:
            self._note_error(error)
            return
        if is_archive:
            self._add_archive(path)
        else:
            self._add_plain(path, is_certain=True)

    def _add_plain(self, path: Path, *, is_certain: bool) -> None:
        size = path.stat().st_size if path.is_file() else None
        self.found.append(InputFile(str(path), size, is_certain, partial(_open_plain, path)))

    def _add_archive(self, path: Path) -> None:
        try:
            with zipfile.ZipFile(path) as archive:
                members = sorted(archive.infolist(), key=lambda each: each.filename)
        except OSError as error:
            self._note_error(error)
            return
        except _BROKEN as error:
            self.unreadable.append((str(path), f"is not a ZIP archive that can be read: {error}"))
            return
        for member in members:
            if not member.is_dir():
                self._add_member(path, member)

    def _add_member(self, archive: Path, member: zipfile.ZipInfo) -> None:
        name = f"{archive}:{member.filename}"
        parts = PurePosixPath(member.filename).parts
        if member.filename.lower().endswith(_ZIP):
            reason = "is an archive in an archive: unpack it, and import it by itself"
            self.unreadable.append((name, reason))
        elif _is_link(member) or not _may_have_conversations(parts):
            self.passed_over.append(name)
        else:
            is_certain = _is_certain(parts[-1])
            opened = partial(_open_member, archive, member)
            self.found.append(InputFile(name, member.file_size, is_certain, opened))


def _may_have_conversations(parts: Sequence[str]) -> bool:
    if not parts or any(part.startswith(_OF_MACOS) for part in parts):
        return False
    return PurePosixPath(parts[-1]).suffix.lower() in _SUFFIXES


def _is_certain(name: str) -> bool:
    """Return whether a file is named as in exports: conversations.json, conversations-000.json."""
    return name.lower().startswith(_CERTAIN)


def _is_link(member: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(member.external_attr >> 16)


def _begins_as_archive(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) in _SIGNATURES


@contextmanager
def _open_stdin() -> Iterator[Readable]:
    yield cast("Readable", sys.stdin.buffer)


@contextmanager
def _open_plain(path: Path) -> Iterator[Readable]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise BrokenFileError(f"cannot be opened: {error.strerror}") from error
    with file:
        yield cast("Readable", file)


@contextmanager
def _open_member(path: Path, member: zipfile.ZipInfo) -> Iterator[Readable]:
    """Open a member of an archive. Raises `BrokenFileError` if it cannot be read as a stream."""
    if member.flag_bits & _IS_ENCRYPTED:
        raise BrokenFileError("is encrypted: unpack it with its password, and import the file")
    if member.compress_type not in _READ_AS_A_STREAM:
        method = member.compress_type
        raise BrokenFileError(f"is compressed by method {method}, which is not read: unpack it")
    with ExitStack() as stack:
        try:
            file = stack.enter_context(stack.enter_context(zipfile.ZipFile(path)).open(member))
        except _BROKEN as error:
            raise BrokenFileError(f"cannot be read from its archive: {error}") from error
        yield _Member(file)


class _Member:
    """A member of an archive. Whatever is wrong with it is a `BrokenFileError`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read1(self, size: int, /) -> bytes:
        try:
            return self._file.read(size)
        except _BROKEN as error:
            raise BrokenFileError(f"is broken: {error}") from error
