"""A tab of the dashboard in a real browser."""

from __future__ import annotations

import re

from playwright.sync_api import Browser, Locator, Page, expect

from dashboard.components.freshness import LOOK_EVERY

expect.set_options(timeout=20_000)  # a busy machine draws a page in some seconds
A_TICK = 1_100 * LOOK_EVERY  # ms, after which the timer of an open page has run
WAIT = 60_000  # ms for a click or a download: the process that writes files gives way to all others


def new_tab(browser: Browser, width: int = 1440) -> Page:
    """A tab of the context that has Streamlit's scripts from tests before, and no cookie of theirs."""
    page = browser.contexts[0].new_page()
    page.set_viewport_size({"width": width, "height": 900})
    return page


def visit(browser: Browser, address: str, width: int = 1440) -> Page:
    """A tab of its own session, which has been drawn: what is clicked before may be lost."""
    page = new_tab(browser, width)
    page.set_default_timeout(WAIT)
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    at_rest(page)
    return page


def figure(page: Page, label: str, value: str | re.Pattern[str]) -> None:
    """Waits until a card shows a figure."""
    card = page.get_by_role("listitem").filter(has=page.get_by_text(label, exact=True))
    expect(card.locator(".value")).to_have_text(value)


def at_rest(page: Page) -> None:
    """Waits until the script has run to its end: what is typed before may be lost."""
    expect(page.locator("[data-testid=stApp][data-test-script-state=notRunning]")).to_be_visible()


def sign_in(page: Page, address: str, password: str) -> None:
    page.set_default_timeout(WAIT)
    page.goto(address)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def open_every_page(page: Page, step: int = 1) -> None:
    """Opens every page, one after the other, or one of `step` pages."""
    expect(page.get_by_test_id("stSidebarNavLink").first).to_be_visible()
    for place in page.get_by_test_id("stSidebarNavLink").all()[::step]:
        place.click()
        expect(page).to_have_title(re.compile(f"^{place.inner_text().splitlines()[-1]}"))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        at_rest(page)


def reached(page: Page, wanted: Locator, key: str = "Tab", steps: int = 60) -> None:
    """Presses a key until an element has the focus, and asserts that the eye can see that it has."""
    for _ in range(steps):
        page.keyboard.press(key)
        if wanted.evaluate("element => element.matches(':focus-visible')"):
            return
    raise AssertionError(f"{key} did not reach {wanted}")
