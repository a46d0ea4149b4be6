"""Who gets into the dashboard, by a password or by OpenID Connect, and what each of them sees and may do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx2
import pytest
from cache_factory import publish
from dashboard_page import at_rest, new_tab, open_every_page, sign_in
from dashboard_process import Dashboard, dashboard
from oidc_provider import known_to, oidc_provider
from playwright.sync_api import Browser, BrowserContext, Page, expect
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import sync, worker

from cache.errors import Trouble
from dashboard.auth.passwords import hashed
from dashboard.web.headers import headers_below
from lab.servers import free_port

Start = Callable[..., Dashboard]
expect.set_options(timeout=20_000)
PASSWORD = "correct horse ünïcode"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(dashboard(tmp_path, **settings))


def held_back() -> Trouble:
    return Trouble(code="held_back", message="The table lost most of its rows.", advice="Accept it if that is right.")


def test_the_password_opens_the_page_that_was_asked_for(browser: Browser, start: Start) -> None:
    running = start(DASHBOARD_PASSWORD=hashed(PASSWORD))
    publish(running.cache, shop(5), columns=SHOP_COLUMNS)
    page = browser.new_context().new_page()
    sign_in(page, f"{running.url}/?period=7d&status=paid&status=pending", "wrong")
    expect(page.get_by_role("alert")).to_have_text("Wrong password.")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Orders overview")).to_be_visible()
    expect(page).to_have_url(re.compile(r"period=7d&status=paid&status=pending"))
    page.reload()
    expect(page.get_by_text("Orders overview")).to_be_visible()
    stolen, tab = page.context.storage_state(), page.context.new_page()
    tab.goto(running.url)
    expect(tab.get_by_text("Orders overview")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Password")).to_be_visible()
    expect(tab.get_by_text("Your session has ended")).to_be_visible()  # also in a tab that was open
    thief = browser.new_context(storage_state=stolen).new_page()
    thief.goto(running.url)
    expect(thief.get_by_label("Password")).to_be_visible()


# -- roles


def test_a_viewer_sees_figures_without_names_and_accepts_nothing(browser: Browser, start: Start) -> None:
    """Personal data does not even reach the viewer's browser, whatever page it opens."""
    running = start(DASHBOARD_PASSWORD="one", DASHBOARD_VIEWER_PASSWORD="two")
    row = {**shop(1)[0], "customer_name": "Ida Smith", "email": "ida@example.com", "test": "0", "name": "#1001"}
    publish(running.cache, [row], columns=SHOP_COLUMNS)
    with worker(running.cache):
        with sync(running.cache, error=held_back()):
            pass
        operator, viewer = browser.new_context().new_page(), browser.new_context().new_page()
        shown, masked = received(operator), received(viewer)
        sign_in(operator, f"{running.url}/orders?period=all", "one")
        sign_in(viewer, f"{running.url}/orders?period=all", "two")
        expect(operator.get_by_text("Signed in as operator")).to_be_visible()
        expect(viewer.get_by_text("Signed in as viewer")).to_be_visible()
        expect(operator.get_by_role("button", name="Accept the smaller table")).to_be_visible()
        expect(operator.get_by_role("table", name="Orders", exact=True)).to_contain_text("Ida Smith")
        expect(viewer.get_by_role("alert").filter(has_text="lost most of its rows")).to_be_visible()
        expect(viewer.get_by_role("button", name="Accept the smaller table")).to_have_count(0)
        table = viewer.get_by_role("table", name="Orders", exact=True)
        expect(table).to_contain_text("***")
        at_rest(viewer)
        table.get_by_role("button", name="#1001").click()
        expect(viewer.get_by_role("dialog").get_by_role("table", name="Amounts")).to_be_visible()
        at_rest(viewer)
        viewer.keyboard.press("Escape")
        at_rest(viewer)
        viewer.get_by_placeholder("Order, customer, product").fill("smith")
        expect(viewer.get_by_text("No order matches")).to_be_visible()
        at_rest(viewer)
        viewer.get_by_placeholder("Order, customer, product").fill("")
        expect(table).to_contain_text("#1001")  # a click before that leads back to what was typed
        at_rest(viewer)
        open_every_page(viewer, step=2)
        operator.goto(f"{running.url}/customers?period=all")
        expect(operator.get_by_role("table", name="Top customers")).to_contain_text("ida@example.com")
        for secret in (b"Ida Smith", b"ida@example.com"):
            assert secret in b"".join(shown)
            assert secret not in b"".join(masked)
    assert "Traceback" not in running.log()


def received(page: Page) -> list[bytes]:
    """All that the page is going to receive from the script."""
    found: list[bytes] = []

    def keep(payload: str | bytes) -> None:
        found.append(payload.encode() if isinstance(payload, str) else payload)

    page.on("websocket", lambda socket: socket.on("framereceived", keep))
    return found


# -- headers


def test_every_answer_carries_the_headers_and_the_page_keeps_to_them(browser: Browser, start: Start) -> None:
    running = start(DASHBOARD_PASSWORD="x")
    publish(running.cache, shop(30), columns=SHOP_COLUMNS)
    with httpx2.Client(base_url=running.url) as visitor:
        answers = [
            visitor.get("/", headers={"Accept": "text/html"}),
            visitor.get("/nowhere"),
            visitor.get("/_stcore/health"),
        ]
        answers += [visitor.post("/signin", data={"password": "x"}), visitor.get("/"), visitor.get("/favicon.png")]
    wanted = headers_below(running.settings.get("PUBLIC_PATH", ""))
    for answer in answers:
        assert {name: answer.headers.get(name) for name in wanted} == wanted
    page = new_tab(browser)
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else 0)
    sign_in(page, f"{running.url}/?period=all", "x")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)
    assert refused == []


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    with oidc_provider() as url:
        yield url


@pytest.mark.soak
def test_openid_connect_lets_in_those_on_the_lists_as_what_they_are(
    browser: Browser, start: Start, provider: str
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
    for who in ("eve", "trudy"):
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
