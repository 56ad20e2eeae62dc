"""`chatkeep serve`."""

from typing import Final

import click

from chatkeep.entrypoints import serving
from chatkeep.entrypoints.settings import Settings

MAX_PORT: Final = 65_535


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 is every address.")
@click.option(
    "--port",
    default=8000,
    show_default=True,
    type=click.IntRange(0, MAX_PORT),
    help="0 is any free port.",
)
@click.option(
    "--workers", default=1, show_default=True, type=click.IntRange(1), help="Number of processes."
)
@click.option(
    "--memory",
    is_flag=True,
    help="Serve from memory, without a database, for tests: nothing is kept.",
)
@click.option(
    "--migrate",
    is_flag=True,
    help="Migrate the database first; the embedded one is always migrated.",
)
def serve(host: str, port: int, workers: int, *, memory: bool, migrate: bool) -> None:
    """Serve over HTTP until Ctrl-C or SIGTERM."""
    settings = Settings.from_env()
    if not memory:
        serving.serve(settings, host=host, port=port, workers=workers, migrate=migrate)
        return
    if migrate:
        raise click.UsageError("With --memory there is nothing to migrate: leave --migrate out.")
    if workers > 1:
        raise click.UsageError(
            "With --memory each worker would have separate conversations: leave --workers out."
        )
    serving.serve_memory(settings, host=host, port=port)
