"""The outcome of an import, in words."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from chatkeep.entrypoints.visible import visible

_NAMED: Final = 20
"""Names of files of one kind that are listed; more of one kind are only counted."""


@dataclass
class ImportCounts:
    """Counts of conversations by their outcome, and of the imported messages.

    `passed_over` are the names of files without conversations.
    """

    imported: int = 0
    already_there: int = 0
    refused: int = 0
    messages: int = 0
    without_place: Counter[str] = field(default_factory=Counter)
    passed_over: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"{self.imported} imported, {self.already_there} already there, "
            f"{self.refused} refused; {self.messages} messages imported"
        )

    def lines(self) -> Iterator[str]:
        """Yield the lines that an import ends with."""
        yield str(self)
        if self.without_place:
            names = (f"{name} ({count})" for name, count in sorted(self.without_place.items()))
            yield f"kept in metadata only: {', '.join(names)}"
        if self.passed_over:
            yield _describe_files(self.passed_over)


def _describe_files(names: Sequence[str]) -> str:
    """Say which files have no conversations: by name, or where there are many, by kind."""
    by_kind: dict[str, list[str]] = {}
    for name in names:
        by_kind.setdefault(PurePath(name).suffix.lower(), []).append(name)
    listed: list[str] = []
    for kind, found in sorted(by_kind.items()):
        if len(found) <= _NAMED:
            listed += found
        else:
            listed.append(f"{len(found)} {kind or 'without a suffix'}")
    text = f"files without conversations ({len(names)}): {', '.join(listed)}"
    # Names of files may be bytes that are not UTF-8.
    return visible(text.encode(errors="backslashreplace").decode())
