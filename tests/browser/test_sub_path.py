"""Dashboard and API below a path of a host, behind nginx as docs/configuration.md sets it up.

Behind Caddy: tests/soak/test_behind_caddy.py.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from dashboard_page import at_rest, new_tab, sign_in
from dashboard_process import dashboard
from front_proxies import check_stream, nginx, watched
from long_cases import soak_but
from playwright.sync_api import Browser, Page, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import KEY, sidecar, worker

from cache.storage.store import Cache
from dashboard.pages import PAGES

pytestmark = pytest.mark.not_on("one-port", "sub-path", why="it starts both ports and nginx itself")
ROWS = shop(40)
HEADERS = {"X-API-Key": KEY}


@dataclass(frozen=True)
class Site:
    """The product as its proxy shows it.

    Attributes:
        url: The address of the dashboard.
        api: The address of the API that the dashboard shows.
        cache: The cache of both.
    """

    url: str
    api: str
    cache: Cache


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


@pytest.fixture(scope="module", params=["two ports", "one port"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    settings = {"DASHBOARD_PASSWORD": "one", "PUBLIC_PATH": "/orders"}
    with ExitStack() as stack:
        if request.param == "one port":
            both = stack.enter_context(sidecar(folder, "one_port", **settings))
            cache, ports, api = both.cache, (port_of(both.url), port_of(both.url)), ""
        else:
            pages = stack.enter_context(dashboard(folder, **settings))
            alone = stack.enter_context(sidecar(folder, **settings))
            cache, ports, api = pages.cache, (port_of(alone.url), port_of(pages.url)), "/v1"
        publish(cache, ROWS, columns=SHOP_COLUMNS)
        url = stack.enter_context(nginx(*ports)) + "/orders"
        yield Site(url, url + api, cache)


def entered(browser: Browser, address: str) -> Page:
    page = new_tab(browser)
    sign_in(page, address, "one")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)
    return page


@pytest.mark.soak
@pytest.mark.parametrize("site", soak_but(("one port",), ["two ports", "one port"]), indirect=True)
def test_a_deep_link_a_download_the_ways_back_and_the_sign_out(browser: Browser, site: Site) -> None:
    page = entered(browser, f"{site.url}/orders?period=all&status=paid")
    faults = watched(page, site.url)
    expect(page).to_have_url(f"{site.url}/orders?period=all&status=paid")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="CSV", exact=True).click()
    loaded = list(csv.DictReader(io.StringIO(Path(begun.value.path()).read_text(encoding="utf-8-sig"))))
    paid = [row["id"] for row in ROWS if (row["test"], row["financial_status"]) == ("0", "paid")]
    assert sorted(row["id"] for row in loaded) == sorted(map(str, paid))
    page.keyboard.press("Escape")
    for title in ("Explore", "Data"):
        page.get_by_test_id("stSidebarNavLink").filter(has_text=title).click()
        expect(page).to_have_title(f"{title} · Orders")
        at_rest(page)
    page.go_back()
    expect(page).to_have_title("Explore · Orders")
    page.go_forward()
    expect(page).to_have_title("Data · Orders")
    at_rest(page)
    assert page.url.startswith(f"{site.url}/data")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    assert page.url == f"{site.url}/"
    assert faults == [f"401: {site.url}/"]  # the form


@pytest.mark.parametrize("site", ["two ports"], indirect=True)  # the pages are the same on one port
def test_no_request_of_any_page_fails_or_leads_out_of_the_path(browser: Browser, site: Site) -> None:
    page = entered(browser, f"{site.url}/explore/?period=all")  # with a slash too many
    faults = watched(page, site.url)
    for path in (*sorted(PAGES.keys() - {"api"})[1::3], "api"):  # a third of them, and the API's
        page.goto(f"{site.url}/{'' if path == 'overview' else path}?period=all")
        expect(page).to_have_title(re.compile(f"^{PAGES[path][0]}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        at_rest(page)
    expect(page.get_by_text(f"{site.api}/fetch-data").first).to_be_visible()
    page.get_by_role("link", name="Try it").evaluate("link => link.target = '_self'")
    page.get_by_role("link", name="Try it").click()
    expect(page).to_have_url(re.compile(f"^{site.api}/demo"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("link", name="reference").click()
    expect(page).to_have_url(f"{site.api}/docs")
    page.get_by_role("link", name="openapi.json", exact=True).click()
    expect(page).to_have_url(f"{site.api}/openapi.json")
    assert faults == []


@pytest.mark.soak
@pytest.mark.usefixtures("chromium")  # it has no page, but shares the servers of those that have
def test_the_api_answers_below_the_path(site: Site) -> None:
    for api in {site.api, f"{site.url}/v1"}:
        with httpx2.Client(headers=HEADERS, follow_redirects=True) as client:
            assert client.get(f"{api}/fetch-data").json()["count"] == len(ROWS)
            servers = [each["url"] for each in client.get(f"{api}/openapi.json").json()["servers"]]
            assert servers == [".", "/orders/v1"]
            assert str(client.get(f"{site.url}/v1/").url) == f"{site.url}/v1/demo"
            with worker(site.cache):
                answer = client.post(f"{api}/refresh")
            task = client.get(answer.url.join(answer.headers["Location"]))
            assert (str(task.url), task.status_code) == (f"{api}/tasks/{answer.json()['task_id']}", 200)
            check_stream(client, api)
