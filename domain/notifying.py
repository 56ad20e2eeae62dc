"""Stores that tell the hub about each change that they have made."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, cast

from chatkeep.domain.hub import Hub
from chatkeep.domain.model import ConversationId, UserId
from chatkeep.domain.ports import Conversations, Drafts, Log

CHANGES: Final = frozenset(
    {
        *("append", "change", "change_branches", "create", "delete", "delete_at", "delete_branch"),
        *("fork", "get_or_create", "patch", "put", "replace", "truncate"),
    }
)
"""The methods of the ports that change a conversation; a test compares with the ports."""

CHANGES_OF_DRAFTS: Final = frozenset({"end", "start", "take_over", "write"})
"""The methods of the port `Drafts` that change a draft; a test compares with the port."""

ONLY_OF_DRAFTS: Final = CHANGES_OF_DRAFTS - {"end"}
"""Those of them that leave the conversation as it is."""


def notifying_log(log: Log, hub: Hub) -> Log:
    """Return the log. It notifies the hub after each change."""
    return cast("Log", _Notifying(log, hub))


def notifying_conversations(conversations: Conversations, hub: Hub) -> Conversations:
    """Return the conversations. They notify the hub after each change."""
    return cast("Conversations", _Notifying(conversations, hub))


def notifying_drafts(drafts: Drafts, hub: Hub) -> Drafts:
    """Return the drafts. They notify the hub after each change."""
    return cast("Drafts", _Notifying(drafts, hub, CHANGES_OF_DRAFTS))


class _Notifying:
    """Passes everything on to a port.

    It also notifies after a failure or a cancellation: the change may have been made.
    """

    __slots__ = ("_changes", "_hub", "_port")

    def __init__(self, port: object, hub: Hub, changes: Collection[str] = CHANGES) -> None:
        self._port = port
        self._hub = hub
        self._changes = changes

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any method of the port
        method: Callable[..., Any] = getattr(self._port, name)
        if name not in self._changes:
            return method

        async def call(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - those of the method
            try:
                return await method(*args, **options)
            finally:
                self._hub.notify(*_changed(name, args), of_draft=name in ONLY_OF_DRAFTS)

        return call


def _changed(name: str, args: Sequence[Any]) -> tuple[UserId, ConversationId]:
    """Return the user and the conversation that a call changes, or creates."""
    if name in {"create", "get_or_create"}:
        return args[0].user_id, args[0].id
    if name in {"start", "take_over", "end"}:
        return args[0].user_id, args[0].conversation_id
    if name == "fork":
        return args[0], args[2].id
    return args[0], args[1]
