"""The service in memory that tests start."""

import sys

import pytest

from chatkeep_client import errors
from chatkeep_client.testing import (
    ServiceNotInstalledError,
    ServiceNotStartedError,
    memory_service,
)


def test_settings_reach_the_service_and_it_ends_with_the_block(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://not-this-one/x")
    monkeypatch.setenv("CHATKEEP_MAX_BATCH", "not a number")
    with memory_service(CHATKEEP_MAX_PAGE="2") as service, service.client("alice") as alice:
        with pytest.raises(errors.LimitExceededError) as refused:
            alice.list_conversations(limit=3)
        assert refused.value.limit == 2
    with service.client("alice", max_retries=0) as alice:
        assert not alice.is_live()


def test_a_service_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(ServiceNotStartedError, match="CHATKEEP_MAX_PAGE"),
        memory_service(CHATKEEP_MAX_PAGE="many"),
    ):
        pass


def test_a_service_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/python")
    with (
        pytest.raises(ServiceNotInstalledError, match="Install the package `chatkeep`"),
        memory_service(),
    ):
        pass


def test_a_service_that_logs_much_is_not_held_up() -> None:
    with memory_service(CHATKEEP_LOG_FORMAT="json") as service, service.client("alice") as alice:
        for _ in range(400):  # about 200 bytes each, and a pipe holds 65,536
            alice.get_usage()


def test_a_service_that_is_not_ready_in_time_is_an_error() -> None:
    with pytest.raises(ServiceNotStartedError, match="in time"), memory_service(ready_within=0):
        pass
