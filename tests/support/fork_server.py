"""Starts commands as forks of a process that has imported the product: that takes a second.

A command still is a process of its own, with its environment, its directory and its files, and it
ends as Python ends. Commands whose start is what a test is about are executed instead.
"""

import gc
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module
from typing import Literal, TextIO

ERRORS = 2
MODULES = (
    "chatkeep.entrypoints.bootstrap.service",
    "chatkeep.entrypoints.bootstrap.operator",
    # What uvicorn imports when it starts.
    "uvicorn.lifespan.on",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)
FILES = 4
"""Of each command: stdin, stdout, stderr, and where its id and its exit status are written."""


def preload() -> None:
    commands = import_module("chatkeep.entrypoints.cli").COMMANDS
    for name in commands.values():
        import_module(f"chatkeep.entrypoints.cli.{name.partition(':')[0]}")
    for name in MODULES:
        import_module(name)
    # An application imports more when it is made.
    service = import_module("chatkeep.entrypoints.bootstrap.service")
    settings = import_module("chatkeep.entrypoints.settings")
    service.memory_app(settings.Settings(jwt_secret="only to make an application, never to sign"))
    gc.collect()
    gc.freeze()


def serve(requests: socket.socket) -> str:
    """Return in each process that is to run a command, with the code that it runs first."""
    while True:
        size, files, _, _ = socket.recv_fds(requests, 8, FILES)
        if not size:
            sys.exit()
        _forget_those_that_ended()
        asked = json.loads(_exactly(requests, int(size)))
        if os.fork() == 0:
            requests.close()
            _wait_for_fork(files)
            first: str = asked.pop("first")
            _become(files, **asked)
            return first
        for each in files:
            os.close(each)


def _forget_those_that_ended() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _exactly(requests: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += requests.recv(size - len(found))
    return found


def _wait_for_fork(files: list[int]) -> None:
    """Fork, and return in the child only; tell its id, and how it ended."""
    pid = os.fork()
    if pid == 0:
        return
    *given, told = files
    for each in (*given, 0, 1, 2):
        os.close(each)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.write(told, b"%d\n" % pid)
    _, status = os.waitpid(pid, 0)
    os.write(told, b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _become(
    files: list[int], *, arguments: list[str], environment: dict[str, str], folder: str
) -> None:
    """Take these files, arguments and so on, as a program does that was just executed."""
    for target, each in enumerate(files[:-1]):
        os.dup2(each, target)
    for each in files:
        os.close(each)
    sys.stdin = _stream(0, "r", sys.stdin)
    sys.stdout = _stream(1, "w", sys.stdout)
    sys.stderr = _stream(ERRORS, "w", sys.stderr)
    sys.argv = arguments
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)


def _stream(number: int, mode: Literal["r", "w"], like: TextIO) -> TextIO:
    # What is on stderr is seen at once, line by line, as Python has it.
    buffering = 1 if number == ERRORS else -1
    return os.fdopen(
        number, mode, buffering, encoding=like.encoding, errors=like.errors, closefd=False
    )


if __name__ == "__main__":
    preload()
    with socket.socket(fileno=int(sys.argv[1])) as its_requests:
        its_first = serve(its_requests)
    from chatkeep.entrypoints.cli import main

    exec(its_first, {})
    main()
