"""Dashboard and API below a path of a host, behind nginx and Caddy as docs/configuration.md sets them up."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from cache_factory import publish
from dashboard_page import at_rest, new_tab, sign_in
from dashboard_process import dashboard
from long_cases import soak_but
from oidc_provider import known_to, oidc_provider
from paths import ROOT
from playwright.sync_api import Browser, Page, Request, Response, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import KEY, sidecar, worker
from waiting import wait_for

from cache.storage.store import Cache
from dashboard.pages import PAGES
from lab.nginx import Nginx, server
from lab.processes import end, give, spawn, tree
from lab.servers import free_port

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


def documented(language: str, api: int, dashboard: int) -> str:
    """The lines of the documentation for a proxy, with other ports. Those of the API are left out on one port."""
    text = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    section = text.partition("### Below a path of a host")[2]
    found = re.search(f"```{language}\n(.*?)```", section, re.DOTALL)
    assert found
    lines = found[1].replace("127.0.0.1:5000", f"127.0.0.1:{api}").replace("127.0.0.1:8501", f"127.0.0.1:{dashboard}")
    return lines if api != dashboard else re.sub(r"(?m)^(location|handle_path) /orders/v1/.*({[^}]*})$", "", lines)


@contextmanager
def nginx(api: int, dashboard: int) -> Iterator[str]:
    """The address of nginx."""
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        give(folder, 0o700)
        front = Nginx(folder, port, server(port, documented("nginx", api, dashboard)))
        front.prepare()
        with started(front.command(), folder, front.environment(), front.log, port) as url:
            yield url


@contextmanager
def caddy(api: int, dashboard: int) -> Iterator[str]:
    """The address of Caddy."""
    with TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        site = f"{{\nadmin off\n}}\nhttp://127.0.0.1:{port} {{\n{documented('text', api, dashboard)}}}\n"
        (folder / "Caddyfile").write_text(site)
        give(folder / "Caddyfile", 0o600)
        give(folder, 0o700)
        command = ["caddy", "run", "--config", "Caddyfile", "--adapter", "caddyfile"]
        with started(command, folder, {"HOME": name}, folder / "log", port) as url:
            yield url


@contextmanager
def started(command: list[str], folder: Path, env: dict[str, str], log: Path, port: int) -> Iterator[str]:
    url = f"http://127.0.0.1:{port}"
    process = spawn(command, log=log, cwd=folder, env=env)
    try:
        wait_for(lambda: answers(url) or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        yield url
    finally:
        end(tree(process.pid))


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code > 0
    except httpx.HTTPError:
        return False


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


def watched(page: Page, url: str) -> list[str]:
    """What goes wrong from now on: requests that lead out of the path, that fail, or that are answered by an error."""
    faults: list[str] = []

    def sent(request: Request) -> None:
        if not request.url.startswith((f"{url}/", "data:", "blob:")):
            faults.append(f"outside: {request.url}")

    def answered(response: Response) -> None:
        if response.status >= 400:
            faults.append(f"{response.status}: {response.url}")

    page.on("request", sent)
    page.on("response", answered)
    page.on(
        "websocket", lambda socket: None if f"{url}/".partition(":")[2] in socket.url else faults.append(socket.url)
    )
    page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
    return faults


def entered(browser: Browser, address: str) -> Page:
    page = new_tab(browser)
    sign_in(page, address, "one")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)
    return page


@pytest.mark.parametrize("site", soak_but(("one port",), ["two ports", "one port"]), indirect=True)
def test_a_deep_link_a_download_the_ways_back_and_the_sign_out(browser: Browser, site: Site) -> None:
    page = entered(browser, f"{site.url}/orders?period=all&status=paid")
    faults = watched(page, site.url)
    expect(page).to_have_url(f"{site.url}/orders?period=all&status=paid")
    page.get_by_role("button", name="Download").click()
    with page.expect_download() as begun:
        page.get_by_role("link", name="CSV").click()
    loaded = list(csv.DictReader(io.StringIO(Path(begun.value.path()).read_text(encoding="utf-8"))))
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
    for path in sorted(PAGES, key="api".__eq__)[1::2]:  # every second one, and the API's
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


@pytest.mark.usefixtures("chromium")  # it has no page, but shares the servers of those that have
def test_the_api_answers_below_the_path(site: Site) -> None:
    for api in {site.api, f"{site.url}/v1"}:
        with httpx.Client(headers=HEADERS, follow_redirects=True) as client:
            assert client.get(f"{api}/fetch-data").json()["count"] == len(ROWS)
            servers = [each["url"] for each in client.get(f"{api}/openapi.json").json()["servers"]]
            assert servers == ["./", "/orders/v1"]
            assert str(client.get(f"{site.url}/v1/").url) == f"{site.url}/v1/demo"
            with worker(site.cache):
                answer = client.post(f"{api}/refresh")
            task = client.get(answer.url.join(answer.headers["Location"]))
            assert (str(task.url), task.status_code) == (f"{api}/tasks/{answer.json()['task_id']}", 200)
            check_stream(client, api)


def check_stream(client: httpx.Client, api: str) -> None:
    with client.stream("GET", f"{api}/events") as stream:
        assert stream.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert any(line.startswith("event: snapshot") for line in islice(stream.iter_lines(), 20))


def test_openid_connect_signs_in_and_out_behind_caddy(browser: Browser, tmp_path: Path) -> None:
    port, api_port = free_port(), free_port()
    with ExitStack() as stack:
        provider = stack.enter_context(oidc_provider())
        known_to(provider, "ann", email="ann@example.com", email_verified=True)
        front = stack.enter_context(caddy(api_port, port))
        settings = {
            "OIDC_METADATA_URL": f"{provider}/.well-known/openid-configuration",
            "OIDC_CLIENT_ID": "orders",
            "OIDC_CLIENT_SECRET": "s3cret-of-the-client",
            "DASHBOARD_OPERATORS": "ann@example.com",
            "DASHBOARD_URL": f"{front}/orders",
        }
        stack.enter_context(sidecar(tmp_path, API_PORT=str(api_port), **settings))
        running = stack.enter_context(dashboard(tmp_path, DASHBOARD_PORT=str(port), **settings))
        publish(running.cache, ROWS, columns=SHOP_COLUMNS)
        page = browser.contexts[0].new_page()
        page.goto(f"{front}/orders/orders")
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("textbox").fill("ann")
        page.get_by_role("button", name="Authorize").click()
        expect(page.get_by_text("ann@example.com · operator")).to_be_visible()
        own = {cookie["name"]: cookie["path"] for cookie in page.context.cookies(f"{front}/orders/")}
        assert own.pop("_streamlit_xsrf") == "/"
        assert "_streamlit_user.orders" in own and set(own.values()) == {"/orders"}
        faults = watched(page, f"{front}/orders")
        page.goto(f"{front}/orders/orders?period=all")
        expect(page.get_by_role("table", name="Orders", exact=True)).to_be_visible()
        with httpx.Client(headers=HEADERS) as client:
            assert client.get(f"{front}/orders").headers["Location"] == "/orders/"
            assert client.get(f"{front}/orders/v1/fetch-data").json()["count"] == len(ROWS)
            check_stream(client, f"{front}/orders/v1")
        assert faults == []
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert page.url.startswith(f"{front}/orders/")
