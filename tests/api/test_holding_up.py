"""No body holds up the others: whatever is in it, and wherever, the event loop goes on in between.

Every route that takes a body is found, and every field of it; each gets the worst JSON there is:
a third of it, or with the full counts all of it, and as much as is allowed, up to what a test has
time for. How long the loop stands still is measured in time of the processor, and set against how
long it stands still for ordinary JSON of that size.
"""

import asyncio
import gc
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import product
from string import ascii_letters
from time import process_time
from typing import Any, NamedTuple, get_args
from uuid import UUID

import msgspec
import pytest
from litestar import Litestar
from litestar.routes import HTTPRoute

from chatkeep.entrypoints.bootstrap.service import memory_app
from tests.api.builders import started
from tests.support.application import Caller, serving, settings, token
from tests.support.service_process import FULL, some

QUICK_BYTES = 100_000
FULL_BYTES = 1_500_000
TICK = 0.002

# By the name of a field: what surrounds a value there, so that it is looked at as deep as anything.
SURROUNDINGS = {
    "metadata": ("%s", '{"a":%s}'),
    "tool_calls": (
        "%s",
        '[{"id":"a","type":"function","function":{"name":"f","arguments":""},"more":%s}]',
    ),
    "items": (
        "%s",
        '[{"type":"reasoning","more":%s}]',
        '[{"role":"user","content":%s}]',
        '[{"role":"user","content":[{"type":"input_text","text":"a","more":%s}]}]',
        '[{"type":"function_call_output","call_id":"c","output":%s}]',
    ),
}


