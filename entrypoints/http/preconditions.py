"""Conditional requests (RFC 9110, section 13): the revision of a conversation is its ETag.

- A change with `If-Match` is made only if the conversation has one of these revisions: 412 if not.
- A read with `If-None-Match` is answered with 304 if the conversation has one of these revisions.

Other errors come first, as section 13.2.1 asks: a conversation that does not exist is a 404.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Self, TypeVar

from litestar import Response
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec

from chatkeep.domain.errors import RevisionConflictError
from chatkeep.domain.model import NO_REVISION, ConversationId, UserId
from chatkeep.domain.use_cases import Chatkeep
from chatkeep.entrypoints.http.body import JsonRequest
from chatkeep.entrypoints.http.problems import ProblemError, etag
from chatkeep.entrypoints.http.responses import JsonResponse

_T = TypeVar("_T")

_IF_MATCH: Final = b"if-match"
_IF_NONE_MATCH: Final = b"if-none-match"
_NAMES: Final = {_IF_MATCH: "If-Match", _IF_NONE_MATCH: "If-None-Match"}
_TAG: Final = re.compile(
    r'[ \t]*(?:(?P<weak>W/)?"(?P<tag>[\x21\x23-\x7e\x80-\xff]*)")?[ \t]*(?:,|$)'
)
_REVISION: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_MAX_REVISION: Final = 2**63 - 1

ETAG_HEADER: Final = ResponseHeader(
    name="ETag",
    value="",
    description="the revision of the conversation, in quotes",
    documentation_only=True,
)
UNCHANGED: Final = {
    304: ResponseSpec(None, description="The conversation has a revision of `If-None-Match`.")
}
"""An answer to reads, for OpenAPI."""


@dataclass(frozen=True, slots=True)
class _Tags:
    """The entity tags of a header, as revisions; `is_any` is the asterisk.

    `weak` are those that were only sent as weak tags, which are equal to no strong one.
    """

    is_any: bool = False
    strong: frozenset[int] = frozenset()
    weak: frozenset[int] = frozenset()

    def has(self, revision: int) -> bool:
        return self.is_any or revision in self.strong

    def may_have(self, revision: int) -> bool:
        """Return what `has` does by the weak comparison."""
        return self.has(revision) or revision in self.weak


@dataclass(frozen=True, slots=True)
class Preconditions:
    """The conditions of a request: the tags of `If-Match` and of `If-None-Match`."""

    wanted: _Tags | None
    unwanted: _Tags | None

    @classmethod
    def of(cls, request: JsonRequest) -> Self:
        """Read the headers. Raises `ProblemError` for a malformed one."""
        return cls(_read_tags(request, _IF_MATCH), _read_tags(request, _IF_NONE_MATCH))

    def check(self, conversation_id: ConversationId, revision: int) -> None:
        """Raise `RevisionConflictError` unless a change may find this revision."""
        if (self.wanted is not None and not self.wanted.has(revision)) or (
            self.unwanted is not None and self.unwanted.may_have(revision)
        ):
            raise RevisionConflictError(conversation_id, revision)

    def only_revision(self) -> int | None:
        """Return the revision that a change must find if there is one such, otherwise None."""
        if self.wanted is None or self.wanted.is_any or self.unwanted is not None:
            return None
        if not self.wanted.strong:
            return NO_REVISION
        [first, *others] = self.wanted.strong
        return None if others else first

    @property
    def are_empty(self) -> bool:
        """True if a change may find any conversation that exists."""
        return self.unwanted is None and (self.wanted is None or self.wanted.is_any)


async def read_expected(
    request: JsonRequest, chatkeep: Chatkeep, user_id: UserId, conversation_id: ConversationId
) -> int | None:
    """Return the revision that a change must find, or None if it may find any.

    It is `NO_REVISION` if the change cannot be right. The conversation is only read for conditions
    that name several revisions, or one that it must not have. Raises `ConversationNotFoundError`,
    and `ProblemError` for a malformed header.
    """
    conditions = Preconditions.of(request)
    if conditions.are_empty:
        return None
    if (only := conditions.only_revision()) is not None:
        return only
    current = await chatkeep.get_conversation(user_id, conversation_id)
    try:
        conditions.check(conversation_id, current.revision)
    except RevisionConflictError:
        return NO_REVISION  # the change may be a repeated one, or have another error
    return current.revision


def answer_read(
    request: JsonRequest,
    conversation_id: ConversationId,
    revision: int,
    make: Callable[[], _T],
) -> Response[_T]:
    """Return the answer to a read, with the ETag; 304 without `make` if the caller has it.

    Raises `RevisionConflictError` if `If-Match` has other revisions, and `ProblemError` for a
    malformed header.
    """
    conditions = Preconditions.of(request)
    if conditions.wanted is not None and not conditions.wanted.has(revision):
        raise RevisionConflictError(conversation_id, revision)
    if conditions.unwanted is not None and conditions.unwanted.may_have(revision):
        unchanged: Response[Any] = Response(
            None, status_code=HTTPStatus.NOT_MODIFIED, headers=etag(revision)
        )
        return unchanged
    return JsonResponse(make(), headers=etag(revision))


def _read_tags(request: JsonRequest, name: bytes) -> _Tags | None:
    """Return the tags of a header, or None without the header."""
    if request.find_header(name) is None:
        return None
    values = [value for each, value in request.scope["headers"] if each == name]
    text = b",".join(values).decode("latin-1")
    if text.strip() == "*":
        return _Tags(is_any=True)
    strong, weak = set[int](), set[int]()
    at, is_empty = 0, True
    while at < len(text):
        found = _TAG.match(text, at)
        if found is None:
            raise _malformed(_NAMES[name])
        at = found.end()
        tag = found["tag"]
        is_empty = is_empty and tag is None
        if tag and _REVISION.fullmatch(tag) and int(tag) <= _MAX_REVISION:
            (strong if found["weak"] is None else weak).add(int(tag))
    if is_empty:
        raise _malformed(_NAMES[name])
    return _Tags(strong=frozenset(strong), weak=frozenset(weak))


def _malformed(header: str) -> ProblemError:
    return ProblemError(
        400,
        "malformed-header",
        f'{header} is not a list of entity tags; send the ETag of an answer, such as "7" with its '
        "quotes.",
    )
