"""Runs the HTTP application in uvicorn until a signal ends it, and leaves no process behind."""

import asyncio
import errno
import logging.config
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any, Final, NoReturn
from uuid import uuid4

import uvicorn
from litestar import Litestar

from chatkeep.entrypoints import logs
from chatkeep.entrypoints.bootstrap import database
from chatkeep.entrypoints.bootstrap.service import (
    http_app,
    identity,
    memory_settings,
    missing_traces,
)
from chatkeep.entrypoints.bootstrap.tokens import user_token
from chatkeep.entrypoints.http.server.connections import Connection
from chatkeep.entrypoints.settings import Settings, retired_settings, variable
from chatkeep.entrypoints.supervisor import Supervisor

logger = logging.getLogger("chatkeep")

BACKLOG: Final = 2048
KEEP_ALIVE: Final = 75
"""Seconds that a connection may be idle between requests: longer than proxies keep theirs.

When one side closes while the other sends, the request fails. Load balancers and nginx keep idle
connections for 60 seconds.
"""

GRACE: Final = 10
"""Seconds to finish the current requests after the signal to stop."""

HEALTHCHECK: Final = 20
"""Seconds that a worker may fail to respond, also while it starts, before it is replaced."""

CONSOLE: Final = variable("console")
FIRST_USER: Final = "me"
FIRST_TOKEN_SECONDS: Final = 86_400
MAKE_TOKENS: Final = "`chatkeep token --user NAME` prints others."
MAKE_TOKENS_IN_MEMORY: Final = (
    "To print others with `chatkeep token --user NAME`, set the same CHATKEEP_JWT_SECRET for both."
)
IN_MEMORY: Final = "Everything is in memory: nothing is kept when this process ends.\n"

HTTP_APP: Final = "chatkeep.entrypoints.bootstrap.service:http_app"
MEMORY_APP: Final = "chatkeep.entrypoints.bootstrap.service:memory_service"

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

# The directory that the workers share. It is not a setting: only this module sets it.
_WORKERS: Final = "_CHATKEEP_WORKERS"
_LONGEST_DIRECTORY: Final = 80  # bytes; the whole path of a socket may have about 100


class AddressError(OSError):
    """The service cannot listen on the address; the message says why and what to do."""


def serve(settings: Settings, *, host: str, port: int, workers: int, migrate: bool) -> None:
    """Serve until SIGINT or SIGTERM, then finish the current requests within `GRACE` seconds.

    The embedded database is always migrated, another one only with `migrate`. Port 0 means any free
    port.

    Raises `AddressError` before it touches the database, `SettingsError`, and what starting and
    migrating it raises.
    """
    _prepare(settings)
    embedded = not settings.database_url
    with (
        _listen(host, port) as listener,
        database.provide(settings, keep_running=True) as ready,
        _undisturbed_end(),
    ):
        identity(ready)
        if embedded:
            _show_console()
        if embedded or migrate:
            asyncio.run(database.migrate(ready))
        url = _url(listener)
        _say(_address(url) + (_first_steps(url, ready, MAKE_TOKENS) if embedded else ""))
        # All processes must write the same hash of a user, also without a setting.
        os.environ["CHATKEEP_LOG_SALT"] = logs.salt(ready)
        application = HTTP_APP if workers == 1 else f"{__name__}:worker_app"
        with _shared_directory() if workers > 1 else nullcontext():
            _run(listener, application, workers, logs.configuration(settings))


def serve_memory(settings: Settings, *, host: str, port: int) -> None:
    """Serve as `serve` does, in one process and without a database: nothing is kept.

    Raises `AddressError` and `SettingsError`.
    """
    ready = memory_settings(settings)
    identity(ready)
    _show_console()
    _prepare(ready)
    with _listen(host, port) as listener, _undisturbed_end():
        url = _url(listener)
        # A secret that was set may be a real service's: a token of it must not get into a log.
        made_here = ready.jwt_secret != settings.jwt_secret
        first_steps = _first_steps(url, ready, MAKE_TOKENS_IN_MEMORY) if made_here else ""
        _say(_address(url) + IN_MEMORY + first_steps)
        _run(listener, MEMORY_APP, 1, logs.configuration(ready))


