"""Everything that can be set, read once from the environment into one frozen struct."""

import os
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import timedelta
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from domain.errors import InvalidValueError
from domain.model import Limits
from domain.sweep import Policy, duration

PREFIX: Final = "CHATKEEP_"
MIN_SECRET_BYTES: Final = 32
RETIRED: Final = {
    "CHATKEEP_OPENAI_RETRY_SECONDS": "retries without an Idempotency-Key are always stored; see "
    "docs/openai.md"
}
"""Former settings, and what holds without them. They are accepted, so that upgrades start."""

_UNPREFIXED: Final = frozenset({"database_url", "database_url_direct"})

_LIMITS: Final = Limits()
_UNITS: Final = ("", "K", "M", "G", "T")
_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.ASCII | re.IGNORECASE)

Count = Annotated[int, Meta(ge=0)]


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names it, and never shows a secret."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Each field is the environment variable `CHATKEEP_` + its name in capitals.

    Only the two database URLs go without the prefix. The description is that of the README's table.
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
        tuple[Annotated[str, Meta(min_length=MIN_SECRET_BYTES)], ...],
        Meta(description="keys, with commas between, that act for the user in `X-User-Id`"),
    ] = ()
    provision_users: Annotated[
        bool, Meta(description="add a user to `users` on their first write; else they get a 403")
    ] = True
    cors_origins: Annotated[
        tuple[str, ...],
        Meta(description="origins, with commas between, whose pages may call from a browser"),
    ] = ()
    max_user_message_chars: Annotated[
        Count, Meta(description="characters of a message of role user")
    ] = _LIMITS.max_user_message_chars
    max_message_chars: Annotated[
        Count, Meta(description="characters of any message, and of its tool_calls")
    ] = _LIMITS.max_message_chars
    soft_max_conversation_messages: Annotated[
        Count, Meta(description="messages of a conversation, beyond which appends carry a warning")
    ] = _LIMITS.soft_max_conversation_messages
    max_title_chars: Annotated[Count, Meta(description="characters of a title")] = (
        _LIMITS.max_title_chars
    )
    max_metadata_bytes: Annotated[Count, Meta(description="bytes of metadata, as JSON")] = (
        _LIMITS.max_metadata_bytes
    )
    max_page: Annotated[Count, Meta(description="items of a page, messages of a context")] = (
        _LIMITS.max_page
    )
    max_batch: Annotated[Count, Meta(description="messages of one append")] = _LIMITS.max_batch
    max_body_bytes: Annotated[Count, Meta(description="bytes of a request's body")] = 1_048_576
    max_item_bytes: Annotated[
        Count, Meta(description="bytes of an item sent through OpenAI's API, as JSON")
    ] = _LIMITS.max_item_bytes
    openai_max_body_bytes: Annotated[
        Count, Meta(description="bytes of a request's body, below `/openai`")
    ] = 33_554_432

    max_requests_at_once: Annotated[
        Count, Meta(description="requests served at once, in one process; more get a 503")
    ] = 1_000
    max_requests_at_once_per_user: Annotated[
        Count, Meta(description="of those, requests of one user; more get a 429")
    ] = 100
    requests_per_minute: Annotated[
        Count,
        Meta(description="requests of one user, in one process; more get a 429; off by default"),
    ] = 0

    archive_after: Annotated[
        str,
        Meta(description="archive, once a day, what was idle for so long (`90d`); empty: never"),
    ] = ""
    delete_after: Annotated[
        str,
        Meta(description="delete, once a day, what was idle for so long (`52w`); empty: never"),
    ] = ""

    log_format: Annotated[
        str,
        Meta(
            pattern="^(console|json)$",
            description="lines to read, or one JSON object a line: `json`",
        ),
    ] = "console"
    log_salt: Annotated[
        str,
        Meta(description="hashes users in the log; absent: follows from CHATKEEP_JWT_SECRET"),
    ] = ""
    access_log: Annotated[bool, Meta(description="log a line for each request")] = True
    slow_query_ms: Annotated[
        Count, Meta(description="log statements that took so many milliseconds")
    ] = 500
    plan_bytes: Annotated[
        Count,
        Meta(description="room the database's plan has, as `512MB`; a metric to compare with"),
    ] = 0

    @property
    def limits(self) -> Limits:
        return Limits(**{each.name: getattr(self, each.name) for each in fields(Limits)})

    @property
    def sweep_policy(self) -> Policy:
        """What is swept once a day. Raises `SettingsError`."""
        try:
            return Policy(
                _duration("archive_after", self.archive_after),
                _duration("delete_after", self.delete_after),
            )
        except InvalidValueError as error:
            raise SettingsError(f"{variable(error.field)} {error.reason}") from error

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read the environment. An empty variable counts as absent.

        Raises `SettingsError` for a value that does not fit and for an unknown CHATKEEP_ variable.
        """
        given: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            text = environ.get(variable(field.name), "").strip()
            if text:
                several = field.name in {"service_keys", "cors_origins"}
                given[field.name] = _split(text) if several else text
        if "plan_bytes" in given:
            given["plan_bytes"] = _bytes("plan_bytes", given["plan_bytes"])
        known = {variable(field.name) for field in msgspec.structs.fields(cls)} | RETIRED.keys()
        if unknown := sorted(n for n in environ if n.startswith(PREFIX) and n not in known):
            raise SettingsError(
                f"{', '.join(unknown)}: no such setting. See the table in the README."
            )
        try:
            settings = msgspec.convert(given, cls, strict=False)
        except msgspec.ValidationError as error:
            reason, _, path = str(error).partition(" - at `$.")
            name = path.rstrip("`").split("[")[0]
            raise SettingsError(f"{variable(name)}: {reason}") from None
        settings._check_identity()  # noqa: SLF001 - its own class
        _ = settings.sweep_policy  # durations are read to see that they are ones
        return settings

    def _check_identity(self) -> None:
        if self.jwt_secret and len(self.jwt_secret.encode()) < MIN_SECRET_BYTES:
            raise SettingsError(
                f"CHATKEEP_JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes; make one with "
                "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`"
            )
        if self.jwks_url and urlsplit(self.jwks_url).scheme not in {"http", "https"}:
            raise SettingsError("CHATKEEP_JWKS_URL is not an http or https URL")


def retired_settings(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return a sentence for each variable that is set and no longer has an effect."""
    return [
        f"{name} has no effect any more: {reason}. Remove it."
        for name, reason in RETIRED.items()
        if environ.get(name, "").strip()
    ]


def variable(field: str) -> str:
    """Return the environment variable of a field of `Settings` (or of `Limits`)."""
    return field.upper() if field in _UNPREFIXED else PREFIX + field.upper()


def _duration(field: str, text: str) -> timedelta | None:
    try:
        return duration(text) if text else None
    except ValueError as error:
        raise SettingsError(f"{variable(field)}: {error}") from error


def size_of(text: str) -> int | None:
    """Return a size in bytes as Postgres reads it, 1 kB being 1024; None when it is none."""
    found = _SIZE.fullmatch(text)
    if found is None:
        return None
    return round(float(found[1]) * 1024.0 ** _UNITS.index(found[2].upper()))


def _bytes(field: str, text: str) -> int:
    size = size_of(text)
    if size is None:
        raise SettingsError(f"{variable(field)}: not a size; write one as 512MB, or in bytes")
    return size


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]
