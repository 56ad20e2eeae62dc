"""The log: lines for a terminal, or one JSON object a line for a log store.

It never contains what users wrote, parameters of statements or tokens, and users only as hashes. So
a traceback says where an error came from, and has its text only if that cannot contain any of them.
"""

import hmac
import logging
import secrets
import time
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import msgspec

from chatkeep.domain.model import UserId
from chatkeep.entrypoints.settings import Settings
from chatkeep.entrypoints.tracebacks import without_values

ACCESS: Final = "chatkeep.access"
_HASH_CHARS: Final = 12
_MAX_CACHED: Final = 10_000
ExceptionInfo = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)
_PURPOSE: Final = b"chatkeep: users in the log"


class CurrentRequest:
    """The request being served: its id, and how many statements it has sent so far."""

    __slots__ = ("id", "statements")

    def __init__(self, id: str) -> None:  # noqa: A002 - the word for it
        self.id = id
        self.statements = 0


CURRENT_REQUEST: Final[ContextVar[CurrentRequest | None]] = ContextVar(
    "current_request", default=None
)


class Pseudonyms:
    """The name of a user in the log: 12 hexadecimal digits, the same for the same user and salt.

    It is an HMAC-SHA256, so only someone with the salt can find the user. Recent hashes are cached.
    """

    def __init__(self, salt: str) -> None:
        self._salt = salt.encode()
        self._known: dict[UserId, str] = {}

    def __len__(self) -> int:
        """Return the number of cached hashes."""
        return len(self._known)

    def __call__(self, user_id: UserId) -> str:
        found = self._known.get(user_id)
        if found is None:
            if len(self._known) >= _MAX_CACHED:
                self._known.clear()
            digest = hmac.digest(self._salt, user_id.encode(), "sha256")
            found = self._known[user_id] = digest.hex()[:_HASH_CHARS]
        return found


def salt(settings: Settings) -> str:
    """Return the salt of the hashes: the setting, or one derived from the signing secret.

    Without either it is a new one each time.
    """
    if settings.log_salt:
        return settings.log_salt
    if settings.jwt_secret:
        return hmac.digest(settings.jwt_secret.encode(), _PURPOSE, "sha256").hex()
    return secrets.token_hex()


class _Formatter(logging.Formatter):
    def formatException(self, ei: ExceptionInfo) -> str:  # noqa: N802 - logging's own
        error = ei[1]
        return "" if error is None else without_values(error)


class ConsoleFormatter(_Formatter):
    """A line to read, which ends with the id of its request."""

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._time = ""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own
        second = int(record.created)
        if second != self._second:  # formatting the time takes longer than all the rest
            self._second = second
            self._time = time.strftime(self.default_time_format, time.localtime(second))
        line = (
            f"{self._time},{int(record.msecs):03} {record.levelname} {record.name}: "
            f"{record.message}"
        )
        if record.name == ACCESS:
            return line
        request = CURRENT_REQUEST.get()
        return line if request is None else f"{line} (request {request.id})"


class JsonFormatter(_Formatter):
    """One JSON object: `time` (UTC), `level`, `logger`, then either `message` or `event` and more.

    A message that is a dataclass or a struct with an `event` adds its fields. `request_id` is the
    request being served, if any; `error` is a traceback.
    """

    def __init__(self) -> None:
        super().__init__()
        self._encode = msgspec.json.Encoder().encode

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
        }
        request = CURRENT_REQUEST.get()
        if request is not None:
            line["request_id"] = request.id
        message = record.msg
        event = getattr(message, "event", None)
        if event is not None:
            line |= {"event": event, **msgspec.to_builtins(message)}
        else:
            # Text from a driver or a client may contain what UTF-8 cannot encode.
            line["message"] = record.getMessage().encode(errors="backslashreplace").decode()
        if record.exc_info:
            error = self.formatException(record.exc_info)
            line["error"] = error.encode(errors="backslashreplace").decode()
        return self._encode(line).decode()


_FORMATTERS: Final[Mapping[str, type[logging.Formatter]]] = {
    "console": ConsoleFormatter,
    "json": JsonFormatter,
}


def configuration(settings: Settings) -> dict[str, Any]:
    """Return the configuration for `logging.config.dictConfig`: everything goes to stderr."""
    access = "INFO" if settings.access_log else "WARNING"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"ours": {"()": _FORMATTERS[settings.log_format]}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},  # of asyncio and others
        "loggers": {
            "chatkeep": {"handlers": ["stderr"], "level": "INFO", "propagate": False},
            ACCESS: {"level": access},
            "uvicorn": {"handlers": ["stderr"], "level": "WARNING", "propagate": False},
            # While the collector is away it warns of each attempt.
            "opentelemetry": {"handlers": ["stderr"], "level": "ERROR", "propagate": False},
        },
    }
