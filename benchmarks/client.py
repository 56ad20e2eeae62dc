"""Makes single calls, one after the other, and reads what they answer."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any

from benchmarks.load import WrongAnswerError
from benchmarks.programs import Call
from benchmarks.services import HOST, START_TIMEOUT, Service


class Client:
    """Calls over one connection. Raises `WrongAnswerError` for an answer that is not 2xx."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def call(self, call: Call) -> Any:  # noqa: ANN401 - any JSON
        headers = {**call.headers, "Content-Type": "application/json"}
        self._connection.request(call.method, call.path, call.body or None, headers)
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise WrongAnswerError(f"{answer.status}: {body[:200].decode(errors='replace')}")
        return json.loads(body)


@contextmanager
def client(service: Service) -> Iterator[Client]:
    connection = HTTPConnection(HOST, service.port, timeout=START_TIMEOUT)
    try:
        yield Client(connection)
    finally:
        connection.close()
