"""Puts a program under load, from a process of its own, and says how it did."""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from benchmarks.plan import Plan
from benchmarks.results import Load
from benchmarks.services import HOST, Service

CONNECTIONS: Final = 32
_SCRIPT: Final = Path(__file__).parent / "wrk.lua"


class WrongAnswerError(Exception):
    """A program answered something else than what was asked: the measurement is worth nothing."""


@cache
def wrk() -> str | None:
    """Return the path of wrk, where it is installed."""
    return shutil.which("wrk")


def generator_name(seconds: float) -> str:
    """Say what makes loads of that length."""
    path = wrk()
    if path is None or seconds < 1:
        return "Python, on uvloop (`benchmarks/generator.py`)"
    shown = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)  # noqa: S603 - as found
    return " ".join(shown.stdout.split()[:2])


def load(
    service: Service, plan: Plan, seconds: float, *, warm_up: float = 0.0, rate: float = 0.0
) -> Load:
    """Send the plan's requests for that long, after a warm-up that is not measured.

    As fast as answers come or, evenly spread, so many a second. wrk does it, where it is installed,
    but not at a rate nor in fractions of a second. Raises `WrongAnswerError` for the first answer
    that is not as the plan says.
    """
    path = wrk()
    with tempfile.NamedTemporaryFile(suffix=".plan") as file:
        plan.write(Path(file.name))
        before = service.busy()
        if path is None or rate or seconds < 1:
            said = _python(service.port, file.name, warm_up, seconds, rate)
        else:
            if warm_up:
                _python(service.port, file.name, 0, warm_up, 0)
                before = service.busy()
            said = _wrk(path, service.port, file.name, seconds)
        busy = service.busy()
    return Load(
        requests=said["requests"],
        operations=said["requests"] / said["seconds"] / plan.calls,
        p50=said["p50"],
        p95=said["p95"],
        p99=said["p99"],
        worker_ms=None
        if busy is None or before is None
        else (busy - before) / said["sent"] * plan.calls * 1000,
        generator_share=said["busy"] / said["seconds"],
    )


def _python(port: int, plan: str, *times: float) -> dict[str, Any]:
    generator = _generator()
    if generator.stdin is None or generator.stdout is None:
        raise TypeError("the generator is talked to through pipes")
    generator.stdin.write(f"{port} {plan} {CONNECTIONS} {' '.join(map(str, times))}\n")
    generator.stdin.flush()
    line = generator.stdout.readline()
    said: dict[str, Any] = json.loads(line or '{"wrong": "the load generator ended by itself"}')
    if "wrong" in said:
        raise WrongAnswerError(said["wrong"])
    return said


@cache
def _generator() -> "subprocess.Popen[str]":
    """Start the generator; it ends when this process does, and with it the pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _wrk(path: str, port: int, plan: str, seconds: float) -> dict[str, Any]:
    command = [path, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(_SCRIPT)]
    command += [f"http://{HOST}:{port}", "--", plan]
    before = _children_seconds()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as found
    if ran.returncode:
        raise WrongAnswerError((ran.stderr or ran.stdout).strip())
    said: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return said | {"busy": _children_seconds() - before}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
