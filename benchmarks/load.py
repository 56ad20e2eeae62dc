"""Puts a program under load, from a process of its own, and says how it did."""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Final

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
        if path is None or rate or seconds < 1:
            times = (str(warm_up), str(seconds), str(rate))
            return _run(service, plan, _python(service, file.name, *times))
        if warm_up:
            _run(service, plan, _python(service, file.name, "0", str(warm_up), "0"))
        command = [path, "-t1", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "-s", str(_SCRIPT)]
        return _run(service, plan, [*command, f"http://{HOST}:{service.port}", "--", file.name])


def _python(service: Service, plan: str, *times: str) -> list[str]:
    generator = [sys.executable, "-m", "benchmarks.generator", str(service.port), plan]
    return [*generator, str(CONNECTIONS), *times]


def _run(service: Service, plan: Plan, command: list[str]) -> Load:
    generator_before, before = _children_seconds(), service.busy()
    ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - one of ours
    generator_busy = _children_seconds() - generator_before
    busy = service.busy()
    if ran.returncode:
        raise WrongAnswerError("\n".join((ran.stderr or ran.stdout).splitlines()[-5:]))
    said = json.loads(ran.stdout.splitlines()[-1])
    return Load(
        requests=said["requests"],
        operations=said["requests"] / said["seconds"] / plan.calls,
        p50=said["p50"],
        p95=said["p95"],
        p99=said["p99"],
        worker_ms=None
        if busy is None or before is None
        else (busy - before) / said["sent"] * plan.calls * 1000,
        generator_share=generator_busy / said["seconds"],
    )


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
