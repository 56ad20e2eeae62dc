"""What a line of the log says, in either form, and what it does not."""

import hmac
import json
import logging
import logging.config
import re
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from chatkeep.adapters.piccolo.statement_metrics import SlowStatement
from chatkeep.domain.errors import UserNotFoundError
from chatkeep.domain.model import UserId
from chatkeep.entrypoints.http.metrics.observation import RequestLogLine
from chatkeep.entrypoints.logs import (
    ACCESS,
    CURRENT_REQUEST,
    ConsoleFormatter,
    CurrentRequest,
    JsonFormatter,
    Pseudonyms,
    configuration,
    salt,
)
from chatkeep.entrypoints.settings import Settings, SettingsError

SECRET = "a-secret-of-at-least-thirty-two-bytes"
ANSWERED = RequestLogLine("trace-7", "GET", "/v1/me", 200, 1.5, 2, "0123456789ab")


@pytest.fixture
def trace_7() -> Iterator[None]:
    """Log as if for a request."""
    before = CURRENT_REQUEST.set(CurrentRequest("trace-7"))
    yield
    CURRENT_REQUEST.reset(before)


def record(message: object, *args: object, name: str = "chatkeep.http") -> logging.LogRecord:
    return logging.LogRecord(name, logging.WARNING, "", 0, message, args, None)


def in_json(line: logging.LogRecord) -> dict[str, Any]:
    text = JsonFormatter().format(line)
    assert "\n" not in text
    found: dict[str, Any] = json.loads(text)
    time = found.pop("time")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    return found


def test_a_line_to_read_says_which_request_it_is_for(trace_7: None) -> None:
    line = ConsoleFormatter().format(record("%s is away", "it"))
    assert line.endswith(" WARNING chatkeep.http: it is away (request trace-7)")


def test_a_line_to_read_says_no_request_where_there_is_none() -> None:
    assert ConsoleFormatter().format(record("it is away")).endswith("chatkeep.http: it is away")


def test_the_line_of_a_request_says_its_id_once(trace_7: None) -> None:
    line = ConsoleFormatter().format(record(ANSWERED, name=ACCESS))
    assert line.endswith(": trace-7 GET /v1/me 200 1.5ms queries=2 user=0123456789ab")


def test_in_json_a_request_is_its_fields(trace_7: None) -> None:
    assert in_json(record(ANSWERED, name=ACCESS)) == {
        "level": "warning",
        "logger": ACCESS,
        "event": "request",
        "request_id": "trace-7",
        "method": "GET",
        "route": "/v1/me",
        "status": 200,
        "duration_ms": 1.5,
        "queries": 2,
        "user": "0123456789ab",
    }


def test_in_json_a_slow_statement_names_its_request(trace_7: None) -> None:
    found = in_json(record(SlowStatement("messages.append", 812.5), name="chatkeep.database"))
    assert found == {
        "level": "warning",
        "logger": "chatkeep.database",
        "event": "slow_statement",
        "request_id": "trace-7",
        "statement": "messages.append",
        "duration_ms": 812.5,
    }


def test_in_json_a_traceback_is_a_field(trace_7: None) -> None:
    try:
        raise RuntimeError("two\nlines")  # noqa: TRY301 - to have a traceback
    except RuntimeError as error:
        line = record("unexpected error in %s", "GET")
        line.exc_info = (RuntimeError, error, error.__traceback__)
    found = in_json(line)
    assert found["message"] == "unexpected error in GET"
    assert found["request_id"] == "trace-7"
    assert found["error"].startswith("Traceback")
    assert found["error"].endswith("RuntimeError: two\nlines")


WHO = "Zora"


def failing() -> ExceptionGroup[Exception]:
    """Return errors of many kinds, each with the cause of the one before."""
    fields = {
        "C": "23502",
        "M": f'null value in column "plan" of {WHO}',
        "D": f"Failing row contains ({WHO}, null)",
        "t": "users",
        "c": "plan",
    }
    data = asyncpg.DataError(f"invalid input for query argument $1: {WHO!r}")
    try:
        try:
            try:
                raise asyncpg.PostgresError.new(fields, WHO)
            except asyncpg.PostgresError as error:
                raise UserNotFoundError(WHO) from error
        except UserNotFoundError:
            dict[str, str]()[WHO]
    except KeyError as error:
        return ExceptionGroup(WHO, [error, data, RuntimeError("of ours")])
    raise AssertionError


