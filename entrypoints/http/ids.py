"""Ids on the wire: any text in JSON and in queries, and percent-encoded in paths."""

from collections.abc import Awaitable
from typing import Annotated, Any, Final
from urllib.parse import quote_from_bytes, unquote_to_bytes
from uuid import UUID

from litestar import Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Meta

from chatkeep.domain.errors import InvalidValueError
from chatkeep.domain.ids import of_conversation, of_user, parse_id
from chatkeep.domain.model import (
    MAX_ID_CHARS,
    ConversationId,
    MessageId,
    UserId,
    check_user_id,
)
from chatkeep.entrypoints.http.auth.authentication import require_user
from chatkeep.entrypoints.http.problems import ProblemError

MAX_PATH_BYTES: Final = 8_192
"""Enough for two ids of 255 characters of four bytes each, percent-encoded."""

ID_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_CHARS,
    "pattern": r"^(?!\.{1,2}$)[^\u0000-\u001f\u007f-\u009f]*$",
}
OwnId = Annotated[
    str,
    Meta(
        description=(
            "an id of your choice, a UUID or any other text, makes it safe to send it again"
        ),
        extra_json_schema=ID_SCHEMA,
    ),
]
GivenId = Annotated[str, Meta(extra_json_schema=ID_SCHEMA)]
StoredId = Annotated[str, Meta(description="a UUID, or the text that you chose")]

_BEFORE_USER_ID: Final = b"/v1/users/"
_LONG_SEGMENT: Final = 1_024
_CONVERSATION: Final = "conversation_id"
_MESSAGE: Final = "message_id"
_DRAFT: Final = "draft_id"
_HEX_PAIRS: Final = frozenset(
    b"%c%c" % (one, two) for one in b"0123456789abcdefABCDEF" for two in b"0123456789abcdefABCDEF"
)


class EncodedPaths:
    """Routes on the path as it was sent, since an id may have a slash, written as `%2F`.

    Each segment of `path` is percent-encoded in a single way; `read_path_ids` decodes the ids.
    Litestar caches paths, so it gets no more than `MAX_PATH_BYTES` of one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == ScopeType.HTTP:
            raw_path = scope["raw_path"]
            if len(raw_path) > MAX_PATH_BYTES:  # `check_path_size` refuses it at its route
                short = (segment[:_LONG_SEGMENT] for segment in scope["path"].split("/"))
                scope["path"] = "/".join(short)[:MAX_PATH_BYTES]
            elif b"%" in raw_path:
                root_path = scope.get("root_path", "")  # Litestar removes it, as it is
                segments = raw_path.removeprefix(root_path.encode()).split(b"/")
                scope["path"] = root_path + "/".join(map(_normalize, segments))
        return self._app(scope, receive, send)


def read_path_ids(request: Request[Any, Any, Any]) -> None:
    """Replace the ids among the path parameters by those of the conversation and the message.

    Raises `InvalidValueError` for a text that cannot be an id, `IdentityError` without a user.
    """
    given = request.scope["path_params"]
    if _CONVERSATION not in given:
        return
    conversation_id = of_user(
        require_user(request.user),
        parse_id(decode_segment(given[_CONVERSATION], _CONVERSATION), field=_CONVERSATION),
    )
    # Litestar caches the parameters of a path, for all users: they must stay as they are.
    ids: dict[str, Any] = {**given, _CONVERSATION: conversation_id}
    for name in (_MESSAGE, _DRAFT):
        if name in given:
            text = decode_segment(given[name], name)
            ids[name] = parse_message_id(conversation_id, text, field=name)
    request.scope["path_params"] = ids


def parse_message_id(conversation_id: ConversationId, text: str, *, field: str) -> MessageId:
    """Return the id of a message. Raises `InvalidValueError`."""
    return of_conversation(conversation_id, parse_id(text, field=field))


def message_in_query(
    request: Request[Any, Any, Any], name: str, conversation_id: UUID
) -> MessageId | None:
    """Return the message that a query parameter names, or None. Raises `InvalidValueError`.

    The route lists the parameter among its `TEXTS`.
    """
    text = request.query_params.get(name)
    if text is None:
        return None
    return parse_message_id(ConversationId(conversation_id), text, field=name)


def user_in_path(raw_path: bytes) -> UserId:
    """Return the user id at the end of a path as it was sent. Raises `InvalidValueError`.

    Litestar's path parameter would lose slashes, and turn bad UTF-8 into another id.
    """
    _, _, encoded = raw_path.partition(_BEFORE_USER_ID)
    if b"/" in encoded:
        raise InvalidValueError("user_id", "contains a slash; write it as %2F")
    try:
        return check_user_id(unquote_to_bytes(encoded).decode())
    except UnicodeDecodeError:
        raise InvalidValueError("user_id", "is not percent-encoded UTF-8") from None


def decode_segment(encoded: str, field: str) -> str:
    """Return the text of a path's segment. Raises `InvalidValueError`."""
    if "%" not in encoded and encoded.isascii():
        return encoded
    text = _decode(encoded.encode())
    if text is None:
        raise InvalidValueError(field, "is not percent-encoded UTF-8")
    return text


def _normalize(segment: bytes) -> str:
    """Return a segment in the one way to encode it; one that is not UTF-8 as it is."""
    text = _decode(segment)
    return segment.decode("latin-1") if text is None else quote_from_bytes(text.encode(), safe="")


def _decode(segment: bytes) -> str | None:
    escapes = segment.split(b"%")[1:]
    if not all(escape[:2] in _HEX_PAIRS for escape in escapes):
        return None
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None


def check_path_size(request: Request[Any, Any, Any]) -> None:
    """Raise `ProblemError` if the path is longer than any route needs."""
    size = len(request.scope["raw_path"])
    if size > MAX_PATH_BYTES:
        raise path_too_long(size)


def path_too_long(size: int) -> ProblemError:
    detail = (
        f"The path has {size} bytes; the limit is {MAX_PATH_BYTES}. "
        f"An id has at most {MAX_ID_CHARS} characters."
    )
    return ProblemError(414, "path-too-long", detail)
