"""Errors of every layer, explained to an operator."""

from chatkeep.adapters.piccolo.errors import explain_unavailability
from chatkeep.domain.errors import ChatkeepError, StoreUnavailableError


def explain(error: Exception) -> str | None:
    """Return what to tell an operator who can fix it; None when it is a fault of the program."""
    match error:
        case StoreUnavailableError():
            return explain_unavailability(error)
        case ChatkeepError() | OSError():
            return str(error)
    return None
