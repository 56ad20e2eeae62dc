"""The OpenAPI document says what the service does, all of it and nothing else."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from litestar.routes import HTTPRoute

from chatkeep.domain.formats.table import Format
from chatkeep.domain.model import Limits, Order, Role, Status
from tests.api.builders import answers, calls, says
from tests.support.application import Service, serving, settings
from tests.support.json_schema import Json, JsonObject, faults, is_valid, resolved
from tests.support.openapi_contract import MARKDOWN, NDJSON, PARAMETER, PROBLEM_JSON, Operation

SCHEMAS = "#/components/schemas/"
# What the native API documents; others may stand beside it in the same document.
ROUTES = re.compile(r"/(v1|health)/")


@pytest.fixture(scope="session")
def operations(service: Service) -> list[Operation]:
    return [each for each in service.contract.operations if ROUTES.match(each.path)]


def parts(value: Json, at_: str = "#") -> Iterator[tuple[str, JsonObject]]:
    """Yield every object of the document with its place, but what examples hold."""
    if isinstance(value, dict):
        yield at_, value
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        if isinstance(each, dict | list) and key not in {"example", "examples", "default"}:
            yield from parts(each, f"{at_}/{str(key).replace('/', '~1')}")


def schemas(document: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    for where, each in parts(document):
        *_, parent, last = ["", *where.split("/")]
        if last in {"schema", "items"} or parent in {"schemas", "properties"}:
            yield where, each


def test_it_is_openapi_3_1(document: JsonObject) -> None:
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"] == "chatkeep"
    assert document["info"]["version"]
    assert document["info"]["description"]
    assert {"openapi", "info", "paths", "components", "tags", "servers"} == document.keys()
    assert all(path.startswith("/") for path in document["paths"])


def test_every_reference_leads_somewhere(document: JsonObject) -> None:
    references = [each["$ref"] for _, each in parts(document) if "$ref" in each]

    assert references
    for reference in references:
        assert resolved({"$ref": reference}, document)
    used = {each.removeprefix(SCHEMAS) for each in references}
    for name, schema in document["components"]["schemas"].items():
        assert name in used, f"nobody refers to {name}"
        assert schema["title"]


def test_every_schema_uses_words_that_the_tests_check(document: JsonObject) -> None:
    for where, schema in schemas(document):
        values: list[Json] = [None, "text", 1, [{}], {"a": 1}]
        for value in values:
            unknown = [each for each in faults(value, schema, document) if "unknown" in each]
            assert not unknown, f"{where}: {unknown}"


def test_what_is_published_is_what_is_routed(service: Service, document: JsonObject) -> None:
    routed = {
        (route.path_format, method.lower())
        for route in service.app.routes
        if isinstance(route, HTTPRoute) and ROUTES.match(route.path)
        for method in route.methods - {"OPTIONS"}
    }
    published = {
        (path, method)
        for path, methods in document["paths"].items()
        if ROUTES.match(path)
        for method in methods
    }

    assert published == routed
    assert len(routed) >= 17


def test_every_operation_says_what_it_is(document: JsonObject, operations: list[Operation]) -> None:
    ids = Counter(each.described["operationId"] for each in _all_of(document))
    assert max(ids.values()) == 1
    tags = {each["name"] for each in document["tags"]}
    for operation in operations:
        described = operation.described
        assert re.fullmatch(r"[a-z][A-Za-z]+", described["operationId"])
        assert 3 <= len(described["summary"]) <= 60
        assert described["description"].endswith(".")
        assert set(described["tags"]) <= tags


def _all_of(document: JsonObject) -> Iterator[Operation]:
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            yield Operation(path, method.upper(), described)


def test_every_parameter_says_what_it_is(document: JsonObject, operations: list[Operation]) -> None:
    for operation in operations:
        found = operation.described.get("parameters", [])
        names = [(each["name"], each["in"]) for each in found]
        assert len(set(names)) == len(names)
        in_path = {each["name"] for each in found if each["in"] == "path"}
        assert in_path == {each.strip("{}") for each in PARAMETER.findall(operation.path)}
        for parameter in found:
            assert parameter["in"] in {"path", "query", "header"}
            assert parameter["required"] is (parameter["in"] == "path")
            assert parameter["description"]
            schema = resolved(parameter["schema"], document)
            assert schema["type"] in {"boolean", "integer", "string", "object"}
            assert (schema["type"] == "object") is (parameter.get("style") == "deepObject")
            if schema["type"] == "integer":
                may_be_0 = parameter["name"] in {"after", "branch", "number", "wait"}
                assert schema["minimum"] == (0 if may_be_0 else 1)
                assert schema["maximum"] >= 60
            if "default" in schema:
                assert is_valid(schema["default"], schema, document)


def test_every_operation_under_v1_asks_for_somebody(
    document: JsonObject, operations: list[Operation]
) -> None:
    schemes = document["components"]["securitySchemes"]
    assert schemes["bearer"]["type"] == "http"
    assert schemes["acting_for"]["name"] == "X-User-Id"
    for operation in operations:
        needed = operation.described.get("security", [])
        assert all(name in schemes for each in needed for name in each)
        if operation.path.startswith("/health"):
            assert needed == []
        elif operation.path.startswith(("/v1/users", "/v1/audit", "/v1/overview")):
            assert needed == [{"bearer": []}]
        else:
            assert needed == [{"bearer": []}, {"bearer": [], "acting_for": []}]


def test_every_answer_is_described(document: JsonObject, operations: list[Operation]) -> None:
    everywhere = {"400", "401", "403", "422", "429", "500", "503"}
    for operation in operations:
        responses = operation.described["responses"]
        if operation.path.startswith("/v1/"):
            assert everywhere <= responses.keys()
            of_bodies = {"408", "413", "415"}
            has_body = "requestBody" in operation.described
            has_body |= operation.described["operationId"] == "streamDraft"  # of several types
            assert of_bodies & responses.keys() == (of_bodies if has_body else set())
        assert any(status.startswith("2") for status in responses)
        for status, response in responses.items():
            described = resolved(response, document)
            assert described["description"] not in {"", "Additional response"}
            content = described.get("content", {})
            media_types = set() if status in {"204", "304"} else {"application/json"}
            if operation.path.endswith("/export"):
                is_of_one = operation.described["operationId"] == "exportConversation"
                media_types = {NDJSON, MARKDOWN} if is_of_one else {NDJSON}
            if operation.path.endswith("/events") and status == "200":
                media_types |= {"text/event-stream"}
            assert content.keys() == ({PROBLEM_JSON} if status >= "400" else media_types)
            for name, header in described.get("headers", {}).items():
                assert header["description"], name
                assert header["schema"], name


def test_headers_that_help_are_announced(document: JsonObject, service: Service) -> None:
    responses = document["components"]["responses"]
    assert "Retry-After" in responses["Unavailable"]["headers"]
    assert "Retry-After" in responses["TooMany"]["headers"]
    assert "WWW-Authenticate" in responses["Unidentified"]["headers"]
    [append] = [
        each
        for each in service.contract.operations
        if each.described["operationId"] == "appendMessages"
    ]
    assert "Chatkeep-Warning" in append.described["responses"]["201"]["headers"]


def test_an_append_is_one_message_or_several_and_never_both(document: JsonObject) -> None:
    append = {"$ref": f"{SCHEMAS}Append"}

    for right in (says("a"), calls("c"), answers("c"), {"messages": [says("a")]}):
        assert is_valid(right, append, document)
    wrong_ones: list[Json] = [
        {},
        {"content": "a"},
        {"messages": []},
        {"messages": None},
        {"messages": [says("a")], "role": "user"},
        says("a") | {"message": 1},
        {"messages": [{}]},
        [says("a")],
        None,
    ]
    for wrong in wrong_ones:
        assert not is_valid(wrong, append, document)


def test_choices_are_those_of_the_domain(document: JsonObject) -> None:
    for choices in (Role, Status, Order, Format):
        published = document["components"]["schemas"][choices.__name__]
        assert published["enum"] == list(choices)


async def test_limits_are_those_of_the_settings() -> None:
    def said(document: JsonObject) -> dict[str, Any]:
        bodies = document["components"]["schemas"]
        message = bodies["NewMessage"]["properties"]
        page = document["paths"]["/v1/conversations"]["get"]["parameters"]
        return {
            "max_message_chars": message["content"].get("maxLength"),
            "max_title_chars": bodies["CreateConversation"]["properties"]["title"].get("maxLength"),
            "max_batch": bodies["Append"]["oneOf"][1]["properties"]["messages"].get("maxItems"),
            "max_page": next(each for each in page if each["name"] == "limit")["schema"]["maximum"],
            "max_user_message_chars": re.findall(r"\d+", message["content"]["description"]),
            "max_metadata_bytes": re.findall(r"\d+", message["metadata"]["description"]),
        }

    names = list(said_names := ("max_message_chars", "max_title_chars", "max_batch", "max_page"))
    in_words = ("max_user_message_chars", "max_metadata_bytes")
    raised = {name: 7_000 + number for number, name in enumerate((*names, *in_words))}
    off = dict.fromkeys(raised, 0)
    for changes, expected in (
        ({}, {name: getattr(Limits(), name) for name in raised}),
        (raised, raised),
        (off, dict.fromkeys(said_names) | {"max_page": 2**31 - 1}),
    ):
        async with serving(settings(**changes)) as service:
            found = said(service.contract.document)
        for name in names:
            assert found[name] == expected[name]
        for name in in_words:
            assert found[name] == ([str(expected[name])] if name in expected else [])
