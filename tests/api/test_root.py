"""/: it leads people to the documentation, and programs to everything."""

from importlib.metadata import version
from urllib.parse import urljoin

import pytest

from tests.support.application import Service

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "TEXT/HTML ; q=0.9, application/json"])
async def test_a_browser_is_led_to_the_documentation(service: Service, accept: str) -> None:
    response = await service.nobody().get("/", {"Accept": accept})
    assert response.status_code == 307
    assert response.headers["vary"] == "Accept"
    for at, to in (
        ("https://house.example/", "https://house.example/docs"),
        ("https://house.example/chat/", "https://house.example/chat/docs"),
    ):
        assert urljoin(at, response.headers["location"]) == to


@pytest.mark.parametrize(
    "accept", ["*/*", "", "application/json", "application/json, text/html", "x;q=1e999", ",;,"]
)
async def test_a_program_is_told_what_runs_here_and_where_the_rest_is(
    service: Service, accept: str
) -> None:
    nobody = service.nobody()
    response = await nobody.get("/", {"Accept": accept})
    assert response.status_code == 200
    assert response.headers["vary"] == "Accept"
    told = response.json()
    assert (told.pop("name"), told.pop("version")) == ("chatkeep", version("chatkeep"))
    for name in ("docs", "openapi", "live", "ready", "metrics"):
        path = urljoin("/", told[name])
        assert (await nobody.get(path)).status_code == 200
    assert (await service.user().get(urljoin("/", told["api"]) + "/me")).status_code == 200
    openai = urljoin("/", told["openai_base_url"]) + "/conversations"
    assert (await service.user().get(openai)).status_code == 200
