"""Runs the HTTP application in uvicorn until it is told to stop, and leaves no process behind."""

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
from chatkeep.entrypoints.settings import Settings, retired_settings
from chatkeep.entrypoints.supervisor import Supervisor

logger = logging.getLogger("chatkeep")

BACKLOG: Final = 2048
KEEP_ALIVE: Final = 75
"""For so many seconds a connection may rest between requests: longer than proxies keep theirs.

Whoever closes first while the other one sends has a request fail. Load balancers and nginx keep
idle connections for 60 seconds.
"""

GRACE: Final = 10
"""For so many seconds requests that are under way may go on after the service is told to stop."""

HEALTHCHECK: Final = 20
"""For so many seconds a worker may not react, while it starts too, before it is replaced."""

FIRST_USER: Final = "me"
FIRST_TOKEN_SECONDS: Final = 86_400
MAKE_TOKENS: Final = "`chatkeep token --user NAME` makes others."
MAKE_TOKENS_IN_MEMORY: Final = (
    "To make others with `chatkeep token --user NAME`, set the same CHATKEEP_JWT_SECRET for both."
)
IN_MEMORY: Final = "Everything is in memory only: nothing is kept when this process ends.\n"

HTTP_APP: Final = "chatkeep.entrypoints.bootstrap.service:http_app"
MEMORY_APP: Final = "chatkeep.entrypoints.bootstrap.service:memory_service"

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

# Where workers look for the directory that they share. It is no setting: nobody else sets it.
_WORKERS: Final = "_CHATKEEP_WORKERS"
_LONGEST_DIRECTORY: Final = 80  # a socket's whole path has about 100 bytes


class AddressError(OSError):
    """The address cannot be listened on; the message says why and what to do."""


def serve(settings: Settings, *, host: str, port: int, workers: int, migrate: bool) -> None:
    """Serve until SIGINT or SIGTERM; then finish what is under way, for `GRACE` seconds.

    The embedded database is always migrated, another one with `migrate`. Port 0 is any free one.

    Raises `AddressError` before the database is touched, `SettingsError`, and what starting and
    migrating it raises.
    """
    _prepare(settings)
    embedded = not settings.database_url
    with (
        _listening(host, port) as listener,
        database.running(settings, keep_running=True) as ready,
        _undisturbed_end(),
    ):
        identity(ready)
        if embedded or migrate:
            asyncio.run(database.migrate(ready))
        url = _url(listener)
        _say(_address(url) + (_first_steps(url, ready, MAKE_TOKENS) if embedded else ""))
        # Where nothing else decides it, all processes are to write the same hash of a user.
        os.environ["CHATKEEP_LOG_SALT"] = logs.salt(ready)
        application = HTTP_APP if workers == 1 else f"{__name__}:worker_app"
        with _shared_directory() if workers > 1 else nullcontext():
            _run(listener, application, workers, logs.configuration(settings))


def serve_memory(settings: Settings, *, host: str, port: int) -> None:
    """Serve as `serve` does, in one process and without a database: nothing is kept.

    Raises `AddressError` and `SettingsError`.
    """
    _prepare(settings)
    with _listening(host, port) as listener, _undisturbed_end():
        ready = memory_settings(settings)
        identity(ready)
        url = _url(listener)
        # A secret that was set may be that of a real service, so no token of it gets into a log.
        made_here = ready.jwt_secret != settings.jwt_secret
        first_steps = _first_steps(url, ready, MAKE_TOKENS_IN_MEMORY) if made_here else ""
        _say(_address(url) + IN_MEMORY + first_steps)
        _run(listener, MEMORY_APP, 1, logs.configuration(settings))


def worker_app() -> Litestar:
    """Return the application for one of several processes; it ends when its supervisor is gone."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        Thread(target=_end_with, args=(parent,), daemon=True).start()
    shared = os.environ.get(_WORKERS)
    return http_app(workers=Path(shared) if shared else None)


@contextmanager
def _shared_directory() -> Iterator[None]:
    """Make a directory for the workers alone, in which they find each other's counts."""
    if sys.platform == "win32":  # there are no sockets in directories
        yield
        return
    long = len(os.fsencode(tempfile.gettempdir())) > _LONGEST_DIRECTORY
    # A worker that is left alone takes the directory with it.
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
        for each in _SIGNALS:  # it raises them again when it is done: not to end us there
            signal.signal(each, server.handle_exit)
        server.run(sockets=[listener])
        return
    supervisor = Supervisor(config, [listener])
    for each in _SIGNALS:  # it looks at them only between its checks of the workers
        signal.signal(each, _leave)
    try:
        supervisor.run()
    finally:
        _end_workers()
    sys.exit(1)  # nobody asked for the end: the workers cannot start, and the log says so


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """Listen from now on, so that nobody else takes the address while the database starts."""
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
            reason = "it is in use; stop what listens there, or choose another with --port"
        raise AddressError(f"Cannot listen on port {port} of {host}: {reason}.") from error
    with listener:
        yield listener


@contextmanager
def _undisturbed_end() -> Iterator[None]:
    """From the end on, ignore the signals that asked for it: nobody is to be left behind."""
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
    shutil.rmtree(os.environ.get(_WORKERS, ""), ignore_errors=True)  # nobody else will
    os.kill(os.getpid(), signal.SIGTERM)


def _url(listener: socket.socket) -> str:
    """Return where the service can be called from this machine."""
    host, port = listener.getsockname()[:2]
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _address(url: str) -> str:
    return f"chatkeep {version('chatkeep')} on {url}, its documentation on {url}/docs\n"


def _first_steps(url: str, settings: Settings, make_tokens: str) -> str:
    """Return a token and calls to try it on. With a database of their own, it is for no log."""
    first_token = user_token(settings, FIRST_USER, seconds=FIRST_TOKEN_SECONDS)
    conversation_id = uuid4()
    curl = "curl -sS -w '\\n'"
    headers = """-H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json'"""
    create = f'{{"id": "{conversation_id}", "title": "First steps"}}'
    append = '{"role": "user", "content": "Hello"}'
    return f"""
A first token, of user {FIRST_USER} and good for a day, and calls to try it on.
{make_tokens}

TOKEN={first_token}
{curl} {headers} -d '{create}' {url}/v1/conversations
{curl} {headers} -d '{append}' '{url}/v1/conversations/{conversation_id}/messages?context=20'
{curl} {headers} {url}/v1/conversations

"""
