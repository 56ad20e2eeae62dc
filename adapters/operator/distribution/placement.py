"""Where each table belongs on a cluster."""

from collections.abc import Mapping
from typing import Final

from chatkeep.domain.operations.distribution import Placement

OF_USER: Final[dict[str, str]] = {
    "users": "id",
    "conversations": "user_id",
    "messages": "user_id",
    "conversation_items": "user_id",
    "conversation_branches": "user_id",
    "conversation_changes": "user_id",
    "conversation_keys": "user_id",
    "drafts": "user_id",
    "draft_chunks": "user_id",
    "search_conversations": "user_id",
    "search_segments": "user_id",
    "audit_lines": "user_id",
    "tasks": "user_id",
}
"""The tables that are placed by their user, and the column that has it.

A table comes after those that it refers to.
"""

OF_ALL: Final[Mapping[str, Placement]] = {
    # A row a day, which any node may claim.
    "conversation_sweeps": Placement.EVERYWHERE,
    # One row.
    "doctor_results": Placement.EVERYWHERE,
    # An id for each message that was adopted: too many to have on each node.
    "adoptions": Placement.COORDINATOR,
    # Piccolo's, so perhaps also other applications'.
    "migration": Placement.COORDINATOR,
}

MAY_BE_ANOTHERS: Final = ("users", "tasks")
"""Tables that may belong to another application. Then they are never altered."""
