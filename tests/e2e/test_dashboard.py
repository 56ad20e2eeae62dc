"""The dashboard and the alerts ask for metrics that there are, with labels that they have."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from chatkeep.adapters.piccolo import database_metrics
from chatkeep.adapters.piccolo.engine import Engine
from chatkeep.entrypoints.bootstrap.service import http_app
from tests.api.builders import appended, says, started
from tests.support.application import serving, settings
from tests.support.postgres import Server, connect_args

PROJECT = Path(__file__).parents[2]
# Prometheus itself adds them to whatever it scrapes.
OF_ANY_TARGET = {"instance", "job"}

# In PromQL: a string, a metric with or without a selector, labels to group by.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_METRIC = re.compile(r"\b(chatkeep_[a-z0-9_]+)(?:\{([^}]*)\})?")
_LABEL = re.compile(r"([a-z_]+)\s*(?:=~|!~|!=|=)")
_GROUPED = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}")
_VARIABLE = re.compile(r"label_values\((\w+), (\w+)\)")


@dataclass
class Asked:
    """What an expression asks for."""

    expression: str
    shown: str = ""
    metrics: dict[str, set[str]] = field(default_factory=dict)
    grouped: list[tuple[str, set[str]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        text = _STRING.sub('""', self.expression)
        for name, selector in _METRIC.findall(text):
            self.metrics.setdefault(name, set()).update(_LABEL.findall(selector))
        for found in _GROUPED.finditer(text):
            grouped = _METRIC.search(text, found.end())
            assert grouped is not None
            self.grouped.append((grouped[1], {each.strip() for each in found[1].split(",")}))


def dashboard() -> Any:  # noqa: ANN401 - any JSON
    return json.loads((PROJECT / "deploy/grafana.json").read_text(encoding="utf-8"))


def rules() -> list[dict[str, Any]]:
    loaded = yaml.safe_load((PROJECT / "deploy/alerts.yml").read_text(encoding="utf-8"))
    return [rule for group in loaded["groups"] for rule in group["rules"]]


def of_dashboard() -> Iterator[Asked]:
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield Asked(target["expr"], target["legendFormat"])


def of_alerts() -> Iterator[Asked]:
    for rule in rules():
        yield Asked(rule["expr"], " ".join(rule["annotations"].values()))


@pytest.fixture(scope="module")
async def exposed(postgres_server: Server) -> dict[str, set[str]]:
    """Return the labels of each metric of a service that was used."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(database_metrics, "CHECK_SECONDS", 0.02)
        async with postgres_server.database() as url:
            given = settings(database_url=url, plan_bytes=512)
            app = http_app(given, database=Engine(connect_args(url)))
            async with serving(given, app=app) as service:
                found: dict[str, set[str]] = {}
                while "chatkeep_relation_bytes" not in found:
                    await appended(service.user(), await started(service.user()), says("Hello"))
                    text = (await service.nobody().get("/metrics")).text
                    for family in text_string_to_metric_families(text):
                        for sample in family.samples:
                            found.setdefault(sample.name, set()).update(sample.labels)
    return found


@pytest.mark.parametrize("asked", [*of_dashboard(), *of_alerts()], ids=lambda each: each.expression)
def test_what_is_asked_for_is_there(exposed: dict[str, set[str]], asked: Asked) -> None:
    assert asked.metrics
    # A table's rows are guessed only after its first ANALYZE.
    exposed.setdefault("chatkeep_table_rows_estimate", {"table"})
    assert set(asked.metrics) <= set(exposed)
    for name, labels in asked.metrics.items():
        assert labels <= exposed[name] | OF_ANY_TARGET, name
    known = set.union(*asked.metrics.values()) | OF_ANY_TARGET
    for name, labels in asked.grouped:
        assert labels <= exposed[name] | OF_ANY_TARGET, name
        known |= labels
    assert set(_SHOWN.findall(asked.shown)) <= known


def test_every_metric_is_on_the_page_and_the_page_has_no_other(
    exposed: dict[str, set[str]],
) -> None:
    page = (PROJECT / "docs/monitoring.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(chatkeep_\w+)` \| ([^|]*) \|", page, re.MULTILINE))
    parts = re.compile(r"_(?:bucket|count|sum)$")
    names = {parts.sub("", name) if "seconds_" in name else name for name in exposed}
    assert set(rows) == names | {"chatkeep_table_rows_estimate"}
    for name, labels in exposed.items():
        row = rows[parts.sub("", name) if "seconds_" in name else name]
        assert set(re.findall(r"`(\w+)`", row)) == labels - {"le"}, name


def test_what_a_dashboard_lets_one_choose_is_there(exposed: dict[str, set[str]]) -> None:
    queries = [each.get("definition", "") for each in dashboard()["templating"]["list"]]
    chosen = [found.groups() for query in queries if (found := _VARIABLE.fullmatch(query))]
    assert chosen == [("chatkeep_build_info", "instance")]
    assert chosen[0][0] in exposed


def test_panels_have_places_of_their_own() -> None:
    taken: set[tuple[int, int]] = set()
    panels = dashboard()["panels"]
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not taken & cells, panel["title"]
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_every_alert_says_what_is_wrong_and_what_to_do() -> None:
    found = rules()
    assert len({rule["alert"] for rule in found}) == len(found) >= 6
    page = (PROJECT / "docs/monitoring.md").read_text(encoding="utf-8")
    for rule in found:
        assert set(rule["annotations"]) == {"summary", "description"}
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert re.fullmatch(r"\d+m", rule["for"])
        assert f"`{rule['alert']}`" in page
