"""The README's table of routes is the API, all of it; its example of an error is one."""

import json
import re
from pathlib import Path

from tests.support.application import Caller
from tests.support.json_schema import JsonObject

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def test_the_readme_lists_every_route_with_its_query(document: JsonObject) -> None:
    rows = re.findall(r"^\| `([A-Z]+) (/\S+)` \|(.*?)\| .+ \|$", README, re.MULTILINE)
    listed = {(method, path): re.findall(r"`(\w+)`", query) for method, path, query in rows}

    assert len(listed) == len(rows)
    assert listed == {
        (method.upper(), path): [
            each["name"] for each in operation.get("parameters", []) if each["in"] == "query"
        ]
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


async def test_the_error_of_the_readme_is_what_is_answered(alice: Caller) -> None:
    [(sent, answered)] = re.findall(
        r"```sh\n.*messages -d '(.*)'\n```\n\n```json\n(.*)\n```", README
    )
    made = await alice.post("/v1/conversations", json={})
    messages = f"/v1/conversations/{made.json()['id']}/messages"
    response = await alice.post(messages, json=json.loads(sent))

    assert response.text == answered
