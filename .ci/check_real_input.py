#!/usr/bin/env python3
"""Runs a file of real conversations through a new service, and compares what comes out.

The file is imported twice, exported, and read over HTTP: lists, histories in both directions,
contexts in both formats. The output must equal the input exactly. Each conversation of the file
needs a unique `source`, by which the check finds it again.

    .venv/bin/python .ci/check_real_input.py FILE
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import httpx

Line = dict[str, Any]

CHATKEEP = Path(sys.executable).with_name("chatkeep")
USER = "real"
SECONDS = 120
PAGE = 100
SHORT_CONTEXT = 7  # messages; shorter than most conversations
MAX_SHOWN = 20  # failures; the others are only counted
KEPT = ("role", "content", "tool_calls", "tool_call_id", "name")


class Checks:
    """Counts comparisons that passed and failed."""

    def __init__(self) -> None:
        self.passed: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self._begun = time.monotonic()

    def equal(self, what: str, where: str, found: object, wanted: object) -> None:
        if found == wanted:
            self.passed[what] += 1
            return
        self.failed[what] += 1
        if self.failed.total() <= MAX_SHOWN:
            say(f"FAILED {what}: {where}: {found!r:.300} is not {wanted!r:.300}")

    def report(self) -> None:
        for what in sorted(self.passed | self.failed):
            say(f"{what}: {self.passed[what]} passed, {self.failed[what]} failed")
        seconds = time.monotonic() - self._begun
        say(f"{self.passed.total()} passed, {self.failed.total()} failed in {seconds:.0f} seconds")


class Api:
    """Calls the service over HTTP as the user."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self._client = httpx.Client(base_url=url, headers=headers, timeout=30)

    def get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401 - any JSON
        answer = self._client.get(path, params=params)
        answer.raise_for_status()
        return answer.json()

    def pages(self, path: str, **params: str | int) -> Iterator[Any]:
        page = self.get(path, limit=PAGE, **params)
        yield from page["items"]
        while page["next_cursor"]:
            page = self.get(path, limit=PAGE, cursor=page["next_cursor"])
            yield from page["items"]


def main() -> int:
    if len(sys.argv) != 2:  # noqa: PLR2004 - the script and its argument
        say("usage: check_real_input.py FILE")
        return 2
    file = Path(sys.argv[1]).resolve()
    given = read_lines(file)
    say(f"{len(given)} conversations, {sum(len(line['messages']) for line in given)} messages")
    checks = Checks()
    signal.signal(signal.SIGALRM, give_up)
    signal.signal(signal.SIGTERM, give_up)
    signal.alarm(SECONDS)
    with home() as environment, service(environment) as url:
        exported = check_transfer(file, given, environment, checks)
        token = chatkeep(environment, "token", "--user", USER).strip()
        check_http(Api(url, token), exported, checks)
    checks.report()
    return 1 if checks.failed else 0


def check_transfer(
    file: Path, given: list[Line], environment: dict[str, str], checks: Checks
) -> list[Line]:
    """Import the file twice, and return the lines of an export."""
    count, messages = len(given), sum(len(line["messages"]) for line in given)
    begun = datetime.now(UTC)
    first = chatkeep(environment, "import", file, "--user", USER)
    ended = datetime.now(UTC)
    wanted = f"{count} imported, 0 already there, 0 refused; {messages} messages imported\n"
    checks.equal("import", str(file), first, wanted)
    again = chatkeep(environment, "import", file, "--user", USER)
    wanted = f"0 imported, {count} already there, 0 refused; 0 messages imported\n"
    checks.equal("import again", str(file), again, wanted)

    output = Path(environment["CHATKEEP_HOME"]) / "exported.jsonl"
    chatkeep(environment, "export", "--user", USER, "--output", output)
    exported = read_lines(output)
    checks.equal("export", "conversations", len(exported), count)
    by_source = {line["source"]: line for line in exported}
    for line in given:
        source = line["source"]
        found = by_source[source]
        checks.equal("title", source, found["title"], line.get("title"))
        kept = [{key: message.get(key) for key in KEPT} for message in found["messages"]]
        meant = [{key: message.get(key) for key in KEPT} for message in line["messages"]]
        checks.equal("messages", source, kept, meant)
        times = parse_times(found)
        now = parse_time(found["created_at"])
        checks.equal("times", source, times, expect_times(line, now))
        if not any(list_times(line)):
            meanwhile = min(max(now, begun), ended)
            checks.equal("times not given", source, now, meanwhile)
    return exported


def list_times(line: Line) -> Iterator[str]:
    """Yield the times in the line, in order."""
    for each in (line, *line["messages"]):
        if each.get("created_at"):
            yield each["created_at"]


def expect_times(line: Line, now: datetime) -> list[datetime]:
    """Return the expected times of the conversation and its messages.

    A message without a time gets that of the message before.
    """
    first = next(list_times(line), None)
    times = [parse_time(first) if first else now]
    for message in line["messages"]:
        given = message.get("created_at")
        times.append(parse_time(given) if given else times[-1])
    return times


