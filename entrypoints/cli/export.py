"""`chatkeep export`: straight from the database, through the use cases."""

from collections.abc import Callable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import BinaryIO, Final

import click

from chatkeep.domain.formats.table import ORIGINALS, TREES, WRITERS
from chatkeep.domain.model import UserId
from chatkeep.entrypoints.bootstrap.use_cases import transfer_on
from chatkeep.entrypoints.cli.options import on_database, progress, user_option
from chatkeep.entrypoints.cli.output import STDOUT, open_output
from chatkeep.entrypoints.formats.json_array import JsonArray
from chatkeep.entrypoints.formats.json_lines import JsonLines
from chatkeep.entrypoints.formats.markdown import Markdown
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.visible import visible_json

Writer = JsonArray | JsonLines | Markdown

_WRITERS: Final[dict[str, Callable[[], Writer]]] = {
    **{name.value: partial(JsonLines, writer) for name, writer in {**WRITERS, **ORIGINALS}.items()},
    **{name.value: partial(JsonArray, form) for name, form in TREES.items()},
    "markdown": Markdown,
}


@click.command()
@user_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(sorted(_WRITERS)),
    default="jsonl",
    show_default=True,
    help="jsonl contains everything, for `import`; markdown is for reading; openai is OpenAI's "
    "chat format, as for fine-tuning; ai-sdk has UIMessages of Vercel's AI SDK; chatgpt and "
    "claude-ai are like the data exports of these services; anthropic and sharegpt have what was "
    "imported from these formats.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
    default=STDOUT,
    help="The file to write.  [default: stdout]",
)
def export(user: UserId, format_: str, output: Path) -> None:
    """Write all conversations of a user.

    The file appears under its name when it is complete, and only its owner may read it. jsonl
    contains everything but idempotency keys. Items and conversations that a format leaves
    out are counted on stderr.
    """
    writer = _WRITERS[format_]()
    with open_output(output) as file:
        conversations, messages = on_database(partial(_export, file, writer, user))
    click.echo(f"{conversations} conversations, {messages} messages exported", err=True)
    if isinstance(writer, JsonArray | JsonLines) and (left_out := writer.left_out()):
        click.echo(f"left out, since the format has no place for it: {left_out}", err=True)


async def _export(
    file: BinaryIO, writer: Writer, user: UserId, settings: Settings
) -> tuple[int, int]:
    """Return how many conversations and messages were written."""
    written = messages_written = 0
    is_terminal = file.isatty() and not isinstance(writer, Markdown)  # which sees to it itself
    ends_of = writer.form.ends_of if isinstance(writer, JsonArray) else None
    async with transfer_on(settings) as transfer:
        with progress("exporting", await transfer.count(user)) as advance:
            async with aclosing(
                transfer.export(user, every_branch=writer.writes_branches, ends_of=ends_of)
            ) as pieces:
                async for piece in pieces:
                    written_now = writer.write(piece)
                    file.write(visible_json(written_now) if is_terminal else written_now)
                    messages_written += sum(entry.message is not None for entry in piece.entries)
                    if piece.is_last:
                        written += 1
                        advance(1)
    if isinstance(writer, JsonArray):
        file.write(writer.end())
    return written, messages_written
