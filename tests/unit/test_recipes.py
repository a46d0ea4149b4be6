"""Requests as spreadsheets and dashboards send them, and the recipes of docs/clients.md that make them do so.

The headers are from the sources that each case names.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import httpx2
import pytest
from cache_factory import publish
from paths import ROOT
from sidecar_process import KEY, Sidecar, sidecar

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Recipe:
    """How a program asks.

    Attributes:
        heading: Of its recipe.
        source: Where its headers are documented, or the code that sends them.
        headers: What it sends without being told.
        path: What the recipe tells it to ask for. Its parts stand in the recipe.
        media_type: What it reads.
    """

    heading: str
    source: str
    headers: Mapping[str, str]
    path: str
    media_type: str = "application/json"


MASHUP = "Microsoft.Data.Mashup (https://go.microsoft.com/fwlink/?LinkID=304225)"
APPS_SCRIPT = "Mozilla/5.0 (compatible; Google-Apps-Script; beanserver; +https://script.google.com; id: x)"
N8N = "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7"
INFINITY = "grafana/grafana-infinity-datasource: pkg/infinity/headers.go, ApplyAcceptHeader"
N8N_NODE = "n8n-io/n8n: packages/nodes-base/nodes/HttpRequest/V3/HttpRequestV3.node.ts, headers.accept"
RECIPES = (
    Recipe(
        "Power Query: Excel and Power BI",
        "learn.microsoft.com/power-query/connector-authentication: a request of Power Query",
        {"User-Agent": MASHUP, "Connection": "Keep-Alive", "Accept": "application/json"},
        "/fetch-data?fields=id,name,created_at,total_price,currency",
    ),
    Recipe(
        "Google Sheets",
        "developers.google.com/apps-script/reference/url-fetch: the user agent",
        {"User-Agent": APPS_SCRIPT},
        "/fetch-data?format=csv&formulas=defuse&fields=id,name,created_at,total_price,currency",
        "text/csv",
    ),
    Recipe(
        "Grafana",
        INFINITY,
        {"User-Agent": "Go-http-client/1.1", "Accept": "application/json;q=0.9,text/plain"},
        "/figures?metric=net_sales&step=day&period=30d",
    ),
    Recipe(
        "Grafana",
        INFINITY,
        {"User-Agent": "Go-http-client/1.1", "Accept": "text/csv; charset=utf-8"},
        "/fetch-data?format=csv&fields=created_at,total_price",
        "text/csv",
    ),
    Recipe("n8n", N8N_NODE, {"Accept": "application/json,text/*;q=0.99"}, "/changes?since=1"),
    Recipe("n8n", N8N_NODE, {"Accept": N8N}, "/fetch-data"),
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, 2)
        publish(running.cache, 3)
        yield running


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: f"{recipe.heading}{recipe.path[:12]}")
def test_a_program_gets_what_its_recipe_says(api: Sidecar, recipe: Recipe) -> None:
    document = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    section = document.partition(f"\n## {recipe.heading}\n")[2].partition("\n## ")[0]
    assert "X-API-Key" in section
    for part in re.split(r"[/?&=]", recipe.path.removesuffix("since=1"))[1:]:
        assert part in section, part

    answer = httpx2.get(api.url + recipe.path, headers={**recipe.headers, "X-API-Key": KEY})

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, recipe.media_type)
    if recipe.media_type == "text/csv":
        assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 3
    elif recipe.path.startswith("/changes"):
        assert [row["id"] for row in answer.json()["inserted"]] == [1002]
    elif recipe.path.startswith("/figures"):
        assert {"step", "net_sales"} <= set(answer.json()["data"][0])
    else:
        assert len(answer.json()["data"]) == 3
    assert json.dumps(KEY) not in answer.text


def test_an_address_without_a_key_is_answered_with_what_to_send(api: Sidecar) -> None:
    for recipe in RECIPES:
        answer = httpx2.get(api.url + recipe.path, headers=recipe.headers)
        challenge = "Basic" if "text/html" in recipe.headers.get("Accept", "") else "Bearer"
        assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, challenge)