@pytest.mark.parametrize("formatter", [ConsoleFormatter, JsonFormatter])
def test_a_traceback_says_where_and_what_but_no_values(formatter: type[logging.Formatter]) -> None:
    line = record("unexpected error")
    error = failing()
    line.exc_info = (type(error), error, None)
    text = formatter().format(line)

    assert WHO not in text
    for seen in (
        "asyncpg.exceptions.NotNullViolationError",
        "sqlstate 23502, table_name users, column_name plan",
        "chatkeep.domain.errors.UserNotFoundError",
        "KeyError",
        "asyncpg.exceptions.DataError",
        "RuntimeError: of ours",
        "in failing",
    ):
        assert seen in text


@pytest.mark.parametrize("text", ["half \ud800 of one", "two\nlines", 'a "quote"', "\x00"])
def test_in_json_any_text_is_one_line(text: str) -> None:
    message = in_json(record("%s", text))["message"]
    assert message == text.replace("\ud800", "\\ud800")


def test_a_user_is_a_salted_hash_that_stays_the_same() -> None:
    who = Pseudonyms("salt")
    alice = UserId("alice")
    assert who(alice) == hmac.digest(b"salt", b"alice", "sha256").hex()[:12]
    assert who(alice) == Pseudonyms("salt")(alice)
    assert len({who(alice), who(UserId("bob")), Pseudonyms("pepper")(alice)}) == 3


def test_not_every_user_there_ever_was_is_remembered() -> None:
    who = Pseudonyms("salt")
    first = who(UserId("0"))
    for number in range(1, 25_000):
        who(UserId(str(number)))
    assert len(who) <= 10_000
    assert who(UserId("0")) == first


def test_the_salt_is_the_setting_or_follows_from_the_secret_or_is_new() -> None:
    assert salt(Settings(log_salt="mine", jwt_secret=SECRET)) == "mine"
    derived = salt(Settings(jwt_secret=SECRET))
    assert derived == salt(Settings(jwt_secret=SECRET))
    assert SECRET not in derived
    assert derived != salt(Settings(jwt_secret=SECRET + "!"))
    assert salt(Settings()) != salt(Settings())


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    names = ("root", "chatkeep", ACCESS, "uvicorn", "opentelemetry")
    loggers = [logging.getLogger(name) for name in names]
    before = [(each.level, each.handlers[:], each.propagate) for each in loggers]
    yield
    for each, (level, handlers, propagate) in zip(loggers, before, strict=True):
        each.setLevel(level)
        each.handlers[:] = handlers
        each.propagate = propagate


def test_lines_of_requests_can_be_left_out(
    logging_as_it_was: None, capsys: pytest.CaptureFixture[str]
) -> None:
    for access_log in (True, False):
        settings = Settings(access_log=access_log, log_format="json")
        logging.config.dictConfig(configuration(settings))
        logging.getLogger(ACCESS).info(ANSWERED)
        logging.getLogger("chatkeep.database").warning("it is away")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("event", line.get("message")) for line in lines] == [
        "request",
        "it is away",
        "it is away",
    ]


@pytest.mark.parametrize("given", ["xml", "JSON"])
def test_another_format_is_refused_with_those_there_are(given: str) -> None:
    with pytest.raises(SettingsError, match=r"CHATKEEP_LOG_FORMAT: .*console, json"):
        Settings.from_env({"CHATKEEP_LOG_FORMAT": given})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MB", 536_870_912),
        ("512 MiB", 536_870_912),
        ("0.5GB", 536_870_912),
        ("10gb", 10_737_418_240),
        ("4096", 4096),
        ("1kB", 1024),
    ],
)
def test_a_plan_is_as_large_as_postgres_would_read_it(text: str, size: int) -> None:
    assert Settings.from_env({"CHATKEEP_PLAN_BYTES": text}).plan_bytes == size


@pytest.mark.parametrize("text", ["large", "-1", "1XB", "1e9", "MB"])
def test_what_is_no_size_is_refused_with_one_that_is(text: str) -> None:
    with pytest.raises(SettingsError, match=r"CHATKEEP_PLAN_BYTES: .*512MB"):
        Settings.from_env({"CHATKEEP_PLAN_BYTES": text})