def worker_app() -> Litestar:
    """Return the application for one of several workers, which end when their supervisor does."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    shared = os.environ.get(_WORKERS)
    return http_app(workers=Path(shared) if shared else None)


@contextmanager
def _shared_directory() -> Iterator[None]:
    """Make a directory in which the workers find each other's metrics."""
    if sys.platform == "win32":  # which has no Unix sockets
        yield
        return
    long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_DIRECTORY
    # If the supervisor is killed, a worker deletes the directory.
    with tempfile.TemporaryDirectory(
        prefix="chatkeep-",
        dir="/tmp" if long else None,  # noqa: S108 - the directory in it is private
        ignore_cleanup_errors=True,
    ) as directory:
        os.environ[_WORKERS] = directory
        yield


def _prepare(settings: Settings) -> None:
    """Start the log, with the warnings there are, and let signals end the process from now on."""
    for each in _SIGNALS:
        signal.signal(each, _leave)
    logging.config.dictConfig(logs.configuration(settings))
    if (missing := missing_traces()) is not None:
        logger.warning(missing)
    for sentence in retired_settings():
        logger.warning(sentence)


def _run(listener: socket.socket, application: str, workers: int, log: dict[str, Any]) -> None:
    config = uvicorn.Config(
        application,
        factory=True,
        workers=workers,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=Connection,
        ws="none",
        lifespan="on",
        log_config=log,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=GRACE,
        timeout_worker_healthcheck=HEALTHCHECK,
    )
    if workers == 1:
        server = uvicorn.Server(config)
        for each in _SIGNALS:  # its own handlers would raise them again after it has ended
            signal.signal(each, server.handle_exit)
        server.run(sockets=[listener])
        return
    supervisor = Supervisor(config, [listener])
    for each in _SIGNALS:  # it handles them only between its checks of the workers
        signal.signal(each, _leave)
    try:
        supervisor.run()
    finally:
        _end_workers()
    sys.exit(1)  # without a signal: the workers cannot start, and the log says so


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Listen at once, so that no other process takes the address while the database starts."""
    ipv6 = ":" in host
    try:
        listener = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ipv6 else socket.AF_INET,
            backlog=BACKLOG,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        reason = error.strerror or str(error)
        if error.errno == errno.EADDRINUSE:
            reason = "it is in use; stop what listens there, or choose another port with --port"
        raise AddressError(f"Cannot listen on port {port} of {host}: {reason}.") from error
    with listener:
        yield listener


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """Ignore further signals after the block, so that no process is left behind."""
    try:
        yield
    finally:
        _ignore_signals()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    _ignore_signals()
    sys.exit(0)


def _ignore_signals() -> None:
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def _end_workers() -> None:
    workers = multiprocessing.active_children()
    for worker in workers:
        worker.terminate()
    for worker in workers:
        worker.join()


def _end_with(parent: BaseProcess) -> None:
    parent.join()
    shutil.rmtree(os.environ.get(_WORKERS, ""), ignore_errors=True)
    os.kill(os.getpid(), signal.SIGTERM)


def _url(listener: socket.socket) -> str:
    """Return the URL of the service on this machine."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _show_console() -> None:
    """Serve the console, unless the settings say otherwise."""
    if not os.environ.get(CONSOLE, "").strip():
        os.environ[CONSOLE] = "on"


def _console_link(url: str, token: str) -> str:
    """Return a line with a link that opens the console signed in, if it is served."""
    if os.environ.get(CONSOLE) != "on":
        return ""
    link = f"{url}/console/#token={token}"
    return f"\nLook at conversations in a browser, as user {FIRST_USER}:\n{link}\n"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _address(url: str) -> str:
    return f"chatkeep {version('chatkeep')} on {url}, its documentation on {url}/docs\n"


def _first_steps(url: str, settings: Settings, make_tokens: str) -> str:
    """Return a token, and calls to try it with."""
    first_token = user_token(settings, FIRST_USER, seconds=FIRST_TOKEN_SECONDS)
    conversation_id = uuid4()
    curl = "curl -sS -w '\\n'"
    headers = """-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json'"""
    create = f'{{"id": "{conversation_id}", "title": "First steps"}}'
    append = '{"role": "user", "content": "Hello"}'
    return f"""{_console_link(url, first_token)}
A first token, for user {FIRST_USER} and valid for a day, and calls to try it with.
{make_tokens}

TOKEN={first_token}
{curl} {headers} -d '{create}' {url}/v1/conversations
{curl} {headers} -d '{append}' '{url}/v1/conversations/{conversation_id}/messages?context=20'
{curl} {headers} {url}/v1/conversations

"""
