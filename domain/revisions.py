"""Revisions: changes that are made only if nothing else has changed since the caller looked."""

from chatkeep.domain.errors import RevisionConflictError
from chatkeep.domain.model import Changes, Conversation, Unset, same_json


def check_revision(conversation: Conversation, expected: int | None) -> None:
    """Raise `RevisionConflictError` if the caller expects another revision; None is any."""
    if expected is not None and conversation.revision != expected:
        raise RevisionConflictError(conversation.id, conversation.revision)


def revision_after(current: int, expected: int | None) -> int:
    """Return the revision after a change that this request, or an earlier equal one, has made.

    It is the one after the expected revision. Without one it is not known: then the current one.
    So a caller never gets a revision with changes that they have not seen.
    """
    return current if expected is None or expected < 0 else min(current, expected + 1)


def may_have_made(current: Conversation, changes: Changes, expected: int) -> bool:
    """Return whether these changes of the revision `expected` may have made it the `current` one.

    It has the next revision then, and the values of the changes. A store that has lost the answer
    to its own statement asks this.
    """
    return current.revision == expected + 1 and not any(
        (
            not isinstance(changes.title, Unset) and changes.title != current.title,
            not isinstance(changes.status, Unset) and changes.status is not current.status,
            not isinstance(changes.retain, Unset) and changes.retain is not current.retain,
            not isinstance(changes.metadata, Unset)
            and not same_json(changes.metadata, current.metadata),
        )
    )
