"""The page with the tables of where each field goes."""

import json

from chatkeep.domain.formats.table import FileFormat
from tests.unit.every_field.places import DOCUMENTS, export_again, fill, find_places, rows

_TITLES = {
    FileFormat.CHATGPT: "ChatGPT's data export",
    FileFormat.CLAUDE_AI: "Claude.ai's data export",
    FileFormat.OPENAI: "OpenAI's chat format",
    FileFormat.SHAREGPT: "ShareGPT",
    FileFormat.ANTHROPIC: "Anthropic's Messages API",
}
_HEAD = """# Where each field of an import goes

A test writes these tables ([every_field](../tests/unit/every_field)). It imports a document with
every field that a format is known to have, each with a value that occurs once, exports it again,
and looks for the values. It fails if one is nowhere, or if this page is out of date:
`python -m tests.unit.every_field` writes it. How fields are read is in [transfer.md](transfer.md).

The path of a field names the kinds of the elements that lead to it. A row stands for all that is
below its path. A semicolon is between the places of several elements of one kind. "Of the message"
and "of the conversation" mean their metadata. The tables are those of an import with
`--without-originals`; without that option each message has its document as its `original` too.
Fields that are not known today go where their neighbours go.
"""


async def write_page() -> str:
    parts = [_HEAD]
    for name, documents in DOCUMENTS.items():
        found: dict[str, str] = {}
        for make in documents:
            document, leaves = fill(make())
            line = json.loads(await export_again(document, originals=False))
            placed = [(leaf.path, ", ".join(find_places(leaf, line))) for leaf in leaves]
            for path, place in rows(placed):
                found.setdefault(path, place)
        lines = [f"| {path} | {place} |" for path, place in found.items()]
        parts.append(
            "\n".join((f"## {_TITLES[name]}\n", "| field | place |", "| --- | --- |", *lines))
        )
    return "\n".join(f"{part.strip()}\n" for part in parts)
