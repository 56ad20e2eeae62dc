"""Keeps several workers running, and logs why one ended."""

import logging
import signal
import socket
from typing import Final

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

logger = logging.getLogger("chatkeep")

FAILED_STARTS: Final = 5
"""After this many in a row, while no worker serves, the next one would fail as well."""

_KILLED: Final = -9
_REACTION: Final = 0.2
"""Seconds to wait for a worker to say that it has started."""


class Supervisor(Multiprocess):
    """uvicorn's supervisor, which replaces a worker that ended, with a line in the log for each.

    It gives up when workers keep failing to start.
    """

    def __init__(self, config: uvicorn.Config, sockets: list[socket.socket]) -> None:
        super().__init__(config, sockets)
        self._serving: set[Process] = set()
        self._failed_starts = 0

    def keep_subprocess_alive(self) -> None:
        before = [*self.processes]
        running = {process for process in before if process.exitcode is None}
        super().keep_subprocess_alive()
        for process in before:
            if process not in self.processes:
                self._report(process, was_running=process in running)
        self._serving &= {*self.processes}
        for process in {*self.processes} - self._serving:
            if process.is_ready(_REACTION):
                self._serving.add(process)
                self._failed_starts = 0
        if self._failed_starts >= FAILED_STARTS and not self._serving:
            logger.error(
                "%d workers in a row ended before they served anything; giving up. If nothing "
                "above says why, run a single one: chatkeep serve --workers 1",
                self._failed_starts,
            )
            self.should_exit.set()

    def _report(self, process: Process, *, was_running: bool) -> None:
        started = process in self._serving
        if not started:
            self._failed_starts += 1
        if was_running and process.exitcode == _KILLED:  # by uvicorn
            how = f"did not respond for {self.config.timeout_worker_healthcheck} s and was killed"
        else:
            how = _describe_end(process.exitcode or 0)
        when = "" if started else " before it served anything"
        logger.warning("worker %s %s%s; another takes its place", process.pid, how, when)


def _describe_end(exit_code: int) -> str:
    if exit_code >= 0:
        return f"ended with exit status {exit_code}"
    try:
        return f"was ended by {signal.Signals(-exit_code).name}"
    except ValueError:
        return f"was ended by signal {-exit_code}"
