"""The files of the page at /console: who gets them, and what they may do in a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from chatkeep.entrypoints.console import page
from chatkeep.entrypoints.settings import Settings, SettingsError
from tests.support.application import Caller, serving, settings


@pytest.fixture
async def visitor() -> AsyncIterator[Caller]:
    async with serving(settings(console="on")) as service:
        yield service.nobody()


async def test_it_is_off_unless_it_is_asked_for() -> None:
    async with serving(settings()) as service:
        visitor = service.nobody()

        assert (await visitor.http.get("/console/")).status_code == 404
        assert "console" not in (await visitor.http.get("/")).json()


async def test_a_browser_at_the_root_is_led_to_it(visitor: Caller) -> None:
    answer = await visitor.http.get("/", headers={"Accept": "text/html"})

    assert (answer.status_code, answer.headers["location"]) == (307, "./console/")
    assert (await visitor.http.get("/")).json()["console"] == "./console/"


@pytest.mark.parametrize("path", ["/console/", "/console/main.js", "/console/console.css"])
async def test_its_files_run_no_script_of_others_and_are_checked_each_time(
    visitor: Caller, path: str
) -> None:
    answer = await visitor.http.get(path)
    policy = answer.headers["content-security-policy"]
    again = await visitor.http.get(path, headers={"If-None-Match": answer.headers["etag"]})

    assert answer.status_code == 200
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "require-trusted-types-for 'script'" in policy
    assert len(answer.headers.get_list("content-security-policy")) == 1
    assert answer.headers["cache-control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert (await visitor.http.head(path)).headers["etag"] == answer.headers["etag"]


async def test_links_in_it_are_relative_to_a_slash(visitor: Caller) -> None:
    answer = await visitor.http.get("/console")

    assert (answer.status_code, answer.headers["location"]) == (307, "./console/")


@pytest.mark.parametrize(
    "name", ["nothing.js", "..%2fpage.py", "%2e%2e/page.py", "page.py", "MAIN.JS"]
)
async def test_nothing_else_is_served(visitor: Caller, name: str) -> None:
    answer = await visitor.http.get(f"/console/{name}")

    assert answer.status_code == 404


def test_the_page_weighs_at_most_120_kb() -> None:
    files = [path.stat().st_size for path in (Path(page.__file__).parent / "static").iterdir()]

    assert sum(files) <= 120_000


def test_the_setting_is_on_or_off() -> None:
    with pytest.raises(SettingsError, match="CHATKEEP_CONSOLE: 'yes' is not one of on, off"):
        Settings.from_env({"CHATKEEP_CONSOLE": "yes"})
