"""/docs: the page, what it loads, and the document beside it."""

import json
import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from tests.api.builders import refused
from tests.support.application import Service
from tests.support.json_schema import JsonObject


class Loaded(HTMLParser):
    """What a page makes a browser load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value or "" for name, value in attrs if name in {"src", "href"}]


async def test_the_page_loads_nothing_from_elsewhere(service: Service) -> None:
    nobody = service.nobody()
    response = await nobody.get("/docs")

    assert response.headers["content-type"] == "text/html; charset=utf-8"
    urls = [url for url in Loaded(response.text).urls if not url.startswith("data:")]
    assert len(urls) == 2
    for url in urls:
        assert url.startswith("./docs-assets/")
        asset = await nobody.get(url.removeprefix("."))
        assert asset.status_code == 200
        assert len(asset.content) > 10_000
        kind = "text/css" if url.endswith("css") else "text/javascript"
        assert asset.headers["content-type"].startswith(kind)
        if url.endswith("css"):
            assert re.findall(r"url\((?!\"?data:)|@import", asset.text) == []
    assert not re.search("https?:", response.text)


@pytest.mark.parametrize("page", ["/docs", "/docs/"])
async def test_the_page_works_below_a_path_that_a_proxy_puts_before_it(
    service: Service, page: str
) -> None:
    text = (await service.nobody().get(page)).text

    at = f"https://house.example/chat{page}"
    for url in Loaded(text).urls:
        if not url.startswith("data:"):
            found = urljoin(at, url)
            assert found.startswith("https://house.example/chat/docs-assets/")
            path = found.removeprefix("https://house.example/chat")
            assert (await service.nobody().get(path)).status_code == 200
    [root] = re.findall(r'new URL\("([./]+)", location\.href\)', text)
    assert urljoin(at, root) == "https://house.example/chat/"


async def test_the_page_shows_the_document(service: Service, document: JsonObject) -> None:
    page = (await service.nobody().get("/docs")).text

    start = page.index("spec = ") + len("spec = ")
    shown, _ = json.JSONDecoder().raw_decode(page, start)
    assert shown == document


@pytest.mark.parametrize(
    "name", ["swagger-ui.js", "../docs-assets/x", "%2e%2e%2fpackage.json", "..%2f__init__.py", ""]
)
async def test_assets_are_these_and_no_other_files(service: Service, name: str) -> None:
    refused(await service.nobody().get(f"/docs-assets/{name}"), 404, "not-found")


async def test_the_document_is_json_for_anybody(service: Service) -> None:
    response = await service.nobody().get("/docs/openapi.json")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
