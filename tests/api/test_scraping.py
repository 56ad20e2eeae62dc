"""A scrape costs little however often it comes, and may ask for a key."""

import asyncio
from collections.abc import Iterator

import pytest

from chatkeep.domain.operations.metrics import MetricFamily
from chatkeep.entrypoints.http import snapshots
from chatkeep.entrypoints.http.metrics.request_metrics import Metrics
from chatkeep.entrypoints.settings import Settings, SettingsError
from tests.support.application import SERVICE_KEY, serving, settings, token

KEY = "scrape_0123456789abcdef0123456789abcdef"


class Source:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> Iterator[MetricFamily]:
        self.asked += 1
        yield MetricFamily.gauge("chatkeep_asked", "How often", self.asked)


async def test_a_burst_of_scrapes_is_one_collection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FRESH_SECONDS", 60)
    source = Source()
    metrics = Metrics([source])

    texts = await asyncio.gather(*(metrics.render() for _ in range(50)))

    assert source.asked == 1
    assert set(texts) == {await metrics.render()}
    assert b"\nchatkeep_asked 1.0\n" in texts[0]


async def test_an_answer_is_made_anew_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshots, "FRESH_SECONDS", 0)
    metrics = Metrics([Source()])

    await metrics.render()

    assert b"\nchatkeep_asked 2.0\n" in await metrics.render()


async def test_with_a_key_only_who_sends_it_may_scrape() -> None:
    async with serving(settings(metrics_key=KEY)) as service:
        for sent in ({}, {"Authorization": KEY}, {"Authorization": "Basic abc"}):
            refused = await service.http.get("/metrics", headers=sent)
            assert refused.status_code == 401
            assert refused.json()["type"] == "urn:chatkeep:problem:missing-credentials"
        for other in (f"Bearer {KEY}x", "Bearer ", f"Bearer {SERVICE_KEY}", token("alice")):
            refused = await service.http.get("/metrics", headers={"Authorization": other})
            assert refused.status_code == 401
            assert refused.headers["www-authenticate"].startswith("Bearer ")
            assert "CHATKEEP_METRICS_KEY" in refused.json()["detail"]
        for scheme in ("Bearer", "bearer"):
            let_in = await service.http.get(
                "/metrics", headers={"Authorization": f"{scheme} {KEY}"}
            )
            assert let_in.status_code == 200
            assert "chatkeep_build_info" in let_in.text


async def test_the_key_of_metrics_opens_nothing_else() -> None:
    async with serving(settings(metrics_key=KEY)) as service:
        answer = await service.http.get("/v1/me", headers={"Authorization": f"Bearer {KEY}"})

    assert answer.status_code == 401


@pytest.mark.parametrize("key", ["short", "with a space " * 3, "é" * 40])
def test_a_key_that_cannot_be_one_is_refused_at_the_start(key: str) -> None:
    with pytest.raises(SettingsError, match="CHATKEEP_METRICS_KEY"):
        Settings.from_env({"CHATKEEP_METRICS_KEY": key})
