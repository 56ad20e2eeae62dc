#!/usr/bin/env python3
"""Sends known collections of hostile input to a new service, and compares what it returns.

    .venv/bin/python .ci/check_hostile.py FILE...

A file is JSON of one of two kinds. It is a list of texts, like minimaxir's big list of naughty
strings, or a list of `{"name", "expect": "accept" | "reject" | "either", "base64"}`, documents from
nst's JSONTestSuite. The check sends every text in each place where a caller may send one, and
expects it back exactly. It sends every document as the body to each route that takes one. If the
document is valid, it also sends it as metadata and expects the same value back.
"""

import json
import sys
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
from service import KEY, say, service

Json = dict[str, Any]

MAX_SHOWN = 20
BATCH = 25
TITLE_CHARS = 200
ID_CHARS = 255
USER_CHARS = 1_000
SERVER_ERROR = 500


class Service:
    """Sends requests, and counts the statuses and the failures."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self.statuses: Counter[int] = Counter()
        self.failures: list[str] = []
        self.compared = 0

    def send(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        answer = self._http.request(method, path, content=content)
        self.statuses[answer.status_code] += 1
        where = f"{method} {path:.60} {content or b''!r:.100}"
        if answer.status_code >= SERVER_ERROR:
            self.fail(f"{where}: {answer.status_code}")
        elif answer.is_error:
            problem = answer.json()
            errors = problem.get("errors") or problem.get("error", {}).get("message")
            if answer.status_code in {400, 413, 422} and not (errors or problem.get("detail")):
                self.fail(f"{where}: {answer.status_code} without an explanation")
            if answer.status_code in {413, 422} and not errors:
                self.fail(f"{where}: {answer.status_code} does not name a field")
        return answer

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - any JSON
        content = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        answer = self.send(method, path, content)
        if not answer.is_success:
            self.fail(f"{method} {path}: {answer.status_code} {answer.text:.300}")
            return None
        return answer.json() if answer.content else None

    def check_equal(self, what: str, found: object, sent: object) -> None:
        self.compared += 1
        if found != sent:
            self.fail(f"{what}: {found!r:.200} is not {sent!r:.200}")

    def fail(self, what: str) -> None:
        self.failures.append(what)
        if len(self.failures) <= MAX_SHOWN:
            say(f"FAILED {what}")


def try_texts(api: Service, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), BATCH):
        some = texts[start : start + BATCH]
        title = some[0][:TITLE_CHARS]
        made = api.call("POST", "/v1/conversations", {"title": title, "metadata": {title: title}})
        api.check_equal(
            "title and metadata", (made["title"], made["metadata"]), (title, {title: title})
        )
        path = f"/v1/conversations/{made['id']}"
        messages = [message for text in some for message in _messages(text)]
        api.call("POST", f"{path}/messages", {"messages": messages})
        history = api.call("GET", f"{path}/messages?limit=100")["items"]
        for sent, found in zip(messages, history, strict=True):
            api.check_equal(f"message {sent['role']}", {key: found[key] for key in sent}, sent)
        api.call("GET", f"{path}/context?limit=100")
        api.call("GET", f"{path}/context?limit=100&format=anthropic")
        for text in some:
            changed = api.call("PATCH", path, {"title": text[:TITLE_CHARS]})
            api.check_equal("renamed", changed["title"], text[:TITLE_CHARS])
    for text in texts:
        encoded = quote(text, safe="")
        api.send("GET", f"/v1/conversations?cursor={encoded}")
        api.send("GET", f"/v1/conversations?{encoded}=1")
        # Clients remove path segments of dots.
        if text.strip("."):
            api.send("GET", f"/v1/conversations/{encoded}")
            api.send("GET", f"/v1/{encoded}")
            _try_user(api, text[:ID_CHARS])


def _try_user(api: Service, user_id: str) -> None:
    path = f"/v1/users/{quote(user_id, safe='')}"
    added = api.send("PUT", path)
    if added.is_success:
        api.check_equal("user id", added.json()["id"], user_id)
        api.send("DELETE", path)


def _messages(text: str) -> Iterator[Json]:
    call_id, short = (text or "empty")[:ID_CHARS], text[:ID_CHARS]
    yield {
        "role": "user",
        "content": text[:USER_CHARS],
        "name": short,
        "metadata": {text: text, "in": [{text: [text]}]},
    }
    function = {"name": call_id, "arguments": text, text: text}
    yield {
        "role": "assistant",
        "content": text,
        "tool_calls": [{"id": call_id, "type": "function", "function": function}],
    }
    yield {"role": "tool", "tool_call_id": call_id, "content": text, "name": short}


def try_documents(api: Service, documents: Sequence[Mapping[str, str]]) -> None:
    conversation = f"/v1/conversations/{uuid4()}"
    api.call("PUT", conversation)
    for document in documents:
        raw = b64decode(document["base64"])
        api.send("POST", "/v1/conversations", raw)
        api.send("PUT", f"/v1/conversations/{uuid4()}", raw)
        api.send("PATCH", conversation, raw)
        api.send("POST", f"{conversation}/messages", raw)
        api.send("POST", f"{conversation}/messages", b'{"messages": [' + raw + b"]}")
        api.send("POST", "/openai/v1/conversations", raw)
        api.send("POST", "/openai/v1/conversations", b'{"items": [' + raw + b"]}")
        stored = api.send("PATCH", conversation, b'{"metadata": {"it": ' + raw + b"}}")
        if stored.is_success:
            if document["expect"] == "reject":
                api.fail(f"{document['name']} was accepted")
            found = api.call("GET", conversation)["metadata"]["it"]
            api.check_equal(document["name"], found, json.loads(raw))
        elif document["expect"] == "accept":
            api.fail(f"{document['name']} was not accepted: {stored.text:.200}")


def main(files: Sequence[str]) -> int:
    begun = time.monotonic()
    headers = {
        "Authorization": f"Bearer {KEY}",
        "X-User-Id": "alice",
        "Content-Type": "application/json",
    }
    with (
        service() as running,
        httpx.Client(base_url=running.url, headers=headers, timeout=60, trust_env=False) as http,
    ):
        api = Service(http)
        for file in files:
            content = json.loads(Path(file).read_text(encoding="utf-8"))
            kind = try_texts if isinstance(content[0], str) else try_documents
            kind(api, content)
            say(f"{Path(file).name}: {len(content)} inputs")
        faults = running.faults()
    for line in faults:
        api.fail(f"in the log: {line}")
    statuses = ", ".join(f"{status}: {count}" for status, count in sorted(api.statuses.items()))
    say(f"{api.statuses.total()} requests ({statuses}); {api.compared} values compared")
    say(f"{len(api.failures)} failures in {time.monotonic() - begun:.0f} seconds")
    return bool(api.failures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
