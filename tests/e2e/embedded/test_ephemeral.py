"""Servers that go with the process that started them."""

from pathlib import Path

from chatkeep.adapters.database_url import parse_database_url
from chatkeep.adapters.embedded.postgres import (
    ephemeral_postgres,
)
from tests.e2e.embedded.processes import answers, ask, comes_true, is_gone, kill, line_of, python

USES_AN_EPHEMERAL_ONE = """
import sys
from chatkeep.adapters.embedded.postgres import ephemeral_postgres
with ephemeral_postgres() as url:
    print(url, flush=True)
    sys.stdin.readline()
"""


def test_an_ephemeral_server_makes_databases_from_templates_and_leaves_nothing() -> None:
    with ephemeral_postgres() as url:
        place = Path(parse_database_url(url).connect_args["host"]).parent
        ask(url, "CREATE DATABASE form", "CREATE DATABASE copy TEMPLATE form STRATEGY file_copy")
        assert ask(url, "SHOW fsync") == "off"
    assert not answers(url)
    assert not place.exists()


def test_an_ephemeral_server_for_benchmarks_is_set_up_as_they_ask() -> None:
    settings = {"work_mem": "5MB", "cluster_name": 'it\'s "$HOME"'}
    with ephemeral_postgres(durable=True, settings=settings) as url:
        assert ask(url, "SHOW fsync") == "on"
        assert ask(url, "SHOW synchronous_commit") == "on"
        assert ask(url, "SHOW work_mem") == "5MB"
        assert ask(url, "SHOW cluster_name") == 'it\'s "$HOME"'


def test_an_ephemeral_server_goes_when_its_owner_is_killed() -> None:
    owner = python(USES_AN_EPHEMERAL_ONE)
    url = line_of(owner)
    place = Path(parse_database_url(url).connect_args["host"]).parent
    kill(owner)
    assert is_gone(url, within=30)
    assert comes_true(lambda: not place.exists(), within=30)
