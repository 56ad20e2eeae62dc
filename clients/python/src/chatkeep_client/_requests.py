"""Requests as values: built and decoded here, sent by either client."""

import os
import time
from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Generic, Literal, TypeVar
from urllib.parse import quote, urlencode

import httpx
import msgspec
from msgspec import UNSET

from chatkeep_client.errors import NotModifiedError, UnexpectedAnswerError
from chatkeep_client.models import MessageInput, NewMessage

T = TypeVar("T")
RequestContent = bytes | Iterable[bytes] | AsyncIterable[bytes]
S = TypeVar("S", bound=msgspec.Struct)

_SHOWN: Final = 200
_ENCODER: Final = msgspec.json.Encoder()
_VERSION_7: Final = 0x7 << 76
_VARIANT: Final = 0x2 << 62

Repeat = Literal["always", "if refused", "never"]
"""When a request may be sent again: if it surely was not carried out, or also if it may have been.

A request that may be repeated `always` has the same effect and answer when it arrives twice.
"""


class Request(Generic[T]):
    """One request. `path` is encoded, and `decode` reads a successful answer.

    `lines` is a body of JSON Lines that is made while it is sent, by an iterator of the client's
    kind. `if_gone` reads a 404 of a repeated request, which means that an earlier attempt did it.
    """

    __slots__ = ("body", "decode", "headers", "if_gone", "lines", "method", "path", "repeat")

    def __init__(  # noqa: PLR0913 - one for each part of a request
        self,
        method: str,
        path: str,
        decode: Callable[[httpx.Response], T],
        *,
        query: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        body: object = UNSET,
        lines: RequestContent | None = None,
        repeat: Repeat = "always",
        if_gone: Callable[[httpx.Response], T] | None = None,
    ) -> None:
        self.method = method
        self.path = path + to_query(query) if query else path
        self.decode = decode
        self.headers = headers
        self.body = None if body is UNSET else _ENCODER.encode(body)
        self.lines = lines
        self.repeat = repeat
        self.if_gone = if_gone


def conversation(conversation_id: str, *more: str) -> str:
    """Return the path of a conversation, or of something in it."""
    return "/".join(("/v1/conversations", segment(conversation_id), *more))


def segment(text: str) -> str:
    """Return an id, percent-encoded. Raises `ValueError` for one that cannot be in a path."""
    if text in {"", ".", ".."}:
        raise ValueError(f"an id cannot be {text!r}")
    return text if _is_plain(text) else quote(text, safe="")


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace("-", "").isalnum()


def to_query(values: Mapping[str, object]) -> str:
    """Return the query of a URL. Values that are None or False are left out."""
    sent = [
        (name, _to_text(value))
        for name, value in values.items()
        if value is not None and value is not False
    ]
    return "?" + urlencode(sent, quote_via=quote) if sent else ""


def metadata_filters(metadata: Mapping[str, object] | None) -> dict[str, object]:
    """Return the query parameters that find these values."""
    return {
        f"metadata[{key}]": value if isinstance(value, str) else msgspec.json.encode(value).decode()
        for key, value in (metadata or {}).items()
    }


def _to_text(value: object) -> str:
    if value is True:
        return "true"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def given(**fields: object) -> dict[str, object]:
    """Return the fields that are not `UNSET`, as a body."""
    return {name: value for name, value in fields.items() if value is not UNSET}


def conditions(
    expected_revision: int | None, known_revision: int | None = None
) -> dict[str, str] | None:
    """Return the headers with these revisions."""
    headers = {}
    if expected_revision is not None:
        headers["If-Match"] = f'"{expected_revision}"'
    if known_revision is not None:
        headers["If-None-Match"] = f'"{known_revision}"'
    return headers or None


def as_list(messages: MessageInput | Iterable[MessageInput]) -> list[MessageInput]:
    """Return one message, or several, as a list."""
    if isinstance(messages, NewMessage | Mapping):
        return [messages]
    return list(messages)


def repeatable(
    messages: list[MessageInput], key: str | None, headers: dict[str, str] | None
) -> tuple[list[MessageInput], dict[str, str] | None]:
    """Return messages and headers of a request that may be sent again.

    One id is enough for all messages. Where a message has an `original`, its id may be in there, so
    such a message gets none.
    """
    if key is not None:
        return messages, {**(headers or {}), "Idempotency-Key": key}
    first = None
    for place, message in enumerate(messages):
        its_id, has_original = _look_at(message)
        if its_id is not None:
            return messages, headers
        if first is None and not has_original:
            first = place
    if first is None:
        return messages, {**(headers or {}), "Idempotency-Key": uuid7()}
    chosen = messages[first]
    with_id: MessageInput
    if isinstance(chosen, NewMessage):
        with_id = msgspec.structs.replace(chosen, id=uuid7())
    else:
        with_id = {**chosen, "id": uuid7()}
    return [*messages[:first], with_id, *messages[first + 1 :]], headers


def _look_at(message: MessageInput) -> tuple[object, bool]:
    if isinstance(message, NewMessage):
        return message.id, message.original is not UNSET
    return message.get("id"), "original" in message


def uuid7() -> str:
    """Return a UUID of version 7, which begins with the time."""
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    number = number & ~(0xF << 76) & ~(0x3 << 62) | _VERSION_7 | _VARIANT
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def into(kind: type[S]) -> Callable[[httpx.Response], S]:
    """Return a function that reads the body of an answer.

    A field `revision` that the body does not have is that of the `ETag`, and `created` says whether
    the status was 201.
    """
    decoder = msgspec.json.Decoder(kind)
    fields = {each.name: each for each in msgspec.structs.fields(kind)}
    has_revision = "revision" in fields and not fields["revision"].required
    has_created = "created" in fields
    has_warning = "warning" in fields

    def decode(response: httpx.Response) -> S:
        if response.status_code == httpx.codes.NOT_MODIFIED:
            raise NotModifiedError(revision_of(response) or 0)
        try:
            found: Any = decoder.decode(response.content)
        except msgspec.DecodeError as error:
            raise unexpected(response) from error
        if has_revision:
            found.revision = revision_of(response) or 0
        if has_created:
            found.created = response.status_code == httpx.codes.CREATED
        if has_warning:
            found.warning = response.headers.get("chatkeep-warning")
        answer: S = found
        return answer

    return decode


def decode_ui_message(response: httpx.Response) -> dict[str, Any]:
    """Return the body of an answer, an object."""
    try:
        return msgspec.json.decode(response.content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise unexpected(response) from error


def unexpected(response: httpx.Response) -> UnexpectedAnswerError:
    """Return the error of an answer that cannot be read."""
    return UnexpectedAnswerError(
        f"{response.request.url} answered {response.status_code} with another body than chatkeep "
        f"would: {response.text[:_SHOWN]!r}"
    )


def revision_of(response: httpx.Response) -> int | None:
    """Return the revision in the `ETag`; None without one."""
    text = response.headers.get("etag", "").removeprefix("W/").strip('"')
    return int(text) if text.isascii() and text.isdecimal() else None


def nothing(response: httpx.Response) -> None:
    """Return None."""


class Lines:
    """Splits the chunks of a JSON Lines body into lines."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    @property
    def is_complete(self) -> bool:
        """True if what came so far ends with a line feed."""
        return not self._rest

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the lines that are complete now, without their line feeds."""
        *lines, rest = chunk.split(b"\n")
        if lines:
            lines[0] = b"".join((*self._rest, lines[0]))
            self._rest.clear()
        if rest:
            self._rest.append(rest)
        return lines
