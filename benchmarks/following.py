"""Measures live readers: how late they get a chunk, what they cost, and what appends lose by them.

In the first shape each reader follows another conversation, and some of those have a draft.
In the second one all follow conversations with a draft, so that each chunk goes to many readers.
"""

import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from statistics import mean, median
from typing import Any, Final, TypeVar

from benchmarks.fill import Shape, fill
from benchmarks.followers import Followers
from benchmarks.load import WrongAnswerError, load
from benchmarks.plan import Plan
from benchmarks.planning import plan
from benchmarks.programs import CHATKEEP, Conversation, Operation
from benchmarks.results import Following, FollowingShape, Ratio
from benchmarks.scale import Scale
from benchmarks.services import HOST, START_TIMEOUT, Service, running

RATE: Final = 20.0
"""Chunks a second, of all drafts together."""

FRESH_SECONDS: Final = 1.2
"""What `/metrics` says is at most so old, and so the figures of a shorter time would be none."""

STREAMS_OF_A_USER: Final = 20
MIN_APPENDS: Final = 0.9
_STATEMENTS: Final = re.compile(
    r"^chatkeep_(?:statement_duration_seconds_count|own_statements_total(?:\{.*\})?) ([0-9.]+)$",
    re.MULTILINE,
)
T = TypeVar("T")


def measure_following(scale: Scale, url: str) -> Following:
    """Follow conversations that are added to the database, and append to others meanwhile."""
    users = scale.streams // STREAMS_OF_A_USER
    found = fill(CHATKEEP, url, "followed", Shape(users, 2 * STREAMS_OF_A_USER, 10))
    own, rest = found[::2], found[1::2]  # of each user, half of them
    others = plan(CHATKEEP, Operation.APPEND, rest)
    written = own[:: max(1, len(own) // scale.written)][: scale.written]
    shapes = {
        "one reader in each conversation": own,
        f"{len(own) // len(written)} readers on each draft": [
            each for each in written for _ in range(len(own) // len(written))
        ],
    }
    with running(CHATKEEP, url) as service:
        load(service, others, scale.seconds, warm_up=scale.warm_up)
        return Following(
            streams=len(own),
            drafts=len(written),
            rate=RATE,
            shapes=[
                _measure_shape(scale, service, name, followed, written, others)
                for name, followed in shapes.items()
            ],
        )


def _measure_shape(  # noqa: PLR0913, PLR0917 - each is measured with
    scale: Scale,
    service: Service,
    name: str,
    followed: Sequence[Conversation],
    written: Sequence[Conversation],
    others: Plan,
) -> FollowingShape:
    quiet, busy, ratios, memory, cores, statements = [], [], [], [], [], []
    for _ in range(scale.following_rounds):
        before_them = load(service, others, scale.seconds).operations
        resident = service.memory()
        with _followers(service, followed, written) as measure:
            memory.append((service.memory() - resident) / len(followed))
            before = _usage(service)
            quiet.append(measure(lambda: time.sleep(max(scale.seconds, FRESH_SECONDS)))[1])
            used = [now - then for now, then in zip(_usage(service), before, strict=True)]
            cores.append(used[1] / used[0])
            statements.append(used[2] / used[0])
            together, lags = measure(lambda: load(service, others, scale.seconds))
            busy.append(lags)
        after_them = load(service, others, scale.seconds).operations
        ratios.append(together.operations / mean((before_them, after_them)))
    return FollowingShape(
        name=name,
        p50=median(each["p50"] for each in quiet),
        p99=median(each["p99"] for each in quiet),
        loaded_p50=median(each["p50"] for each in busy),
        loaded_p99=median(each["p99"] for each in busy),
        deliveries=sum(each["deliveries"] for each in (*quiet, *busy)),
        memory=max(memory),
        statements=median(statements),
        core=median(cores),
        appends=Ratio(f"appends, {name}, to those without", tuple(ratios), at_least=MIN_APPENDS),
    )


def _usage(service: Service) -> tuple[float, float, float]:
    """Return the time, the processor time of the service so far, and its statements."""
    connection = HTTPConnection(HOST, service.port, timeout=START_TIMEOUT)
    try:
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
    finally:
        connection.close()
    return time.monotonic(), service.busy() or 0.0, sum(map(float, _STATEMENTS.findall(text)))


@contextmanager
def _followers(
    service: Service, followed: Sequence[Conversation], written: Sequence[Conversation]
) -> Iterator[Callable[[Callable[[], T]], tuple[T, dict[str, Any]]]]:
    """Open the streams. Yield what calls a function while drafts are written, and reports."""
    with tempfile.NamedTemporaryFile(suffix=".followers") as file:
        Followers.of(service.port, followed, written, RATE).write(Path(file.name))
        process = subprocess.Popen(  # noqa: S603 - ours
            [sys.executable, "-m", "benchmarks.followers", file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with process:
            if process.stdin is None or process.stdout is None:
                raise TypeError("the followers have no pipes")
            ask, answers = process.stdin, process.stdout

            def tell(line: str) -> None:
                ask.write(line)
                ask.flush()

            def measure(call: Callable[[], T]) -> tuple[T, dict[str, Any]]:
                tell("write\n")
                result = call()
                tell("stop\n")
                report = json.loads(answers.readline() or '{"wrong": "the followers have ended"}')
                if "wrong" in report:
                    raise WrongAnswerError(report["wrong"])
                return result, report

            if not answers.readline():
                raise WrongAnswerError("a stream could not be opened")
            yield measure
            ask.close()
            if process.wait():
                raise WrongAnswerError("the followers failed")
