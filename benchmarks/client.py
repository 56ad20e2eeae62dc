"""Makes single calls one after the other, and decodes the responses."""

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
    """Makes calls over one connection. Raises `WrongAnswerError` unless the status is 2xx."""

    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection

    def call(self, call: Call) -> Any:  # noqa: ANN401 - any JSON
        headers = {**call.headers, "Content-Type": "application/json"}
        self._connection.request(call.method, call.path, call.body or None, headers)
        response = self._connection.getresponse()
        body = response.read()
        if response.status not in {HTTPStatus.OK, HTTPStatus.CREATED}:
            raise WrongAnswerError(f"{response.status}: {body[:200].decode(errors='replace')}")
        return json.loads(body)


@contextmanager
def open_client(service: Service) -> Iterator[Client]:
    connection = HTTPConnection(HOST, service.port, timeout=START_TIMEOUT)
    try:
        yield Client(connection)
    finally:
        connection.close()
