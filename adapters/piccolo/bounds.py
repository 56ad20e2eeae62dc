"""How pages are bounded in bytes: before the database sends them, so that nobody holds more.

Each row of a page says how large it is. One that is larger than its share of the bound comes
without its texts. If there is none, as nearly always, all rows fit together; else the sizes are
added up here, and the texts of those that fit are asked for. To have the database add up every page
would cost a fifth of its time.
"""

from collections.abc import Iterable
from typing import Final

# The best that Postgres' compressions can do: what is stored in fewer bytes than a share divided by
# this need not be decompressed to know that it fits.
_MOST_COMPRESSED: Final = 256

MESSAGE_TEXTS: Final = ("content", "tool_calls", "metadata")


def text_bytes(column: str) -> str:
    """Return an expression for the size of a text: known without reading it."""
    return f"coalesce(octet_length({column})::bigint, 0)"


def json_bytes(column: str, share: str) -> str:
    """Return an expression for the size of a JSON document, about.

    Only one that is compressed has to be read, unless it fits into `share` by all means.
    """
    return (
        f"coalesce(CASE WHEN pg_column_size({column}) <= {share} / {_MOST_COMPRESSED} "
        f"OR pg_column_compression({column}) IS NULL THEN pg_column_size({column}) "
        f"ELSE octet_length({column}::text) END, 0)::bigint"
    )


def message_bytes(table: str, share: str) -> str:
    return " + ".join(
        (
            text_bytes(f"{table}.content"),
            json_bytes(f"{table}.tool_calls", share),
            json_bytes(f"{table}.metadata", share),
        )
    )


def within(share: str, columns: str, texts: Iterable[str]) -> str:
    """Return the columns of a row and its `bytes`; `texts` are NULL when these exceed `share`."""
    given = []
    for column in columns.split(", "):
        table, dot, name = column.rpartition(".")
        bytes_ = f"{table}{dot}bytes"
        if name in texts:
            given.append(f"CASE WHEN {bytes_} <= {share} THEN {column} END AS {name}")
        else:
            given.append(column)
    return ", ".join((*given, bytes_))
