"""Measures search: its latency, the first one, the size of the index, and what appends pay.

`ILIKE` is measured on the same messages, as what an application without an index would do.
"""

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median, quantiles
from typing import Any, Final
from urllib.parse import quote

from benchmarks.client import open_client
from benchmarks.fill import Shape, fill
from benchmarks.load import load
from benchmarks.planning import plan
from benchmarks.postgres import connect, query, vacuum
from benchmarks.programs import CHATKEEP, PAGE, Call, Conversation, Operation, bearer
from benchmarks.results import Ratio, Search, SearchLatency
from benchmarks.scale import Scale
from benchmarks.services import Service, running
from benchmarks.texts import make_source

MAX_FIRST_SECONDS: Final = 1.0
MAX_INDEX_SHARE: Final = 0.35
MIN_APPENDS: Final = 0.95
MAX_ILIKES: Final = 10
_ABSENT: Final = "quetzalcoatlus"

# The texts of all messages are from one small vocabulary; these words are in few of them.
_ADD_RARE_WORDS: Final = """
UPDATE messages SET content = content || ' w' ||
  translate(substr(md5(id::text), 1, 3), '0123456789', 'ghijklmnop') || 'ish'
WHERE user_id = $1"""

_ILIKE: Final = """
SELECT m.conversation_id, m.id, m.content, m.created_at
FROM conversations c JOIN messages m ON m.conversation_id = c.id AND m.user_id = $1
WHERE c.user_id = $1 AND m.content ILIKE '%' || $2 || '%' ORDER BY m.position DESC LIMIT 20"""

_RARE_WORDS: Final = """
SELECT substring(content FROM '[^ ]+$') AS word FROM messages WHERE user_id = $1
ORDER BY id LIMIT 500"""

_BYTES: Final = """
SELECT (pg_total_relation_size('search_segments')
        + pg_total_relation_size('search_conversations'))::bigint AS index_bytes,
       (SELECT sum(octet_length(content))::bigint FROM messages WHERE user_id = ANY($1))
         AS text_bytes"""


def measure_search(scale: Scale, url: str) -> Search:
    """Add users to the database, which has other messages, and search as each of them."""
    users = [_add_user(url, shape) for shape in scale.searched]
    appended = fill(CHATKEEP, url, "searched", scale.appended)
    vacuum(url)
    with running(CHATKEEP, url) as service:
        latencies, seconds, completed = [], 0.0, 0.0
        for shape, target, user in zip(scale.searched, scale.search_targets, users, strict=True):
            first, all_of_it = _catch_up(service, user)
            if shape is scale.searched[len(scale.searched) // 2]:
                seconds, completed = first, all_of_it
            latencies.append(_measure_user(scale, url, service, user, shape, target))
        vacuum(url)
        [row] = query(url, _BYTES, [user.user_id for user in users])
        share = row["index_bytes"] / row["text_bytes"]
        appends = _measure_appends(scale, service, appended)
    middle = scale.searched[len(scale.searched) // 2]
    return Search(
        latencies=latencies,
        first=Ratio(
            f"first page of the first search, {middle.rows:,} messages, in s",
            (seconds,),
            at_most=MAX_FIRST_SECONDS,
        ),
        complete_seconds=completed,
        ratios=(
            Ratio("bytes of the index to those of the text", (share,), at_most=MAX_INDEX_SHARE),
            Ratio("appends of users who search to those of others", appends, at_least=MIN_APPENDS),
        ),
    )


def _add_user(url: str, shape: Shape) -> Conversation:
    user = fill(CHATKEEP, url, f"search {shape.rows}", shape)[0]
    query(url, _ADD_RARE_WORDS, user.user_id)
    return user


def _catch_up(service: Service, user: Conversation) -> tuple[float, float]:
    """Search until all is indexed. Return the seconds until the first answer, and the last one."""
    with open_client(service) as client:
        began = time.perf_counter()
        found = client.call(_searching(user, "booking"))
        first = time.perf_counter() - began
        while not found["complete"]:
            found = client.call(_searching(user, "booking"))
        return first, time.perf_counter() - began


def _measure_user(  # noqa: PLR0913, PLR0917 - each is measured with
    scale: Scale,
    url: str,
    service: Service,
    user: Conversation,
    shape: Shape,
    target: float,
) -> SearchLatency:
    words = [row["word"] for row in query(url, _RARE_WORDS, user.user_id)]
    queries = list(_queries(words, scale.searches))
    times: dict[str, list[float]] = {}
    with open_client(service) as client:
        for _, text in queries[:10]:
            client.call(_searching(user, text))
        for kind, text in queries:
            with _timed(times.setdefault(kind, [])):
                client.call(_searching(user, text))
    every = [took for taken in times.values() for took in taken]
    p99 = quantiles(every, n=100)[-1]
    return SearchLatency(
        messages=shape.rows,
        p50=median(every),
        by_kind={kind: median(taken) for kind, taken in times.items()},
        ilike=asyncio.run(_measure_ilike(url, user, queries)),
        p99=Ratio(f"search, {shape.rows:,} messages: p99 in ms", (p99,), at_most=target),
    )


def _queries(rare: Sequence[str], count: int) -> Iterator[tuple[str, str]]:
    """Yield kinds of queries by turns, each with other words."""
    chance = random.Random(14)  # noqa: S311 - not for security
    source = make_source().split()
    for number in range(count):
        at = chance.randrange(len(source) - 3)
        common = source[at : at + 3]
        word = chance.choice(rare)
        kinds = (
            ("a rare word", word),
            ("a common word", common[0]),
            ("three words", " ".join(common)),
            ("a phrase", f'"{" ".join(common)}"'),
            ("a beginning", f"{word[:4]}*"),
            ("an absent word", f"{_ABSENT}{number}"),
        )
        yield kinds[number % len(kinds)]


async def _measure_ilike(
    url: str, user: Conversation, queries: Sequence[tuple[str, str]]
) -> dict[str, float]:
    """Return the median time of `ILIKE` for queries of one word, by kind."""
    times: dict[str, list[float]] = {}
    connection: Any = await connect(url)
    try:
        for kind, text in queries:
            taken = times.setdefault(kind, [])
            if text.isalnum() and len(taken) < MAX_ILIKES:
                with _timed(taken):
                    await connection.fetch(_ILIKE, user.user_id, text)
    finally:
        await connection.close()
    return {kind: median(taken) for kind, taken in times.items() if taken}


@contextmanager
def _timed(times: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    times.append((time.perf_counter() - began) * 1_000)


def _measure_appends(
    scale: Scale, service: Service, conversations: Sequence[Conversation]
) -> tuple[float, ...]:
    """Return the throughput of appends of users who have searched, relative to that of others."""
    half = len(conversations) // 2
    ours, others = conversations[:half], conversations[half:]
    for user in {each.user_id: each for each in ours}.values():
        _catch_up(service, user)
    ratios = []
    for number in range(scale.rounds):
        warm_up = 0 if number else scale.warm_up
        done = [
            load(service, plan(CHATKEEP, Operation.APPEND, part), scale.seconds, warm_up=warm_up)
            for part in (ours, others)
        ]
        ratios.append(done[0].operations / done[1].operations)
    return tuple(ratios)


def _searching(user: Conversation, text: str) -> Call:
    path = f"/v1/search?q={quote(text)}&limit={PAGE}"
    return Call("GET", path, bearer(user.user_id), PAGE)
