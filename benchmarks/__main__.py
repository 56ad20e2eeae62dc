"""python -m benchmarks [--quick] [--check]: see `make bench`."""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.cost import costs
from benchmarks.growth import grow
from benchmarks.load import load
from benchmarks.machine import machine
from benchmarks.page import page
from benchmarks.planning import planned
from benchmarks.plot import growth_plot, speed_plot
from benchmarks.postgres import durable_server
from benchmarks.programs import CHATKEEP, LIMIT, PEER, TRIVIAL, Call
from benchmarks.results import Results
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.services import running
from benchmarks.speed import compare, database, filled

STARTED: Final = time.monotonic()
HERE: Final = Path(__file__).parent
DOCS: Final = HERE.parent / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under one minute; writes no page")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write no page; fail when a ratio is only half of its target, or twice the most",
    )
    given = parser.parse_args()
    scale = QUICK if given.quick else FULL
    results = measure(scale, quick=given.quick)
    text = page(results, scale, (HERE / "notes.md").read_text(), seconds=time.monotonic() - STARTED)
    (HERE / "last.json").write_text(json.dumps(asdict(results), indent=1))
    if given.quick or given.check:
        sys.stdout.write(text)
    else:
        (DOCS / "benchmarks.md").write_text(text)
        (DOCS / "benchmarks.svg").write_text(speed_plot(results))
        (DOCS / "benchmarks-growth.svg").write_text(growth_plot(results))
        say("wrote docs/benchmarks.md")
    far_off = [ratio for ratio in results.ratios if ratio.far_off]
    if given.check and far_off:
        sys.exit("far from the target: " + ", ".join(ratio.name for ratio in far_off))


def measure(scale: Scale, *, quick: bool) -> Results:
    """Do everything. Raises `WrongAnswerError` or `ServiceError` when it cannot be done well."""
    with durable_server() as server, ExitStack() as stack:
        say("the load generator's own limit")
        trivial = stack.enter_context(running(TRIVIAL, "postgresql://unused"))
        ceiling = load(trivial, planned([[Call("GET", "/", {}, 1)]]), scale.seconds)
        results = Results(quick=quick, machine=machine(server, scale), ceiling=ceiling)

        say("chatkeep, the peer and the limit, in alternation")
        programs = []
        for program in (CHATKEEP, PEER, LIMIT):
            url = database(program, server, program.name.lower())
            service = stack.enter_context(running(program, url))
            programs.append(filled(program, url, service, scale.compared))
        results.speeds = compare(scale, server, programs)

        say("growth")
        results.growths, disk = grow(scale, server)

        say("cost")
        results.cost = costs(scale, programs, results.speeds, disk)
        return results


def say(what: str) -> None:
    sys.stderr.write(f"bench {time.monotonic() - STARTED:4.0f} s: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
