"""Sign-in by OpenID Connect below a path, behind Caddy as docs/configuration.md sets it up."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from dashboard_process import dashboard
from front_proxies import caddy, check_stream, watched
from oidc_provider import known_to, oidc_provider
from playwright.sync_api import Browser, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import KEY, sidecar

from lab.servers import free_port

ROWS = shop(40)
HEADERS = {"X-API-Key": KEY}

pytestmark = pytest.mark.soak


def test_openid_connect_signs_in_and_out(browser: Browser, tmp_path: Path) -> None:
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
        with httpx2.Client(headers=HEADERS) as client:
            assert client.get(f"{front}/orders").headers["Location"] == "/orders/"
            assert client.get(f"{front}/orders/v1/fetch-data").json()["count"] == len(ROWS)
            check_stream(client, f"{front}/orders/v1")
        assert faults == []
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert page.url.startswith(f"{front}/orders/")