def repeated(piece: str, size: int, ending: str = "") -> str:
    return piece * (size // len(piece)) + ending


def distinct_members(size: int) -> str:
    names = ("".join(letters) for letters in product(ascii_letters, repeat=4))
    return ",".join(f'"{next(names)}":1' for _ in range(size // 9))


def worst(size: int) -> dict[str, str]:
    """Return JSON values of about so many bytes, by what is bad about them."""
    calls = '{"id":"%d","type":"function","function":{"name":"f","arguments":""}}'
    return {
        "digits": f"[{repeated('1' * 4_200 + ',', size)}1]",
        "digits and an exponent": f'["1e5",1e5,{repeated("1" * 4_200 + ",", size)}1]',
        "one number": repeated("1", size),
        "one fraction": repeated("1", size, ".") + "5",
        "decimals": f"[{repeated('0.' + '1' * 1_000 + ',', size)}1]",
        "exponents": f"[{repeated('1e308,', size)}1]",
        "small numbers": f"[{repeated('5e-324,', size)}1]",
        "integers": f"[{repeated('1,', size)}1]",
        "names": f"{{{distinct_members(size)}}}",
        "the same name": f'{{{repeated(chr(34) + "a" + chr(34) + ":1,", size)}"b":1}}',
        "texts": f"[{repeated(chr(34) * 2 + ',', size)}1]",
        "lists": f"[{repeated('[],', size)}1]",
        "objects": f"[{repeated('{},', size)}1]",
        "pairs": f"[{repeated(json.dumps({'a': 1}) + ',', size)}1]",
        "nesting": f"[{repeated('[' * 90 + ']' * 90 + ',', size)}1]",
        "escapes": f'"{repeated(chr(92) + "n", size)}"',
        "escaped quotes": f'"{repeated(chr(92) + chr(34), size)}"',
        "code points": f'"{repeated(chr(92) + "u0041", size)}"',
        "half a surrogate": f'"{repeated(chr(92) + "ud83e" + chr(92) + "uddf5", size)}\\ud83e"',
        "backslashes": f'"{repeated(chr(92) * 2, size)}"',
        "commas": f'"{repeated(",[{", size)}"',
        "space": f"[{repeated(' ', size)}1]",
        "a long text": f'"{repeated("a", size)}"',
        "calls": f"[{','.join(calls % n for n in range(size // len(calls)))}]",
        "messages": f"[{repeated(json.dumps({'role': 'user', 'content': 'a'}) + ',', size)}1]",
    }


def ordinary(size: int) -> str:
    return json.dumps({f"member {n}": f"text {n}" for n in range(size // 28)})


class Taking(NamedTuple):
    """A route that takes a body: its fields, and how large a body may be."""

    method: str
    path: str
    fields: tuple[str, ...]
    most: int

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def taking(app: Litestar) -> Iterator[Taking]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for method, (handler, _) in sorted(route.route_handler_map.items()):
            data = handler.parsed_fn_signature.parameters.get("data")
            if data is not None:
                [kind] = structs(data.annotation)
                most = handler.resolve_request_max_body_size()
                assert most
                yield Taking(method, route.path_format, tuple(fields(kind)), most)


def structs(annotation: Any) -> list[type]:  # noqa: ANN401 - any annotation
    """Return the structs that stand in it."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return [annotation]
    return [found for each in get_args(annotation) for found in structs(each)]


def fields(kind: type) -> Iterator[str]:
    """Yield each field as the text of an object with `%s` where its value goes."""
    names = {field.encode_name for field in msgspec.structs.fields(kind)}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        beside = {"role": "assistant", "content": "a"}
        others = "".join(
            f',"{key}":"{value}"'
            for key, value in beside.items()
            if key in names and name not in {key, "messages"}
        )
        for surrounding in SURROUNDINGS.get(name, ("%s",)):
            yield f'{{"{name}":{surrounding}{others}}}'
        for inner in structs(field.type):
            yield from (f'{{"{name}":[{within}]}}' for within in fields(inner))
    yield '{"unknown":%s}'


class Loop:
    """Notes for how long the event loop stands still, in processor time of this process."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._last = process_time()

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            self.look()

    def look(self) -> None:
        now = process_time()
        self.longest = max(self.longest, now - self._last)
        self._last = now


async def held_by(app: Litestar, method: str, path: str, body: bytes) -> tuple[float, int]:
    """Return for how long a request held the loop, and the status it was answered with."""
    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (b"authorization", token("alice").encode()),
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ],
    }
    statuses: list[int] = []

    async def receive() -> Any:  # noqa: ANN401 - ASGI's own
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - ASGI's own
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    loop = Loop()
    watching = asyncio.create_task(loop.watch())
    await app(scope, receive, send)
    loop.look()
    watching.cancel()
    return loop.longest, statuses[0]


@asynccontextmanager
async def left_out_of_garbage_collection() -> AsyncIterator[None]:
    """Leave out what is there, as the service does when it starts: it is the whole test session."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


ROUTES = list(taking(memory_app(settings())))


def test_all_routes_that_take_a_body_are_found() -> None:
    found = {str(route) for route in ROUTES}

    assert found >= {
        "POST /v1/conversations",
        "PUT /v1/conversations/{conversation_id}",
        "PATCH /v1/conversations/{conversation_id}",
        "POST /v1/conversations/{conversation_id}/messages",
        "POST /openai/v1/conversations",
        "POST /openai/v1/conversations/{conversation_id}",
        "POST /openai/v1/conversations/{conversation_id}/items",
    }


@pytest.mark.parametrize("route", some(ROUTES, every=3), ids=str)
async def test_the_worst_body_holds_the_loop_hardly_longer_than_an_ordinary_one(
    route: Taking,
) -> None:
    size = min(route.most * 9 // 10, FULL_BYTES) if FULL else QUICK_BYTES
    async with serving(settings()) as service, left_out_of_garbage_collection():
        alice = service.user("alice")

        async def held(path: str, body: str) -> float:
            assert len(body) <= route.most
            seconds, status = await held_by(service.app, route.method, path, body.encode())
            assert status < 500
            return seconds

        path = await filled_in(route.path, alice)
        usual = max([await held(path, of % ordinary(size)) for of in route.fields])
        # What one call of the parser takes for that much, as a measure of this machine.
        began = process_time()
        json.loads(ordinary(size))
        bound = 12 * max(usual, process_time() - began, TICK)
        values = list(worst(size).items())
        every = 1 if FULL else 6
        for at, of in enumerate(route.fields):
            path = await filled_in(route.path, alice)
            for name, value in values[at % every :: every]:
                # Something else may have happened meanwhile: what is slow is so each time.
                taken = [await held(path, of % value)]
                while taken[-1] > bound and len(taken) < 3:
                    taken.append(await held(path, of % value))
                assert min(taken) <= bound, (of, name, taken, usual)


async def filled_in(path: str, caller: Caller) -> str:
    """Return the path with the id of a new conversation."""
    conversation = (await started(caller))["id"]
    if path.startswith("/openai"):
        conversation = f"conv_{UUID(conversation).hex}"
    return path.replace("{conversation_id}", conversation)
