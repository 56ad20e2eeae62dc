"""All settings, read once from the environment into one frozen struct."""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from datetime import timedelta
from difflib import get_close_matches
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from chatkeep.domain.audit import AUDIT_KEPT
from chatkeep.domain.drafts import DRAFTS_KEPT
from chatkeep.domain.errors import ChatkeepError, InvalidValueError
from chatkeep.domain.events import CHANGES_KEPT
from chatkeep.domain.model import Limits
from chatkeep.domain.operations.sweep import Policy, parse_duration
from chatkeep.entrypoints import setting_values as values

PREFIX: Final = "CHATKEEP_"
MIN_SECRET_BYTES: Final = 32
RETIRED: Final = {
    "CHATKEEP_OPENAI_RETRY_SECONDS": "retries without an Idempotency-Key are always stored; see "
    "docs/openai.md"
}
"""Former settings, and what applies without them. They are accepted, so that upgrades start."""

_UNPREFIXED: Final = frozenset({"database_url", "database_url_direct"})

_LIMITS: Final = Limits()
_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    "console": values.one_of("on", "off"),
    "console_text": values.one_of("shown", "hidden"),
    "cors_origins": values.comma_separated(values.parse_origin),
    "jwks_url": values.parse_http_url,
    "jwt_secret": values.secret_of(MIN_SECRET_BYTES, "bytes"),
    "log_format": values.one_of("console", "json"),
    "metrics_key": values.secret_of(MIN_SECRET_BYTES, "characters"),
    "operator_keys": values.comma_separated(values.named_secret_of(MIN_SECRET_BYTES)),
    "service_keys": values.comma_separated(values.secret_of(MIN_SECRET_BYTES, "characters")),
}
"""Settings with a special reader; for all others the type decides."""

_OPTIONS: Final = {
    "CHATKEEP_HOST": "--host 0.0.0.0",
    "CHATKEEP_PORT": "--port 8000",
    "CHATKEEP_WORKERS": "--workers 2",
}
_SERVICE_URL: Final = re.compile(r"(?:tcp|udp|sctp)://")
_SERVICE_LINK: Final = re.compile(
    r"CHATKEEP(?:_[A-Z0-9_]+)?_"
    r"(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)"
)


