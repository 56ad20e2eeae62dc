"""The command line as an operator runs it: in a separate process with its own environment."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from tests.support.forks import Fork
from tests.support.waiting import PATIENCE

PROJECT = Path(__file__).parents[2]
CHATKEEP = Path(sys.executable).with_name("chatkeep")
SECRET = "an-example-secret-of-at-least-thirty-two-bytes"


def environment(**given: str) -> dict[str, str]:
    """Return the environment with these settings and no others."""
    ours = {"DATABASE_URL", "DATABASE_URL_DIRECT"}
    rest = {k: v for k, v in os.environ.items() if k not in ours and not k.startswith("CHATKEEP_")}
    return rest | given


def chatkeep(
    *arguments: str | Path, stdin: str = "", **settings: str
) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end, and check that it shows no traceback."""
    command = [CHATKEEP, *arguments]
    with Fork(command, environment(**settings)) as process:
        out, error = process.communicate(stdin, timeout=PATIENCE)
    assert "Traceback" not in error, error
    return subprocess.CompletedProcess(command, process.wait(), out, error)


def start_serve(
    *arguments: str,
    settings: Mapping[str, str],
    command: Sequence[str | Path] = (CHATKEEP,),
    stderr: int | TextIO = subprocess.PIPE,
    new_session: bool = False,
) -> "subprocess.Popen[str]":
    """Start `chatkeep serve` on a free port. The first line that it prints has the URL."""
    return subprocess.Popen(
        [*command, "serve", "--port", "0", *arguments],
        cwd=PROJECT,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=stderr,
        encoding="utf-8",
        start_new_session=new_session,
    )


def url_in(printed: str) -> str | None:
    found = re.search(r"http://\S+(?=,)", printed)
    return found and found[0]


def processes_about(home: Path) -> set[int]:
    """Return the ids of processes that work in the directory or name it in their command."""
    return {int(each.name) for each in Path("/proc").iterdir() if _is_about(each, home)}


def descendants(pid: int) -> set[int]:
    """Return the ids of the process and all its descendants."""
    parents: dict[int, int] = {}
    for each in Path("/proc").iterdir():
        if each.name.isdecimal():
            try:
                stat = (each / "stat").read_text()
            except OSError:
                continue
            parents[int(each.name)] = int(stat.rpartition(")")[2].split()[1])
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _is_about(process: Path, home: Path) -> bool:
    if not process.name.isdecimal():
        return False
    try:
        command = (process / "cmdline").read_bytes()
        return os.fsencode(home) in command or (process / "cwd").readlink().is_relative_to(home)
    except OSError:
        return False


def catches(pid: int, caught: signal.Signals) -> bool:
    """Return whether the process handles the signal itself."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    [mask] = [line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")]
    return bool(int(mask, 16) >> (caught - 1) & 1)
