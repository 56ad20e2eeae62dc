"""The bodies of requests and answers about branches."""

from typing import Annotated, Final, Self

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from chatkeep.domain.branch_use_cases import BranchSummary, Sibling
from chatkeep.domain.ids import written_id
from chatkeep.entrypoints.http.field_schemas import Moment, NextCursor, Title, WrittenBy
from chatkeep.entrypoints.http.ids import GivenId, OwnId, StoredId

_OBJECT: Final = {"type": "object"}
Number = Annotated[int, Meta(description="the number of the branch; 0 is the first one")]
BranchName = Annotated[str, Meta(description="a name to show")]


class PatchBranch(Struct, forbid_unknown_fields=True, kw_only=True):
    """The changes of a branch; the others stay unchanged."""

    name: BranchName | UnsetType | None = UNSET
    is_current: (
        Annotated[bool, Meta(description="true makes it the current branch")] | UnsetType
    ) = UNSET


class BranchOut(Struct, kw_only=True):
    """One path through the conversation."""

    number: Number
    name: str | None
    is_current: Annotated[bool, Meta(description="whether appends continue it")]
    parent: Annotated[int, Meta(description="the branch that it left")] | None
    left_at: Annotated[StoredId, Meta(description="the last message that it shares")] | None
    tip: Annotated[StoredId, Meta(description="its last message")] | None
    created_at: Moment

    @classmethod
    def from_domain(cls, branch: BranchSummary) -> Self:
        return cls(
            number=branch.number,
            name=branch.name,
            is_current=branch.is_current,
            parent=branch.parent,
            left_at=None if branch.left_at is None else written_id(branch.left_at),
            tip=None if branch.tip is None else written_id(branch.tip),
            created_at=branch.created_at,
        )


class BranchPage(Struct, kw_only=True):
    """Branches by number."""

    items: list[BranchOut]
    next_cursor: NextCursor | None


class SiblingOut(Struct, kw_only=True):
    """A message that continues from the same message as another one."""

    id: StoredId
    branch: WrittenBy
    is_current: Annotated[bool, Meta(description="whether it is on the current branch")]

    @classmethod
    def from_domain(cls, sibling: Sibling) -> Self:
        return cls(
            id=written_id(sibling.message_id), branch=sibling.branch, is_current=sibling.is_current
        )


class Siblings(Struct, kw_only=True):
    """All messages that continue from the same message, oldest first."""

    items: list[SiblingOut]


class ForkConversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """The part to copy, and the fields of the new conversation."""

    id: OwnId | None = None
    at: (
        Annotated[GivenId, Meta(description="the last message to copy; without it, all")]
        | UnsetType
    ) = UNSET
    branch: (
        Annotated[int, Meta(description="the branch to copy (default: the current one)", ge=0)]
        | UnsetType
    ) = UNSET
    title: Annotated[Title, Meta(description="instead of the title it has")] | UnsetType | None = (
        UNSET
    )
    metadata: (
        Annotated[
            Raw, Meta(description="instead of the metadata it has", extra_json_schema=_OBJECT)
        ]
        | UnsetType
    ) = UNSET