class SettingsError(ChatkeepError, ValueError):
    """A setting is missing or invalid; the message names it and never shows a secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is the environment variable `CHATKEEP_` + its name in capitals.

    Only the two database URLs have no prefix. The README's table has the same descriptions.
    """

    database_url: Annotated[
        str, Meta(description="Postgres URL, in any form Neon shows; absent: embedded Postgres")
    ] = ""
    database_url_direct: Annotated[
        str,
        Meta(description="for migrations, past the pooler; derived from a Neon pooled URL"),
    ] = ""
    home: Annotated[
        str, Meta(description="where the embedded Postgres and its signing secret live")
    ] = ""
    jwt_secret: Annotated[
        str, Meta(description="shared secret of HS256 tokens, at least 32 bytes")
    ] = ""
    jwks_url: Annotated[
        str, Meta(description="public keys of RS256, ES256 and EdDSA tokens, such as Neon Auth's")
    ] = ""
    jwt_issuer: Annotated[str, Meta(description="the `iss` that tokens must have")] = ""
    jwt_audience: Annotated[str, Meta(description="the `aud` that tokens must have")] = ""
    service_keys: Annotated[
        tuple[str, ...],
        Meta(description="comma-separated keys that act for the user in `X-User-Id`"),
    ] = ()
    operator_keys: Annotated[
        tuple[tuple[str, str], ...],
        Meta(
            description="comma-separated `name:key`: service keys of people; all that they ask "
            "for is in the audit"
        ),
    ] = ()
    provision_users: Annotated[
        bool,
        Meta(description="add a user to `users` on their first write; otherwise they get a 403"),
    ] = True
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="comma-separated origins whose pages may call from a browser"),
    ] = ()
    console: Annotated[
        str,
        Meta(
            description="`on` or `off`: the page at `/console`; absent: `on` only with the "
            "embedded Postgres or `--memory`"
        ),
    ] = ""
    console_text: Annotated[
        str,
        Meta(description="`shown` or `hidden`: whether operators see what users wrote"),
    ] = "shown"
    max_user_message_chars: Annotated[
        int, Meta(description="characters of a message of role user")
    ] = _LIMITS.max_user_message_chars
    max_message_chars: Annotated[
        int, Meta(description="characters of any message, and of its tool_calls")
    ] = _LIMITS.max_message_chars
    soft_max_conversation_messages: Annotated[
        int, Meta(description="messages of a conversation; appends beyond it return a warning")
    ] = _LIMITS.soft_max_conversation_messages
    max_branches: Annotated[
        int, Meta(description="branches of a conversation; imports may bring more")
    ] = _LIMITS.max_branches
    max_title_chars: Annotated[int, Meta(description="characters of a title")] = (
        _LIMITS.max_title_chars
    )
    max_metadata_bytes: Annotated[int, Meta(description="bytes of metadata, as JSON")] = (
        _LIMITS.max_metadata_bytes
    )
    max_page: Annotated[int, Meta(description="items of a page, messages of a context")] = (
        _LIMITS.max_page
    )
    max_batch: Annotated[int, Meta(description="messages of one append")] = _LIMITS.max_batch
    max_body_bytes: Annotated[int, Meta(description="bytes of a request's body")] = 1_048_576
    max_items: Annotated[int, Meta(description="items of one request through OpenAI's API")] = (
        _LIMITS.max_items
    )
    max_item_bytes: Annotated[
        int,
        Meta(
            description="bytes, as JSON, of an item of OpenAI's API, of a message's `original` or "
            "its content parts"
        ),
    ] = _LIMITS.max_item_bytes
    max_answer_bytes: Annotated[
        int, Meta(description="bytes of a page or a context; it ends early then, with a cursor")
    ] = _LIMITS.max_answer_bytes
    max_draft_bytes: Annotated[
        int, Meta(description="bytes of a draft's chunks, with 16 more for each")
    ] = _LIMITS.max_draft_bytes
    max_draft_seconds: Annotated[
        int, Meta(description="seconds after which a draft is interrupted, whatever it does")
    ] = _LIMITS.max_draft_seconds
    openai_max_body_bytes: Annotated[
        int, Meta(description="bytes of a request's body, below `/openai`")
    ] = 33_554_432

    max_requests_at_once: Annotated[
        int, Meta(description="requests served at once, in one process; more get a 503")
    ] = 1_000
    max_requests_at_once_per_user: Annotated[
        int, Meta(description="of those, requests of one user; more get a 429")
    ] = 100
    max_bytes_at_once: Annotated[
        int,
        Meta(
            description="bytes of requests and answers above 64 KiB each, held at once in one "
            "process; more get a 503, and one user's beyond a quarter a 429"
        ),
    ] = 134_217_728
    max_streams: Annotated[
        int,
        Meta(description="streams of events that are open at once, in one process; more get a 503"),
    ] = 1_000
    max_streams_per_user: Annotated[
        int, Meta(description="of those, streams of one user; more get a 429")
    ] = 20
    stream_seconds: Annotated[
        int, Meta(description="how long a stream of events lasts; its client then reconnects")
    ] = 300
    stream_idle_seconds: Annotated[
        int,
        Meta(
            description="how long a stream without events lasts; its page does not reconnect by "
            "itself, so that the database can sleep; 0: it stays open"
        ),
    ] = 300
    requests_per_minute: Annotated[
        int,
        Meta(description="requests of one user, in one process; more get a 429; off by default"),
    ] = 0

    archive_after: Annotated[
        str,
        Meta(description="archive once a day the conversations idle for this long, such as `90d`"),
    ] = ""
    delete_after: Annotated[
        str,
        Meta(description="delete once a day the conversations idle for this long, such as `52w`"),
    ] = ""

    keep_changes: Annotated[
        str,
        Meta(description="how long a reader of events may be away and still get every change"),
    ] = "7d"
    keep_drafts: Annotated[
        str, Meta(description="how long drafts that have ended can be read, such as `12h`")
    ] = "1h"
    keep_audit: Annotated[str, Meta(description="how long the lines of the audit are kept")] = (
        "365d"
    )
    log_format: Annotated[
        str,
        Meta(description="`console` for lines to read, `json` for one JSON object a line"),
    ] = "console"
    log_salt: Annotated[
        str,
        Meta(description="hashes users in the log; absent: derived from CHATKEEP_JWT_SECRET"),
    ] = ""
    access_log: Annotated[bool, Meta(description="log a line for each request")] = True
    slow_query_ms: Annotated[
        int, Meta(description="log statements that take at least this many milliseconds")
    ] = 500
    metrics_key: Annotated[
        str, Meta(description="bearer token required for `/metrics`; absent: none")
    ] = ""
    plan_bytes: Annotated[
        int,
        Meta(description="size of the database's plan, such as `512MB`, published as a metric"),
    ] = 0

    @property
    def limits(self) -> Limits:
        return Limits(**{each.name: getattr(self, each.name) for each in fields(Limits)})

    @property
    def sweep_policy(self) -> Policy:
        """The policy of the daily sweep. Raises `SettingsError`."""
        try:
            return Policy(
                _duration("archive_after", self.archive_after),
                _duration("delete_after", self.delete_after),
            )
        except InvalidValueError as error:
            raise SettingsError(f"{variable(error.field)} {error.reason}") from error

    @property
    def changes_kept(self) -> timedelta:
        """How long changes are kept. Raises `SettingsError`."""
        return _duration("keep_changes", self.keep_changes) or CHANGES_KEPT

    @property
    def drafts_kept(self) -> timedelta:
        """How long ended drafts are kept. Raises `SettingsError`."""
        return _duration("keep_drafts", self.keep_drafts) or DRAFTS_KEPT

    @property
    def audit_kept(self) -> timedelta:
        """How long lines of the audit are kept. Raises `SettingsError`."""
        return _duration("keep_audit", self.keep_audit) or AUDIT_KEPT

    @property
    def allow_callers(self) -> bool:
        keys = self.service_keys or self.operator_keys
        return bool(self.jwt_secret or self.jwks_url or keys)

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment. An empty variable counts as absent.

        Raises `SettingsError` for an invalid value and for an unknown CHATKEEP_ variable.
        """
        given: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            name = variable(field.name)
            text = environ.get(name, "").strip()
            if not text:
                continue
            try:
                given[field.name] = _reader(field)(text)
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from None
        _check_names(environ)
        settings = cls(**given)
        _ = (
            settings.sweep_policy,
            settings.changes_kept,
            settings.drafts_kept,
            settings.audit_kept,
        )  # raise for invalid durations
        return settings


@contextmanager
def check_setting(name: str) -> Iterator[None]:
    """Raise `SettingsError`, with the name of the variable, for a `ValueError` of the block."""
    try:
        yield
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def retired_settings(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a warning for each variable that is set and no longer has an effect."""
    return [
        f"{name} has no effect: {reason}. Remove it."
        for name, reason in RETIRED.items()
        if environ.get(name, "").strip()
    ]


