"""Every page of the dashboard comes with its stylesheet in it, and what it loads is compressed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import streamlit
from dashboard_process import Dashboard, dashboard

from dashboard.web.inject_css import STYLED_PAGE, styled_page

pytestmark = pytest.mark.slow
STATIC = Path(streamlit.__file__).parent / "static"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    with dashboard(tmp_path_factory.mktemp("pages")) as started:
        yield started


@pytest.mark.parametrize(
    ("accepted", "encoding"), [("gzip", "gzip"), ("identity", "identity"), ("gzip;q=0", "identity")]
)
@pytest.mark.parametrize("path", ["/", "/orders", "/no-such-page"])
def test_the_page_comes_with_its_stylesheet(running: Dashboard, path: str, accepted: str, encoding: str) -> None:
    answer = httpx2.get(running.url + path, headers={"Accept-Encoding": accepted})
    page = styled_page(running.settings.get("PUBLIC_PATH", ""))
    assert answer.content == page
    assert b".stMainBlockContainer {" in answer.content
    assert answer.headers.get("Content-Encoding", "identity") == encoding
    assert (int(answer.headers["Content-Length"]) < len(page) / 2) == (encoding == "gzip")
    assert "ETag" not in answer.headers


def test_scripts_and_styles_are_compressed_and_kept_by_browsers(running: Dashboard) -> None:
    scripts = re.findall(r'(?:src|href)="\./(static/(?:js|css)/[^"]+)"', STYLED_PAGE.decode())
    largest = max(scripts, key=lambda script: (STATIC / script).stat().st_size)
    plain = (STATIC / largest).read_bytes()
    for accepted, compressed in (("gzip, deflate, br", True), ("identity", False), ("gzip;q=0, br", False)):
        answer = httpx2.get(f"{running.url}/{largest}", headers={"Accept-Encoding": accepted})
        assert answer.content == plain
        assert "javascript" in answer.headers["Content-Type"]
        assert "immutable" in answer.headers["Cache-Control"]
        assert "Content-Security-Policy" in answer.headers
        size = int(answer.headers["Content-Length"])
        assert (size < len(plain) / 2) == (answer.headers.get("Content-Encoding") == "gzip") == compressed
    part = httpx2.get(f"{running.url}/{largest}", headers={"Accept-Encoding": "gzip", "Range": "bytes=0-9"})
    assert (part.status_code, part.content) == (206, plain[:10])


def test_the_page_says_that_it_loads_and_asks_early_for_what_draws_its_top() -> None:
    page = STYLED_PAGE.decode()
    assert '<div id="root"><p class="loading">Loading …</p></div>' in page
    loaded = re.findall(r'<link rel="modulepreload" crossorigin href="\./(static/js/(\w+)\.[^"]+)">', page)
    assert {"Html", "BidiComponent", "Button", "ButtonGroup", "PageLink"} <= {name for _, name in loaded}
    texts = [(STATIC / path).read_text() for path, _ in loaded]
    imported = {name for text in texts for name in re.findall(r"(?:from|import)[`\"]\./([\w.-]+)[`\"]", text)}
    assert imported
    assert [name for name in imported if f"./static/js/{name}" not in page] == []
    assert all((STATIC / path).is_file() for path, _ in loaded)


@pytest.mark.not_on("sub-path", why="hosts are those of nginx")
def test_a_name_that_the_dashboard_does_not_know_gets_what_to_set(running: Dashboard) -> None:
    headers = {"Host": "orders.example:8501", "Accept": "text/html"}
    answer = httpx2.get(f"{running.url}/orders", headers=headers)
    assert answer.status_code == 421
    assert "DASHBOARD_URL=http://orders.example:8501" in answer.text
    assert "Content-Security-Policy" in answer.headers
    named = running.url.replace("127.0.0.1", "localhost").removeprefix("http://")
    assert httpx2.get(running.url, headers={**headers, "Host": named}).content == STYLED_PAGE
    assert httpx2.get(f"{running.url}/_stcore/health", headers={"Host": "orders.example"}).text == "ok"
