"""Report as PDF: the page that the visitor sees, printed by the server's Chromium in the visitor's session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest
from cache_factory import publish
from dashboard_page import new_tab, sign_in
from dashboard_process import Dashboard, dashboard
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop

PAGES = re.compile(rb"/Type /Page\b")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard with a sign-in."""
    with dashboard(tmp_path_factory.mktemp("report"), DASHBOARD_PASSWORD="one") as running:
        publish(running.cache, shop(60), columns=SHOP_COLUMNS)
        yield running


def test_a_view_is_sent_as_pdf_to_whoever_is_signed_in(browser: Browser, closed: Dashboard) -> None:
    page = new_tab(browser)
    sign_in(page, f"{closed.url}/?period=all&status=paid", "one")
    link = page.get_by_role("link", name="Report as PDF")
    expect(link).to_be_visible()
    with page.expect_download(timeout=90_000) as begun:
        link.click()
    assert re.fullmatch(r"report-[\d-]+\.pdf", begun.value.suggested_filename)
    pdf = Path(begun.value.path()).read_bytes()
    assert pdf.startswith(b"%PDF-")
    assert len(PAGES.findall(pdf)) >= 2  # the form of the sign-in would take one
    assert not [child for child in psutil.Process(closed.process.pid).children(True) if "chrom" in child.name()]


@pytest.mark.soak
@pytest.mark.usefixtures("chromium")
def test_a_report_needs_a_session_and_a_page(closed: Dashboard, tmp_path: Path) -> None:
    answer = httpx2.get(f"{closed.url}/report", headers={"Referer": f"{closed.url}/"})
    assert not answer.content.startswith(b"%PDF")
    table = {"format": "csv", "name": "Orders", "columns": [{"label": "Orders", "number": True}], "rows": [["7"]]}
    assert b"7" not in httpx2.post(f"{closed.url}/export/table", json=table).content[:20]
    with dashboard(tmp_path, PUBLIC_PATH="/shop") as running:
        publish(running.cache, shop(60), columns=SHOP_COLUMNS)
        for referer in ("", "https://orders.example/shop/no-such-page", "https://orders.example/orders"):
            assert httpx2.get(f"{running.url}/report", headers={"Referer": referer}).status_code == 400
        assert httpx2.post(f"{running.url}/export/table", json=table).content == b"\xef\xbb\xbfOrders\r\n7\r\n"
        assert httpx2.post(f"{running.url}/export/table", json={**table, "rows": [[]]}).status_code == 400
        page = "https://orders.example/shop/products?period=all"  # a proxy takes the path away
        answer = httpx2.get(f"{running.url}/report", headers={"Referer": page}, timeout=90)
        assert answer.headers["Content-Type"] == "application/pdf"
        assert len(PAGES.findall(answer.content)) >= 1
