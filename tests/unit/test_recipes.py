"""Requests as spreadsheets and dashboards send them, and the recipes of docs/clients.md that make them do so.

The headers are from the sources that each case names.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import httpx2
import pytest
from cache_factory import publish
from paths import ROOT
from sidecar_process import KEY, Sidecar, sidecar
from waiting import wait_for

from api.contract.queries.feed_query import read_feed_query
from cache.access.api_keys import digest
from cache.access.feeds import Feed
from cache.storage.documents import API_KEYS
from cache.storage.records import now

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
        feed: Whether it is told the address of a feed, which stands for `path`.
        method: What it sends.
    """

    heading: str
    source: str
    headers: Mapping[str, str]
    path: str
    media_type: str = "application/json"
    feed: bool = False
    method: str = "GET"


MASHUP = "Microsoft.Data.Mashup (https://go.microsoft.com/fwlink/?LinkID=304225)"
APPS_SCRIPT = "Mozilla/5.0 (compatible; Google-Apps-Script; beanserver; +https://script.google.com; id: x)"
N8N = "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7"
INFINITY = "grafana/grafana-infinity-datasource: pkg/infinity/headers.go, ApplyAcceptHeader"
N8N_NODE = "n8n-io/n8n: packages/nodes-base/nodes/HttpRequest/V3/HttpRequestV3.node.ts, headers.accept"
IMPORTDATA = "Mozilla/5.0 (compatible; GoogleDocs; apps-spreadsheets; +http://docs.google.com)"
EXCEL_HEAD = {
    "User-Agent": "Microsoft Office Excel 2014 (16.0.10730) Windows NT 10.0",
    "X-Office-Major-Version": "16",
    "X-MS-CookieUri-Requested": "t",
    "X-FeatureVersion": "1",
    "Accept-Auth": "badger,Wlid1.1,Bearer",
}
EXCEL = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; WOW64; Trident/7.0; .NET4.0C; .NET4.0E; ms-office)"
EXCEL_SOURCE = "superuser.com/questions/1359127: requests of Excel 2016"
EXCEL_PATH = "/fetch-data?format=csv&bom=true&fields=id,name,created_at,total_price,currency"
RECIPES = (
    Recipe("Excel by an address", EXCEL_SOURCE, EXCEL_HEAD, EXCEL_PATH, "text/csv", feed=True, method="HEAD"),
    Recipe(
        "Excel by an address",
        EXCEL_SOURCE,
        {"User-Agent": EXCEL, "Accept": "*/*", "Accept-Encoding": "gzip, deflate"},
        EXCEL_PATH,
        "text/csv",
        feed=True,
    ),
    Recipe(
        "Excel by an address",
        "learn.microsoft.com/power-query/connector-authentication: a request of Power Query",
        {"User-Agent": MASHUP, "Connection": "Keep-Alive"},
        EXCEL_PATH,
        "text/csv",
        feed=True,
    ),
    Recipe(
        "Google Sheets",
        "Epicollect5, RateLimiterServiceProviderTest.php: the user agent of IMPORTDATA in its logs",
        {"User-Agent": IMPORTDATA},
        "/fetch-data?format=csv&fields=id,name,created_at,total_price,currency",
        "text/csv",
        feed=True,
    ),
    Recipe(
        "Metabase",
        "curl.se/docs/manpage.html: --user-agent, and `Accept: */*`",
        {"User-Agent": "curl/8.14.1", "Accept": "*/*"},
        "/fetch-data?format=sqlite",
        "application/vnd.sqlite3",
        feed=True,
    ),
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
    wanted = ("python -m api feeds add", "/feeds/…") if recipe.feed else ("X-API-Key",)
    assert all(each in section for each in wanted)
    assert not re.search(r"[?&](?:api_?)?key=", section, re.IGNORECASE)  # logs keep addresses
    for part in re.split(r"[/?&=]", recipe.path.removesuffix("since=1"))[1:]:
        assert part in section, part

    answer = ask(api, recipe)

    assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, recipe.media_type)
    if recipe.method == "HEAD":
        assert answer.content == b""
    elif recipe.media_type == "application/vnd.sqlite3":
        with closing(sqlite3.connect(":memory:")) as database:
            database.deserialize(answer.content)
            assert database.execute("SELECT count(*), round(sum(total_price), 2) FROM orders").fetchone() == (
                3,
                1799.82,
            )
    elif recipe.media_type == "text/csv":
        assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 3
    elif recipe.path.startswith("/changes"):
        assert [row["id"] for row in answer.json()["inserted"]] == [1002]
    elif recipe.path.startswith("/figures"):
        assert {"step", "net_sales"} <= set(answer.json()["data"][0])
    else:
        assert len(answer.json()["data"]) == 3
    assert json.dumps(KEY) not in answer.text


def ask(api: Sidecar, recipe: Recipe) -> httpx2.Response:
    """The answer to a request of the program, with the key or by a feed."""
    if not recipe.feed:
        return httpx2.request(recipe.method, api.url + recipe.path, headers={**recipe.headers, "X-API-Key": KEY})
    path, query = read_feed_query(recipe.path)
    token = f"token-of-{RECIPES.index(recipe)}"
    feed = Feed(name=token, digest=digest(token), path=path, query=query, created_at=now())
    api.cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed))
    address = f"{api.url}/feeds/{token}"
    wait_for(lambda: httpx2.head(address).status_code == 200)
    return httpx2.request(recipe.method, address, headers=recipe.headers)


def test_an_address_without_a_key_is_answered_with_what_to_send(api: Sidecar) -> None:
    for recipe in RECIPES:
        answer = httpx2.get(api.url + recipe.path, headers=recipe.headers)
        challenge = "Basic" if "text/html" in recipe.headers.get("Accept", "") else "Bearer"
        assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, challenge)
