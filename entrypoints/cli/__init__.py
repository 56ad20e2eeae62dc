"""The command line: `chatkeep` and its commands, a module for each."""

import logging
import sys
from importlib import import_module
from typing import Final

import click

from chatkeep.entrypoints.bootstrap.errors import explain
from chatkeep.entrypoints.tracebacks import without_values

COMMANDS: Final = {
    "adopt": "adopt:adopt",
    "distribute": "distribute:distribute",
    "doctor": "doctor:doctor",
    "erase": "erase:erase",
    "export": "export:export",
    "import": "import_:import_",
    "index": "index:index",
    "migrate": "migrate:migrate",
    "move": "move:move",
    "serve": "serve:serve",
    "stats": "stats:stats",
    "sweep": "sweep:sweep",
    "token": "token:token",
}


class Commands(click.Group):
    """Imports a command when it runs: importing all of them takes most of a second."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name].partition(":")
        command: click.Command = getattr(import_module(f"{__name__}.{module}"), name)
        return command


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chatkeep", message="%(prog)s %(version)s")
def cli() -> None:
    """Keep every conversation of your chatbot on your own Postgres.

    The database is that of DATABASE_URL; without it, an embedded Postgres is started.
    """
    # A command reports an error once; only `serve` has a log.
    logging.getLogger("chatkeep").addHandler(logging.NullHandler())


def main() -> None:
    """Run a command. An error that an operator can fix is one line on stderr, and exit status 1."""
    try:
        cli(prog_name="chatkeep")
    except Exception as error:  # noqa: BLE001 - the last place to report it
        explanation = explain(error)
        if explanation is None:  # a fault of the program, to be reported with its traceback
            click.echo(without_values(error), err=True)
        else:
            click.echo(f"chatkeep: {explanation}", err=True)
        sys.exit(1)
