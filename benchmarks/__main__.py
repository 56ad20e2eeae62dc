"""python -m benchmarks [--quick] [--check] [--streams]: see `make bench`."""

import argparse
import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from benchmarks.cost import measure_cost
from benchmarks.following import measure_following
from benchmarks.growth import measure_growth
from benchmarks.load import load
from benchmarks.machine import describe_machine
from benchmarks.page import with_following, write_page
from benchmarks.planning import build_plan
from benchmarks.plot import plot_growth, plot_speed
from benchmarks.postgres import durable_server
from benchmarks.programs import CHATKEEP, LIMIT, PEER, TRIVIAL, Call
from benchmarks.results import Results
from benchmarks.scale import FULL, QUICK, Scale
from benchmarks.search import measure_search
from benchmarks.services import running
from benchmarks.speed import compare, create_database, fill_program

STARTED: Final = time.monotonic()
HERE: Final = Path(__file__).parent
DOCS: Final = HERE.parent / "docs"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="finish within a minute; write no page"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write no page; fail if a ratio is half of its minimum or twice its maximum",
    )
    parser.add_argument(
        "--streams",
        action="store_true",
        help="measure live readers only, and write this section of the page",
    )
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.streams:
        write_streams(scale)
        return
    results = measure(scale, quick=arguments.quick)
    notes = (HERE / "notes.md").read_text()
    text = write_page(results, scale, notes, seconds=time.monotonic() - STARTED)
    (HERE / "last.json").write_text(json.dumps(asdict(results), indent=1))
    if arguments.quick or arguments.check:
        sys.stdout.write(text)
    else:
        (DOCS / "benchmarks.md").write_text(text)
        (DOCS / "benchmarks.svg").write_text(plot_speed(results))
        (DOCS / "benchmarks-growth.svg").write_text(plot_growth(results))
        say("wrote docs/benchmarks.md")
    far_off = [ratio for ratio in results.ratios if ratio.far_off]
    if arguments.check and far_off:
        sys.exit("far from the target: " + ", ".join(ratio.name for ratio in far_off))


def write_streams(scale: Scale) -> None:
    """Measure live readers, and write their section of the page."""
    with durable_server() as server:
        url = create_database(CHATKEEP, server, CHATKEEP.name.lower())
        following, machine = measure_following(scale, url), describe_machine(server, scale)
    page = DOCS / "benchmarks.md"
    page.write_text(with_following(page.read_text(), following, machine))


def measure(scale: Scale, *, quick: bool) -> Results:
    """Run all measurements. Raises `WrongAnswerError` or `ServiceError`."""
    with durable_server() as server, ExitStack() as stack:
        say("the load generator's own limit")
        trivial = stack.enter_context(running(TRIVIAL, "postgresql://unused"))
        ceiling = load(trivial, build_plan([[Call("GET", "/", {}, 1)]]), scale.seconds)
        results = Results(quick=quick, machine=describe_machine(server, scale), ceiling=ceiling)

        say("chatkeep, the peer and the limit, in alternation")
        programs = []
        for program in (CHATKEEP, PEER, LIMIT):
            url = create_database(program, server, program.name.lower())
            service = stack.enter_context(running(program, url))
            programs.append(fill_program(program, url, service, scale.compared))
        results.speeds = compare(scale, server, programs)

        say("growth")
        results.growths, disk, large = measure_growth(scale, server)

        say("search")
        results.search = measure_search(scale, large)

        say("following")
        [ours] = [filled for filled in programs if filled.program is CHATKEEP]
        results.following = measure_following(scale, ours.database_url)

        say("cost")
        results.cost = measure_cost(scale, programs, results.speeds, disk)
        return results


def say(what: str) -> None:
    sys.stderr.write(f"bench {time.monotonic() - STARTED:4.0f} s: {what}\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
