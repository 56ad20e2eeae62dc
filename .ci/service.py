#!/usr/bin/env python3
"""Runs the service for the checks, on a temporary database."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CHATKEEP = Path(sys.executable).with_name("chatkeep")
KEY = "sk_of_the_checks_0123456789abcdef0123456789"
SECONDS = 60


@dataclass
class Running:
    url: str
    log: Path

    def faults(self) -> list[str]:
        """Return the lines of the log about errors in the service."""
        found = re.compile(r"ERROR|Traceback|Error\b")
        return [line for line in self.log.read_text().splitlines() if found.search(line)]


@contextmanager
def service(**settings: str) -> Iterator[Running]:
    """Run the service on a free port, with the service key `KEY`."""
    rest = {name: it for name, it in os.environ.items() if not name.startswith("CHATKEEP_")}
    rest.pop("DATABASE_URL", None)
    home = Path(tempfile.mkdtemp(prefix="chatkeep-check-"))
    home.chmod(0o711)  # the account that runs Postgres must be able to enter it
    own = {"CHATKEEP_HOME": str(home / "home"), "CHATKEEP_SERVICE_KEYS": KEY}
    log = home / "log"
    with (
        log.open("w") as stderr,
        subprocess.Popen(  # noqa: S603 - our own program
            [CHATKEEP, "serve", "--port", "0"],
            env=rest | own | settings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        ) as process,
    ):
        try:
            first = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://\S+(?=,)", first)
            if found is None:
                sys.exit(f"the service did not start:\n{log.read_text()}")
            yield Running(found[0], log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(SECONDS)
            finally:
                process.kill()
    shutil.rmtree(home)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
