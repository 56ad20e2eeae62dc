# Written by sync_from_async.py from _async/sending.py; change that file.
"""Sending requests, again where that is safe."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx

from chatkeep_client._connection import Connection
from chatkeep_client._requests import Request
from chatkeep_client._retries import Attempts

T = TypeVar("T")
Token = str | Callable[[], str]


class Sender:
    """Sends requests for one caller."""

    _http: httpx.Client
    _connection: Connection
    _token: Token
    _max_retries: int

    def _send(self, request: Request[T]) -> T:
        attempts = Attempts(request, self._max_retries)
        while True:
            answer = self._attempt(request, attempts)
            if isinstance(answer, httpx.Response):
                if answer.status_code < httpx.codes.BAD_REQUEST or request.if_gone is None:
                    return request.decode(answer)
                return request.if_gone(answer)
            time.sleep(answer)

    def _attempt(self, request: Request[T], attempts: Attempts) -> httpx.Response | float:
        """Send it once. Return its answer, or the seconds to wait before it is sent again."""
        try:
            response = self._http.send(self._build(request))
        except httpx.TransportError as error:
            return attempts.after_error(error)
        status = response.status_code
        if status < httpx.codes.BAD_REQUEST:
            return response
        if status == httpx.codes.NOT_FOUND and attempts.may_be_done and request.if_gone:
            return response
        return attempts.after_answer(response)

    @contextmanager
    def _stream(self, request: Request[None]) -> Iterator[httpx.Response]:
        """Yield a successful answer, whose body is still to be read."""
        attempts = Attempts(request, self._max_retries)
        while True:
            try:
                response = self._http.send(self._build(request), stream=True)
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    response.read()
            except httpx.TransportError as error:
                wait = attempts.after_error(error)
            else:
                if response.status_code < httpx.codes.BAD_REQUEST:
                    break
                wait = attempts.after_answer(response)
            time.sleep(wait)
        try:
            yield response
        finally:
            response.close()

    def _build(self, request: Request[T]) -> httpx.Request:
        token = self._token
        if not isinstance(token, str):
            token = token()
        return self._connection.build(request, token)
