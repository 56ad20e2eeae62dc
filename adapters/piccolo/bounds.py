"""Bounds pages in bytes before the database sends them, so that neither side needs more memory.

Each row of a page has its size. A row larger than its share of the bound comes without its texts.
Usually there is none, and all rows fit. Otherwise the sizes are added up here, and the texts of the
rows that fit are fetched in a second statement. Adding up the sizes of every page in the database
would take a fifth of its time.
"""

from collections.abc import Iterable
from typing import Final

from chatkeep.domain.window import NEED_ORIGINALS

# The best ratio of Postgres' compressions: a value stored in fewer bytes than a share divided by
# this fits, and need not be decompressed to find out.
_MOST_COMPRESSED: Final = 256

MESSAGE_TEXTS: Final = ("content", "tool_calls", "metadata", "parts")
WHOLE_TEXTS: Final = (*MESSAGE_TEXTS, "original")


def text_bytes(column: str) -> str:
    """Return an expression for the size of a text, which Postgres knows without reading it."""
    return f"coalesce(octet_length({column})::bigint, 0)"


def json_bytes(column: str, share: str) -> str:
    """Return an expression for the approximate size of a JSON document.

    Postgres reads only a compressed document, and only if it might exceed `share`.
    """
    return (
        f"coalesce(CASE WHEN pg_column_size({column}) <= {share} / {_MOST_COMPRESSED} "
        f"OR pg_column_compression({column}) IS NULL THEN pg_column_size({column}) "
        f"ELSE octet_length({column}::text) END, 0)::bigint"
    )


def parts_bytes(table: str, share: str) -> str:
    """Return an expression for the size of a message's content parts, which most do not have."""
    parts = f"{table}.parts"
    return f"CASE WHEN {parts} IS NULL THEN 0 ELSE {json_bytes(parts, share)} END"


def message_bytes(table: str, share: str) -> str:
    return " + ".join(
        (
            text_bytes(f"{table}.content"),
            json_bytes(f"{table}.tool_calls", share),
            json_bytes(f"{table}.metadata", share),
            parts_bytes(table, share),
        )
    )


def whole_bytes(table: str, share: str) -> str:
    """Return an expression for the size of a message with its original."""
    return f"{message_bytes(table, share)} + {text_bytes(f'{table}.original')}"


def window_original(table: str) -> str:
    """Return an expression for the original of a message in a window, if a context needs it."""
    return f"CASE WHEN {_needs_original(table)} THEN {table}.original END"


def window_bytes(table: str, share: str) -> str:
    """Return an expression for the size of a message in a window."""
    original = (
        f"CASE WHEN {_needs_original(table)} THEN {text_bytes(f'{table}.original')} ELSE 0 END"
    )
    return f"{message_bytes(table, share)} + {original}"


def _needs_original(table: str) -> str:
    formats = ", ".join(f"'{name}'" for name in sorted(NEED_ORIGINALS))
    return f"{table}.format IN ({formats})"


def within(share: str, columns: str, texts: Iterable[str]) -> str:
    """Return the columns of a row and its `bytes`; `texts` are NULL if these exceed `share`."""
    given = []
    for column in columns.split(", "):
        table, dot, name = column.rpartition(".")
        bytes_ = f"{table}{dot}bytes"
        if name in texts:
            given.append(f"CASE WHEN {bytes_} <= {share} THEN {column} END AS {name}")
        else:
            given.append(column)
    return ", ".join((*given, bytes_))
