"""The report, in Markdown."""

from collections.abc import Iterable
from statistics import median
from typing import Final

from benchmarks.fill import Shape
from benchmarks.load import CONNECTIONS
from benchmarks.programs import BATCH, CHATKEEP, LIMIT, PEER
from benchmarks.results import Cost, Following, Load, Ratio, Results, Search, Speed, median_of
from benchmarks.scale import Scale

MB: Final = 1_000_000
_FOLLOWING: Final = "## Following"
_COST: Final = "## What it costs"
_NAMES: Final = (CHATKEEP.name, PEER.name, LIMIT.name)


def write_page(results: Results, scale: Scale, notes: str, *, seconds: float) -> str:
    """Return the whole page. `notes` are written by hand, in Markdown."""
    parts = [
        _introduction(results, scale, seconds),
        _comparison(results),
        _growth(results),
        *([_search(results.search, scale)] if results.search else []),
        *([_following(results.following)] if results.following else []),
        *([_cost(results.cost, scale)] if results.cost else []),
        notes.strip(),
        _machine(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def with_following(page: str, following: Following, machine: dict[str, str]) -> str:
    """Return the page with this section, in the place of the one that it has, if any."""
    facts = [machine[name] for name in ("processor", "system", "Python")]
    facts.append(f"Postgres {machine['Postgres']}")
    alone = f"Measured alone on {machine['date']}: {'; '.join(facts)}."
    before, _, rest = page.partition(_FOLLOWING)
    if not rest:
        before, _, rest = page.partition(_COST)
        rest = _COST + rest
    else:
        rest = rest[rest.index("\n## ") + 1 :]
    return f"{before}{_following(following)}\n\n{alone}\n\n{rest}"


def _introduction(results: Results, scale: Scale, seconds: float) -> str:
    quick = (
        "**A quick run: small data and short loads. Take the page of a full one for figures.**\n\n"
        if results.quick
        else ""
    )
    ceiling = results.ceiling
    return f"""# How fast it is

{quick}Written by `make bench` on {results.machine["date"]}, in {seconds / 60:.0f} minutes; the
notes below come from `benchmarks/notes.md`. Three programs do the same work:

- **chatkeep**, with JWT authentication (HS256) on;
- **SQLModel** (`benchmarks/peer_sqlmodel.py`): what a team would build instead, FastAPI, SQLModel
  and asyncpg, without authentication;
- **the limit** (`benchmarks/limit_asgi.py`): the least a Python service can do, bare ASGI and
  asyncpg, one statement a request, without authentication, framework or validation.

Each has one uvicorn worker (uvloop, httptools, no access log) and its own database with equal
data ({_shape(scale.compared)}), on one durable Postgres (fsync on). {CONNECTIONS} connections send
requests as fast as answers arrive, and every answer is checked. The programs take turns, in
{scale.rounds} round{"s" if scale.rounds > 1 else ""} of {scale.seconds:g} s for each operation. A
ratio is computed for each round; the tables show the median of the rounds.

Load generator, program and Postgres share the machine's cores, so figures are those of a busy
machine; ratios say more. The load generator manages {ceiling.operations:,.0f} requests/s against an
application that does nothing, so it does not limit the programs."""


def _comparison(results: Results) -> str:
    ratios = [
        [speed.operation, *(_verdict(speed, name) for name in (PEER.name, LIMIT.name))]
        for speed in results.speeds
    ]
    rows = []
    for speed in results.speeds:
        for name, loads in speed.loads.items():
            own = median_of(loads, "worker_ms") if loads[0].worker_ms is not None else None
            rows.append(
                [
                    speed.operation,
                    name,
                    _rate(median_of(loads, "operations")),
                    *(f"{median_of(loads, which):.1f}" for which in ("p50", "p95", "p99")),
                    "" if own is None else f"{own:.2f}",
                ]
            )
    return f"""## Against the others

Throughput of chatkeep as a multiple of the other program's:

{_table(["operation", "SQLModel", "the limit"], ratios)}

*append + context* is one call to chatkeep and two to the others. A batch of {BATCH} messages is
one call to chatkeep and {BATCH} to the SQLModel program.

![Operations per second](benchmarks.svg)

Medians. Latencies are for one request, in ms; *worker* is the processor time that the program
itself takes for an operation, in ms, without Postgres.

{_table(["operation", "program", "operations/s", "p50", "p95", "p99", "worker"], rows)}"""


def _growth(results: Results) -> str:
    rows = [
        [
            growth.name,
            f"{median_of(growth.little, 'p50'):.1f}",
            f"{median_of(growth.much, 'p50'):.1f}",
            _ratio(growth.ratio),
        ]
        for growth in results.growths
    ]
    return f"""## As data grows

Median latency of chatkeep in ms under the same load, with little and with much data,
and the ratio of the two.

{_table(["", "little", "much", "ratio"], rows)}

![Growth](benchmarks-growth.svg)"""


def _search(search: Search, scale: Scale) -> str:
    times = [
        [f"{each.messages:,}", f"{each.p50:.1f}", _ratio(each.p99)] for each in search.latencies
    ]
    kinds = [
        [
            kind,
            *(_with_ilike(each.by_kind[kind], each.ilike.get(kind)) for each in search.latencies),
        ]
        for kind in search.latencies[0].by_kind
    ]
    users = [f"{each.messages:,} messages" for each in search.latencies]
    ratios = [[ratio.name, _ratio(ratio)] for ratio in (search.first, *search.ratios)]
    return f"""## Search

Users with few messages and with many, among {scale.large_table:,} messages of others. Each
searches {scale.searches} times, one after the other, with {len(kinds)} kinds of queries. Times in
ms, over HTTP.

{_table(["messages of the user", "p50", "p99"], times)}

Medians by kind. In brackets is the time of one `ILIKE` for the same word, without HTTP.

{_table(["", *users], kinds)}

{_table(["", "measured"], ratios)}

All of the messages of the user in the middle were indexed after {search.complete_seconds:.1f} s."""


def _with_ilike(own: float, ilike: float | None) -> str:
    return f"{own:.1f}" if ilike is None else f"{own:.1f} ({ilike:.1f})"


def _following(following: Following) -> str:
    shapes = following.shapes
    rows = [
        ["lag p50, in ms", *(f"{each.p50:.1f}" for each in shapes)],
        ["lag p99, in ms", *(f"{each.p99:.1f}" for each in shapes)],
        ["lag p50 while others append, in ms", *(f"{each.loaded_p50:.1f}" for each in shapes)],
        ["lag p99 while others append, in ms", *(f"{each.loaded_p99:.1f}" for each in shapes)],
        ["statements a second", *(f"{each.statements:.0f}" for each in shapes)],
        ["processor time of the worker, in cores", *(f"{each.core:.2f}" for each in shapes)],
        ["appends of others to those without streams", *(_ratio(each.appends) for each in shapes)],
        ["chunks delivered", *(f"{each.deliveries:,}" for each in shapes)],
    ]
    memory = max(each.memory for each in shapes)
    return f"""{_FOLLOWING}

{following.streams:,} streams of events are open in one worker, and {following.drafts} drafts are
written meanwhile, {following.rate:g} chunks a second in all, one by each call. Lag is the
time from that call to the reader, who gets every chunk once and in order.

{_table(["", *(each.name for each in shapes)], rows)}

An open stream takes {memory / 1000:.0f} kB of the worker's memory."""


def _cost(cost: Cost, scale: Scale) -> str:
    served, last = cost.memory[-1]
    half = next(memory for count, memory in cost.memory if count >= served / 2)
    disk = cost.disk
    wires = [
        [wire.operation, *(_wire(wire.statements, wire.round_trips, name) for name in _NAMES)]
        for wire in cost.wires
    ]
    moderate = [
        [operation, f"{rate:,.0f}", *_latencies(load)]
        for operation, (rate, load) in cost.moderate.items()
    ]
    in_table = disk.message_bytes / disk.messages
    in_indexes = disk.message_index_bytes / disk.messages
    return f"""{_COST}

- **Memory** of a worker: {cost.memory[0][1] / MB:.0f} MB when started, {half / MB:.1f} MB after
  {served // 2:,} requests of all kinds, {last / MB:.1f} MB after {served:,}.
- **Start**: {cost.start_seconds:.2f} s from the start of the process to the first 200 of
  `/health/ready`.
- **Disk**: {in_table + in_indexes:.0f} bytes a message with all indexes ({in_table:.0f} in the
  table, {in_indexes:.0f} in indexes), at {disk.average_chars:.0f} characters of text on average and
  user ids of 36. {_shape(scale.plan).capitalize()} are {disk.messages:,} messages and a database of
  {disk.database_bytes / MB:.0f} MB ({disk.database_bytes / 2**20:.0f} MiB).
- **Two workers** against one, on the same cores as Postgres and the load generator, in
  operations/s:
  {_variants(cost.two_workers)}.
- **As shipped**, `chatkeep serve` writes a log line for each request; its throughput relative to
  uvicorn alone: {_variants(cost.as_shipped)}.

Statements of one operation, and round trips to Postgres, counted between the program and it:

{_table(["operation", *_NAMES], wires)}

Latency of chatkeep in ms at a third of the throughput above, the requests evenly spread over time:

{_table(["operation", "requests/s", "p50", "p95", "p99"], moderate)}"""


def _machine(results: Results) -> str:
    rows = [[name, value] for name, value in results.machine.items()]
    return f"## The machine\n\n{_table(['', ''], rows)}"


def _verdict(speed: Speed, name: str) -> str:
    found = [ratio for ratio in speed.ratios if ratio.name.endswith(f" {name}")]
    return _ratio(found[0]) if found else ""


def _ratio(ratio: Ratio) -> str:
    target = f"at least {ratio.at_least:g}" if ratio.at_least else f"at most {ratio.at_most:g}"
    verdict = "met" if ratio.met else "**missed**"
    return f"{ratio.value:.2f} ({target}: {verdict})"


def _variants(variants: dict[str, tuple[float, ...]]) -> str:
    return "; ".join(
        f"{operation}: {median(values):.2f} ({min(values):.2f} to {max(values):.2f})"
        for operation, values in variants.items()
    )


def _latencies(load: Load) -> list[str]:
    return [f"{load.p50:.1f}", f"{load.p95:.1f}", f"{load.p99:.1f}"]


def _wire(statements: dict[str, float], round_trips: dict[str, float], name: str) -> str:
    return f"{statements[name]:g} in {round_trips[name]:g}"


def _rate(operations: float) -> str:
    return f"{operations:,.0f}" if operations >= BATCH / 10 else f"{operations:.1f}"


def _shape(shape: Shape) -> str:
    return (
        f"{shape.users:,} users with {shape.conversations} conversations of "
        f"{shape.messages} messages each"
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
