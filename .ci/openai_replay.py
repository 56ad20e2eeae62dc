#!/usr/bin/env python3
"""Sends real conversations with the `openai` package, reads them back, and compares them exactly.

It runs in an environment with that package: `check_openai_replay.py` starts it. With OpenAI's
specification it also validates every response against its schema.
"""

import json
import sys
from pathlib import Path
from typing import Any

import openai
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

CHUNK = 20
MAX_SHOWN = 10
SCHEMAS = "#/components/schemas/"

Item = dict[str, Any]


class Replay:
    def __init__(self, url: str, token: str, specification: Path | None) -> None:
        self.client = openai.OpenAI(base_url=f"{url}/openai/v1", api_key=token, max_retries=0)
        self.validators: dict[str, Draft202012Validator] = {}
        if specification:
            document = json.loads(specification.read_text())
            registry = Registry().with_resource("urn:openai", Resource.opaque(document))
            for name in document["components"]["schemas"]:
                schema = {"$ref": f"urn:openai{SCHEMAS}{name}"}
                self.validators[name] = Draft202012Validator(schema, registry=registry)
        self.passed = self.failed = self.validated = 0

    def run(self, messages: list[Item], where: str) -> None:
        items = [item for message in messages for item in to_items(message)]
        raw = self.client.conversations.with_raw_response
        made = self.body(raw.create(), "ConversationResource", where)
        raw_items = self.client.conversations.items.with_raw_response
        stored: list[Item] = []
        for start in range(0, len(items), CHUNK):
            answer = raw_items.create(made["id"], items=items[start : start + CHUNK])
            stored += self.body(answer, "ConversationItemList", where)["data"]
        wanted = [complete(item, kept["id"]) for item, kept in zip(items, stored, strict=True)]
        self.equal(stored, wanted, f"{where} answered")
        for order in ("asc", "desc"):
            found: list[Item] = []
            page: Item = {"has_more": True}
            while page["has_more"]:
                after = {"after": page["last_id"]} if found else {}
                answer = raw_items.list(made["id"], order=order, limit=37, **after)
                page = self.body(answer, "ConversationItemList", where)
                found += page["data"]
            self.equal(found, wanted if order == "asc" else wanted[::-1], f"{where} {order}")
        one = raw_items.retrieve(stored[0]["id"], conversation_id=made["id"])
        self.equal(self.body(one, "ConversationItem", where), wanted[0], f"{where} retrieved")
        parent = raw_items.delete(stored[-1]["id"], conversation_id=made["id"])
        self.body(parent, "ConversationResource", where)
        self.body(raw.delete(made["id"]), "DeletedConversationResource", where)

    def body(self, answer: Any, schema: str, where: str) -> Any:  # noqa: ANN401 - the package's
        found = json.loads(answer.http_response.text)
        if self.validators:
            self.validated += 1
            for error in self.validators[schema].iter_errors(found):
                self.equal(error.message[:300], "valid by the specification", where)
        return found

    def equal(self, found: object, wanted: object, where: str) -> None:
        # The order of keys counts too.
        if json.dumps(found) == json.dumps(wanted):
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= MAX_SHOWN:
            sys.stdout.write(f"FAILED {where}: {found!r:.400} is not {wanted!r:.400}\n")


def to_items(message: Item) -> list[Item]:
    if message["role"] == "tool":
        output = {"call_id": message["tool_call_id"], "output": message["content"]}
        return [{"type": "function_call_output", **output}]
    found: list[Item] = []
    if message.get("content"):
        found.append({"role": message["role"], "content": message["content"]})
    found += [
        {"type": "function_call", "call_id": call["id"], **call["function"]}
        for call in message.get("tool_calls") or ()
    ]
    return found


def complete(item: Item, item_id: str) -> Item:
    """Return an item as OpenAI returns it: missing fields are filled in, others unchanged."""
    if "type" in item:
        return {"id": item_id, **item, "status": "completed"}
    part: Item = {"type": "input_text", "text": item["content"]}
    if item["role"] == "assistant":
        part |= {"type": "output_text", "annotations": [], "logprobs": []}
    message = {**item, "content": [part]}
    return {"id": item_id, "type": "message", **message, "status": "completed"}


def main() -> int:
    url, token, file, *specification = sys.argv[1:]
    replay = Replay(url, token, Path(specification[0]) if specification else None)
    with Path(file).open(encoding="utf-8", newline="\n") as lines:
        for number, line in enumerate(lines, 1):
            replay.run(json.loads(line)["messages"], f"line {number}")
    if replay.validated:
        sys.stdout.write(f"{replay.validated} responses validated by OpenAI's specification\n")
    sys.stdout.write(f"{replay.passed} passed, {replay.failed} failed\n")
    return 1 if replay.failed else 0


if __name__ == "__main__":
    sys.exit(main())
