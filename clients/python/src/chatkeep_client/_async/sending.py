"""Sending requests, again where that is safe."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import httpx

from chatkeep_client._connection import Connection
from chatkeep_client._requests import Request
from chatkeep_client._retries import Attempts

T = TypeVar("T")
Token = str | Callable[[], str | Awaitable[str]]


class AsyncSender:
    """Sends requests for one caller."""

    _http: httpx.AsyncClient
    _connection: Connection
    _token: Token
    _max_retries: int

    async def _send(self, request: Request[T]) -> T:
        attempts = Attempts(request, self._max_retries)
        while True:
            answer = await self._attempt(request, attempts)
            if isinstance(answer, httpx.Response):
                if answer.status_code < httpx.codes.BAD_REQUEST or request.if_gone is None:
                    return request.decode(answer)
                return request.if_gone(answer)
            await asyncio.sleep(answer)

    async def _attempt(self, request: Request[T], attempts: Attempts) -> httpx.Response | float:
        """Send it once. Return its answer, or the seconds to wait before it is sent again."""
        try:
            response = await self._http.send(await self._build(request))
        except httpx.TransportError as error:
            return attempts.after_error(error)
        status = response.status_code
        if status < httpx.codes.BAD_REQUEST:
            return response
        if status == httpx.codes.NOT_FOUND and attempts.may_be_done and request.if_gone:
            return response
        return attempts.after_answer(response)

    @asynccontextmanager
    async def _stream(self, request: Request[None]) -> AsyncIterator[httpx.Response]:
        """Yield a successful answer, whose body is still to be read."""
        attempts = Attempts(request, self._max_retries)
        while True:
            try:
                response = await self._http.send(await self._build(request), stream=True)
                if response.status_code >= httpx.codes.BAD_REQUEST:
                    await response.aread()
            except httpx.TransportError as error:
                wait = attempts.after_error(error)
            else:
                if response.status_code < httpx.codes.BAD_REQUEST:
                    break
                wait = attempts.after_answer(response)
            await asyncio.sleep(wait)
        try:
            yield response
        finally:
            await response.aclose()

    async def _build(self, request: Request[T]) -> httpx.Request:
        token = self._token
        if not isinstance(token, str):
            given = token()
            token = await given if inspect.isawaitable(given) else given
        return self._connection.build(request, token)
