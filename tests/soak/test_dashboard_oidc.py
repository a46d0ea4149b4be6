"""Sign-in with OpenID Connect in a browser, against a provider."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from cache_factory import publish
from dashboard_process import Dashboard, dashboard
from oidc_provider import known_to, oidc_provider
from playwright.sync_api import Browser, BrowserContext, Page, expect
from shop_factory import SHOP_COLUMNS, shop

from cache.errors import Trouble
from lab.servers import free_port

pytestmark = pytest.mark.soak


def received(page: Page) -> list[bytes]:
    """All that the page is going to receive from the script."""
    found: list[bytes] = []

    def keep(payload: str | bytes) -> None:
        found.append(payload.encode() if isinstance(payload, str) else payload)

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return found


Start = Callable[..., Dashboard]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(dashboard(tmp_path, **settings))


def held_back() -> Trouble:
    return Trouble(code="held_back", message="The table lost most of its rows.", advice="Accept it if that is right.")


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


@pytest.mark.parametrize("refused", [("eve",), ("eve", "trudy")])
def test_openid_connect_lets_in_those_on_the_lists_as_what_they_are(
    browser: Browser, start: Start, provider: str, refused: tuple[str, ...]
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    running = start(
        DASHBOARD_PORT=str(port),
        DASHBOARD_URL=url,
        OIDC_METADATA_URL=f"{provider}/.well-known/openid-configuration",
        OIDC_CLIENT_ID="orders",
        OIDC_CLIENT_SECRET="s3cret-of-the-client",
        DASHBOARD_OPERATORS="ann@example.com",
        DASHBOARD_VIEWERS="@example.com",
        DASHBOARD_PERSONAL_DATA="everyone",
    )
    publish(running.cache, [{**shop(1)[0], "customer_name": "Ida Smith", "test": "0"}], columns=SHOP_COLUMNS)

    def enter(who: str, context: BrowserContext | None = None) -> Page:
        page = (context or browser.new_context()).new_page()
        sent = received(page)
        page.goto(f"{url}/orders?period=all")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()
        assert b"Ida Smith" not in b"".join(sent)
        page.get_by_role("button", name="Sign in").click()
        page.get_by_role("textbox").fill(who)
        page.get_by_role("button", name="Authorize").click()
        return page

    def leave(page: Page) -> None:
        page.get_by_role("button", name="Sign out").click()
        page.get_by_role("button", name="End session").click()  # the provider asks
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()

    for name in ("ann", "bob", "eve"):
        known_to(
            provider, name, email=f"{name.title()}@example.{'org' if name == 'eve' else 'com'}", email_verified=True
        )
    ann = enter("ann", browser.contexts[0])
    expect(ann.get_by_text("operator")).to_be_visible()
    bob = enter("bob")
    expect(bob.get_by_text("viewer")).to_be_visible()
    bob.goto(f"{url}/orders?period=all")
    expect(bob.get_by_role("table", name="Orders", exact=True)).to_contain_text("Ida Smith")
    known_to(provider, "trudy", email="ann@example.com", email_verified="false")
    strangers = browser.new_context()
    for who in refused:
        strangers.clear_cookies()
        stranger = enter(who, strangers)
        expect(stranger.get_by_text("has no access to this dashboard")).to_be_visible()
    leave(stranger)
    stolen = bob.context.storage_state()
    bob.goto(f"{url}/auth/logout")  # a link ends nothing
    expect(bob.get_by_text("Sign out by the button.")).to_be_visible()
    bob.goto(url)
    leave(bob)
    thief = browser.new_context(storage_state=stolen).new_page()
    thief.goto(url)
    expect(thief.get_by_role("button", name="Sign in")).to_be_visible()
    expect(ann.get_by_role("button", name="Sign out")).to_be_visible()
    assert "s3cret-of-the-client" not in running.log()
