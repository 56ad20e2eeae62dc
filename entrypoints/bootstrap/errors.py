"""Errors of every layer, explained to an operator."""

from chatkeep.adapters.piccolo.errors import explain_unavailability
from chatkeep.domain.errors import ChatkeepError, DatabaseRuleError, StoreUnavailableError


def explain(error: Exception) -> str | None:
    """Return what to tell an operator who can fix it; None when it is a fault of the program."""
    match error:
        case StoreUnavailableError():
            return explain_unavailability(error)
        case DatabaseRuleError() if error.__cause__ is not None:  # in the owner's own words
            return f"The database refused: {error.__cause__}"
        case ChatkeepError() | OSError():
            return str(error)
    return None
