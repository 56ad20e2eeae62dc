"""Keeps what only an export to the same format needs."""

import json
from dataclasses import replace
from typing import Final

from chatkeep.domain.formats.codec import Document, Line
from chatkeep.domain.json_fields import json_text

REMEMBERED: Final = "export"
"""Its member in the metadata of the conversation, under the name of the format:

`members` of the conversation, as they were; and the `last` message of the branch that was shown
last. Of ChatGPT, also the `nodes` that became no message, where they are not in `chatgpt.nodes`;
the ids of the nodes whose `thoughts` a message has; and as `strays` the parents that are not there,
and the children that nodes list although they are those of others.
"""


def remember(line: Line, key: str, remembered: Document) -> Line:
    """Return the line with what an export needs. Its id does not depend on it."""
    metadata = json.loads(line.metadata)
    metadata[key] = {**(metadata.get(key) or {}), REMEMBERED: remembered}
    return replace(line, metadata=json_text(metadata, field="metadata"))


def mark_parts(line: Line, key: str) -> Line:
    """Return the line with the format `key` for messages without an original.

    Each is a part of a document that became several messages, of which the first has the original.
    """
    entries = [
        entry
        if entry.message is None or entry.message.original is not None
        else entry._replace(message=entry.message._replace(format=key))
        for entry in line.entries
    ]
    return replace(line, entries=tuple(entries))
