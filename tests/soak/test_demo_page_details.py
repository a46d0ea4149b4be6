"""More of the demo page: its fields, its keys and its widths."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cache_factory import publish
from playwright.sync_api import Browser, Locator, Page, Request, expect
from sidecar_process import KEY, Sidecar, sidecar

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, 300, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        yield running


@pytest.fixture
def page(api: Sidecar, browser: Browser) -> Iterator[Page]:
    """The page with the key filled in. What the browser complains of, or asks of anyone else, fails the test."""
    context = browser.new_context()
    page = context.new_page()
    complaints: list[str] = []

    def heard(asked: Request) -> None:
        if not asked.url.startswith((api.url, "data:")):
            complaints.append(asked.url)

    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Security Policy" in said.text else None)
    page.on("request", heard)
    page.goto(api.url)
    page.get_by_label("API key").fill(KEY)
    expect(page.get_by_role("radio", name="/fetch-data")).to_be_checked()
    yield page
    context.close()
    assert complaints == []


def endpoint(page: Page, path: str) -> Locator:
    """The button that chooses an endpoint."""
    return page.locator("#endpoints label").filter(has=page.get_by_text(path, exact=True)).get_by_role("radio")


def send(page: Page, path: str, *flags: str) -> None:
    endpoint(page, path).check()
    for flag in flags:
        page.get_by_role("checkbox", name=f"{flag}=").check()
    page.get_by_role("button", name="Send").click()


def test_names_of_columns_are_offered_to_those_who_have_the_key(page: Page) -> None:
    expect(page.locator("#columns option")).to_have_count(0)
    page.get_by_label("API key").blur()
    expect(page.locator("#columns option[value=total_price__gte]")).to_have_count(1)
    endpoint(page, "/figures").check()
    expect(page.locator("#columns option[value=total_price__gte]")).to_have_count(0)
    expect(page.locator("#columns option[value=country__in]")).to_have_count(1)


def test_changes_events_signatures_and_metrics_can_be_tried(page: Page, api: Sidecar) -> None:
    page.get_by_role("radio", name="/changes").check()
    page.locator("input[name=since]").fill("1")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Response body")).to_contain_text('"more": false')
    send(page, "/sign")
    expect(page.get_by_label("Response body")).to_contain_text("signature=default.")
    send(page, "/metrics")
    expect(page.get_by_label("Response body")).to_contain_text("phpmyadmin_orders_snapshot_generation")
    send(page, "/events")
    expect(page.get_by_role("listitem").filter(has_text="snapshotgeneration")).to_have_count(1)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("status")).to_have_text("Stopped")


def test_it_is_used_by_keyboard_alone(page: Page) -> None:
    page.get_by_label("API key").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="/changes")).to_be_checked()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.type("2")
    expect(page.locator("#curl")).to_contain_text("/fetch-data?limit=2")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("200 OK")


def test_nothing_runs_over_the_edge_of_a_phone(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    send(page, "/fetch-data", "stream")
    expect(page.get_by_role("listitem").last).to_contain_text("done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("width", [1440, 390])
def test_the_response_stands_at_the_button_and_the_page_is_used(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    possible = page.locator("#possible")
    expect(possible).to_contain_text("unauthorized, signature_invalid")
    if width == 1440:
        cards = [card.bounding_box() for card in page.locator(".card").all()]
        assert max(box["x"] + box["width"] for box in cards if box) > 0.9 * width
        assert min(box["x"] for box in cards if box) < 0.1 * width
        assert sum(box["height"] > 300 for box in cards if box) >= 3  # no column is empty
    send(page, "/fetch-data")
    expect(page.get_by_label("Response body")).to_be_in_viewport()
    expect(page.get_by_role("button", name="Send")).to_be_in_viewport()
    expect(possible).to_be_hidden()