def variable(field: str) -> str:
    """Return the environment variable of a field of `Settings` (or of `Limits`)."""
    return field.upper() if field in _UNPREFIXED else PREFIX + field.upper()


def _duration(field: str, text: str) -> timedelta | None:
    try:
        return parse_duration(text) if text else None
    except ValueError as error:
        raise SettingsError(f"{variable(field)}: {error}") from error


def _reader(field: msgspec.structs.FieldInfo) -> Callable[[str], object]:
    if field.name in _READERS:
        return _READERS[field.name]
    if isinstance(field.default, bool):
        return values.parse_flag
    if isinstance(field.default, int):
        return values.parse_size if field.name.endswith("_bytes") else values.parse_count
    return str


def _check_names(environ: Mapping[str, str]) -> None:
    known = {variable(field.name) for field in msgspec.structs.fields(Settings)}
    unknown = [
        f"{name}: unknown setting{_suggest(name, known)}"
        for name in sorted(environ.keys() - known - RETIRED.keys())
        if name.startswith(PREFIX) and not _is_service_link(name, environ[name])
    ]
    if unknown:
        raise SettingsError(f"{' '.join(unknown)} See the table in the README.")


def _suggest(name: str, known: Collection[str]) -> str:
    if name in _OPTIONS:
        return f"; use `chatkeep serve {_OPTIONS[name]}`."
    similar = get_close_matches(name, known, 1, 0.8)
    return f"; did you mean {similar[0]}?" if similar else "."


def _is_service_link(name: str, value: str) -> bool:
    """Return whether Kubernetes set the variable, as it does for a Service named chatkeep.

    In every pod, variables such as `CHATKEEP_PORT=tcp://10.0.0.7:8000` have its address.
    """
    has_url = name.endswith("_PORT") and _SERVICE_URL.match(value)
    return bool(has_url or _SERVICE_LINK.fullmatch(name))
