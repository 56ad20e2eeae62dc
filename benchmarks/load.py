"""Puts a program under load from a separate process, and returns the measurements."""

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
    """A program sent an unexpected response, so the measurement is invalid."""


@cache
def find_wrk() -> str | None:
    """Return the path of wrk, or None if it is not installed."""
    return shutil.which("wrk")


def generator_name(seconds: float) -> str:
    """Return the name of the load generator for loads of that length."""
    path = find_wrk()
    if path is None or seconds < 1:
        return "Python, on uvloop (`benchmarks/generator.py`)"
    shown = subprocess.run([path, "-v"], capture_output=True, text=True, check=False)  # noqa: S603 - as found
    return " ".join(shown.stdout.split()[:2])


def load(
    service: Service, plan: Plan, seconds: float, *, warm_up: float = 0.0, rate: float = 0.0
) -> Load:
    """Send the plan's requests for `seconds`, after a warm-up that is not measured.

    They are sent as fast as responses arrive or, with `rate`, evenly spread at that many per
    second. wrk sends them if it is installed, but it can do neither rates nor fractions of a
    second. Raises `WrongAnswerError` for the first response that does not match the plan.
    """
    path = find_wrk()
    with tempfile.NamedTemporaryFile(suffix=".plan") as file:
        plan.write(Path(file.name))
        before = service.busy()
        if path is None or rate or seconds < 1:
            report = _run_python(service.port, file.name, warm_up, seconds, rate)
        else:
            if warm_up:
                _run_python(service.port, file.name, 0, warm_up, 0)
                before = service.busy()
            report = _run_wrk(path, service.port, file.name, seconds)
        busy = service.busy()
    return Load(
        requests=report["requests"],
        operations=report["requests"] / report["seconds"] / plan.calls,
        p50=report["p50"],
        p95=report["p95"],
        p99=report["p99"],
        worker_ms=None
        if busy is None or before is None
        else (busy - before) / report["sent"] * plan.calls * 1000,
        generator_share=report["busy"] / report["seconds"],
    )


def _run_python(port: int, plan: str, *times: float) -> dict[str, Any]:
    generator = _start_generator()
    if generator.stdin is None or generator.stdout is None:
        raise TypeError("the generator has no pipes")
    generator.stdin.write(f"{port} {plan} {CONNECTIONS} {' '.join(map(str, times))}\n")
    generator.stdin.flush()
    line = generator.stdout.readline()
    report: dict[str, Any] = json.loads(line or '{"wrong": "the load generator has ended"}')
    if "wrong" in report:
        raise WrongAnswerError(report["wrong"])
    return report


@cache
def _start_generator() -> "subprocess.Popen[str]":
    """Start the generator once. It ends together with this process, which closes the pipe."""
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _run_wrk(path: str, port: int, plan: str, seconds: float) -> dict[str, Any]:
    command = [path, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(_SCRIPT)]
    command += [f"http://{HOST}:{port}", "--", plan]
    before = _children_seconds()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - as found
    if ran.returncode:
        raise WrongAnswerError((ran.stderr or ran.stdout).strip())
    report: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return report | {"busy": _children_seconds() - before}


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
