"""From one database to another: all that is chatkeep's."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import asyncpg

import chatkeep
from chatkeep.adapters.database_url import DatabaseUrl, parse_database_url
from chatkeep.adapters.operator.move import run as moving
from chatkeep.adapters.operator.move.preflight import MoveError
from chatkeep.adapters.operator.move.run import Advance, Compared, Moved, Seen
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.adapters.piccolo.retries import Timing
from chatkeep.domain.errors import StoreUnavailableError
from chatkeep.entrypoints.bootstrap.database import unpooled
from chatkeep.entrypoints.bootstrap.errors import explained, unavailability
from chatkeep.entrypoints.settings import Settings

__all__ = [
    "Compared",
    "DatabaseUrl",
    "MoveError",
    "Moved",
    "Seen",
    "look",
    "migrate_target",
    "move",
    "named",
]

LONGEST_STATEMENT_SECONDS: Final = 86_400.0
_FOUND_IN: Final = str(Path(chatkeep.__file__).resolve().parents[1])
_MIGRATE: Final = "from chatkeep.entrypoints.cli import main; main()"


def named(url: str) -> DatabaseUrl:
    """Return the database that a URL names, past the pooler. Raises `DatabaseUrlError`."""
    return parse_database_url(url).direct()


async def look(target: DatabaseUrl, settings: Settings) -> Seen:
    """Return what there is to move, and change nothing.

    Raises `MoveError` when the target cannot take it, or cannot be reached.
    """
    there = unpooled(target)
    try:
        await there.fetch("SELECT")
    except (StoreUnavailableError, asyncpg.PostgresError, OSError) as error:
        raise MoveError(f"The target cannot be used. {explained(error)}") from error
    with unavailability():
        return await moving.look(_source(settings), there)


async def migrate_target(url: str) -> None:
    """Bring the database of that URL to the newest schema. Raises `MoveError`.

    In a process of its own, since Piccolo can be set up for one database only.
    """
    ours = {"DATABASE_URL", "DATABASE_URL_DIRECT"}
    rest = {name: it for name, it in os.environ.items() if name not in ours}
    path = os.pathsep.join([_FOUND_IN, rest.get("PYTHONPATH", "")])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _MIGRATE, "migrate"),
        env=rest | {"DATABASE_URL": url, "PYTHONPATH": path.strip(os.pathsep)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        reason = said.decode(errors="replace").strip().removeprefix("chatkeep: ")
        raise MoveError(f"The target could not be migrated. {reason}")


async def move(target: DatabaseUrl, advance: Advance, settings: Settings) -> Moved:
    """Copy and compare. Raises `MoveError`, `StoreUnavailableError`, and asyncpg's errors."""
    timing = Timing(command=LONGEST_STATEMENT_SECONDS)
    with unavailability():
        async with Engine(target.connect_args, timing).pooled() as there:
            return await moving.move(_source(settings), there, advance)


def _source(settings: Settings) -> Engine:
    """Return an engine on the settings' database, whose sessions are long: past the pooler."""
    return unpooled(parse_database_url(settings.database_url).direct())