def parse_times(line: Line) -> list[datetime]:
    return [parse_time(each["created_at"]) for each in (line, *line["messages"])]


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check_http(api: Api, exported: list[Line], checks: Checks) -> None:
    by_id = {line["id"]: line for line in exported}
    listed = list(api.pages("/v1/conversations"))
    checks.equal("list", "ids", Counter(each["id"] for each in listed), Counter(by_id.keys()))
    order = [(parse_time(each["updated_at"]), each["id"]) for each in listed]
    checks.equal("list", "order", order, sorted(order, reverse=True))
    for each in listed:
        line = by_id[each["id"]]
        where = line["source"]
        checks.equal("list", where, each["title"], line["title"])
        checks.equal("list", where, each["message_count"], len(line["messages"]))
        path = f"/v1/conversations/{each['id']}"
        forwards = list(api.pages(f"{path}/messages", order="asc"))
        backwards = list(api.pages(f"{path}/messages", order="desc"))
        keys = ("id", "created_at", *KEPT)
        found = [{key: message[key] for key in keys} for message in forwards]
        wanted = [{key: message.get(key) for key in keys} for message in line["messages"]]
        checks.equal("history", where, found, wanted)
        checks.equal("history backwards", where, backwards[::-1], forwards)

        contents = Counter(message["content"] for message in line["messages"])
        for limit in (SHORT_CONTEXT, PAGE):
            context = api.get(f"{path}/context", limit=limit, format="openai")["messages"]
            checks.equal("context for OpenAI", where, find_unpaired_openai(context), None)
            added = Counter(message["content"] for message in context) - contents
            checks.equal("context, contents unchanged", where, added, Counter())
            context = api.get(f"{path}/context", limit=limit, format="anthropic")["messages"]
            checks.equal("context for Anthropic", where, find_unpaired_anthropic(context), None)


def find_unpaired_openai(messages: list[Line]) -> str | None:
    """Return the first error, if any. Each call must be answered directly after it, once."""
    open_calls: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return f"message {number} does not answer an open call"
            open_calls.remove(message["tool_call_id"])
            continue
        if open_calls:
            return f"message {number} comes before the results of {sorted(open_calls)}"
        calls = [call["id"] for call in message.get("tool_calls", ())]
        open_calls = set(calls)
        if len(open_calls) < len(calls):
            return f"message {number} has two calls with the same id"
    return f"no result for {sorted(open_calls)}" if open_calls else None


def find_unpaired_anthropic(messages: list[Line]) -> str | None:
    """Return the first error, if any. Turns must alternate, the user's first, results come next."""
    open_uses: set[str] = set()
    for number, message in enumerate(messages):
        if message["role"] != ("assistant" if number % 2 else "user"):
            return f"turn {number} has the role {message['role']}"
        blocks = message["content"] if isinstance(message["content"], list) else []
        results = [block["tool_use_id"] for block in blocks if block["type"] == "tool_result"]
        if set(results) != open_uses or len(results) != len(open_uses):
            return f"turn {number} answers {results}, not {sorted(open_uses)}"
        open_uses = {block["id"] for block in blocks if block["type"] == "tool_use"}
    return f"no result for {sorted(open_uses)}" if open_uses else None


def read_lines(file: Path) -> list[Line]:
    return [json.loads(line) for line in file.read_bytes().split(b"\n") if line.strip()]


def chatkeep(environment: dict[str, str], *arguments: str | Path) -> str:
    """Run a command and return its output. If it fails, print its errors and exit."""
    done = subprocess.run(  # noqa: S603 - our own program
        [CHATKEEP, *arguments], env=environment, capture_output=True, encoding="utf-8", check=False
    )
    if done.returncode:
        say(done.stdout + done.stderr)
        sys.exit(1)
    return done.stdout


@contextmanager
def home() -> Iterator[dict[str, str]]:
    """Yield the environment of a service with a new embedded database."""
    path = Path(tempfile.mkdtemp(prefix="chatkeep-real-input-"))
    path.chmod(0o711)  # for root the database runs under another account
    rest = {k: v for k, v in os.environ.items() if not k.startswith(("CHATKEEP_", "DATABASE_URL"))}
    try:
        yield {**rest, "CHATKEEP_HOME": str(path)}
    finally:
        shutil.rmtree(path)


@contextmanager
def service(environment: dict[str, str]) -> Iterator[str]:
    """Yield the URL of a running service."""
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(  # noqa: S603 - our own program
            [CHATKEEP, "serve", "--port", "0"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=log,
            encoding="utf-8",
        ) as process,
    ):
        try:
            printed = process.stdout.readline() if process.stdout else ""
            found = re.search(r"http://[^\s,]+", printed)
            if found is None:
                log.seek(0)
                say(f"the service did not start:\n{log.read()}")
                sys.exit(1)
            yield found[0]
        finally:
            process.terminate()


def give_up(number: int, _frame: FrameType | None) -> NoReturn:
    say(f"timed out after {SECONDS} seconds" if number == signal.SIGALRM else "terminated")
    sys.exit(1)


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
