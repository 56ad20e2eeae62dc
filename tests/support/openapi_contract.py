"""Checks every answer against the OpenAPI document and what all answers promise."""

import json
import re
from dataclasses import dataclass, field
from functools import cached_property

import httpx

from tests.support.json_schema import JsonObject, faults, is_valid, resolved

PROBLEM_JSON = "application/problem+json"
NDJSON = "application/x-ndjson"
MARKDOWN = "text/markdown; charset=utf-8"
TEXTS = {NDJSON, MARKDOWN, "text/event-stream"}
# Words of our insides, or of nobody: none of them helps a caller.
JARGON = re.compile(
    r"Traceback|Error\b|Exception|msgspec|litestar|\bstr\b|\bint\b|(?<!If-)\bNone\b|\n  "
)
PARAMETER = re.compile(r"\{[a-z_]+\}")


@dataclass(frozen=True)
class Operation:
    path: str
    method: str
    described: JsonObject

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(PARAMETER.sub("[^/]+", self.path))


@dataclass
class Contract:
    """The document, and each (operation, status) that was checked against it."""

    document: JsonObject
    seen: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def operations(self) -> list[Operation]:
        return [
            Operation(path, method.upper(), described)
            for path, methods in self.document["paths"].items()
            for method, described in methods.items()
        ]

    def check(self, response: httpx.Response, *, may_fail: bool = False) -> None:
        """Raise `AssertionError` for an answer that breaks a promise."""
        request = response.request
        assert may_fail or response.status_code != 500, response.text
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert re.fullmatch(r"[\x21-\x7e]{1,128}", response.headers["x-request-id"])
        if request.url.path.startswith("/v1/"):
            assert response.headers["cache-control"] == "no-store"
        # Below /openai, errors have the shape that OpenAI's clients expect.
        is_native = not request.url.path.startswith("/openai/")
        if response.status_code >= 400 and request.method != "HEAD" and is_native:
            self._check_problem(response)
        if (operation := self.operation_of(request)) is not None:
            self._check_documented(response, operation)
            if response.is_success:
                self._check_request(request, operation)

    def operation_of(self, request: httpx.Request) -> Operation | None:
        path = request.url.raw_path.partition(b"?")[0].decode()
        return next(
            (
                operation
                for operation in self.operations
                if operation.method == request.method and operation.pattern.fullmatch(path)
            ),
            None,
        )

    def _check_problem(self, response: httpx.Response) -> None:
        assert response.headers["content-type"] == PROBLEM_JSON
        problem = response.json()
        assert not list(faults(problem, {"$ref": "#/components/schemas/Problem"}, self.document))
        kind = problem["type"].removeprefix("urn:chatkeep:problem:")
        assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind)
        assert problem["title"] == kind.replace("-", " ").capitalize()
        assert problem["status"] == response.status_code
        assert not JARGON.search(problem["detail"]), problem["detail"]
        fields = problem.get("errors", [])
        assert 10 < len(problem["detail"]) < 600 * max(len(fields), 1)
        assert bool(fields) == (response.status_code in {413, 422})
        for each in fields:
            assert each["field"]
            assert f"{each['field']}: {each['detail']}" in problem["detail"]

    def _check_documented(self, response: httpx.Response, operation: Operation) -> None:
        status = str(response.status_code)
        where = f"{operation.method} {operation.path}"
        assert status in operation.described["responses"], f"{where} does not document {status}"
        described = resolved(operation.described["responses"][status], self.document)
        content = described.get("content")
        if content is None:
            assert response.content == b""
            assert "content-type" not in response.headers
        else:
            media_type = response.headers["content-type"]
            schema = content[media_type]["schema"]
            body = response.text if media_type in TEXTS else response.json()
            found = list(faults(body, schema, self.document))
            assert not found, f"{where} {status}: {found}"
        self.seen.add((operation.described["operationId"], status))

    def _check_request(self, request: httpx.Request, operation: Operation) -> None:
        """Check that the document allows the request that was accepted."""
        given = {(name.partition("[")[0], "query") for name in request.url.params}
        documented = {
            (each["name"], each["in"]): each for each in operation.described.get("parameters", [])
        }
        assert given <= documented.keys()
        # A body that was sent in chunks cannot be read again.
        if isinstance(request.stream, httpx.ByteStream) and request.content:
            described = operation.described["requestBody"]["content"]["application/json"]
            body = json.loads(request.content)
            if body is not None:
                assert is_valid(body, described["schema"], self.document), body
