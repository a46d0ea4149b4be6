"""`/demo` in a real browser: it tries every endpoint, streams included, and keeps the key to itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cache_factory import publish
from playwright.sync_api import Browser, Locator, Page, Request, expect
from sidecar_process import KEY, Sidecar, sidecar, sync, worker

from api.documentation.openapi import document


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
    page.goto(f"{api.url}/demo")
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


def test_fetch_data_shows_status_headers_and_body(page: Page) -> None:
    send(page, "/fetch-data")
    expect(page.get_by_role("status")).to_contain_text("200 OK")
    expect(page.get_by_label("Response body")).to_contain_text('"status": "success"')
    expect(page.get_by_label("Response body")).to_contain_text('"name": "#1000"')
    expect(page.get_by_text("are shown.")).to_be_visible()
    page.get_by_text("Headers", exact=True).click()
    expect(page.get_by_role("row", name="x-generation 1", exact=True)).to_be_visible()


def test_a_stream_shows_its_events_as_they_come(page: Page, api: Sidecar) -> None:
    events = page.get_by_role("listitem")
    with worker(api.cache):
        send(page, "/fetch-data", "refresh", "stream")
        expect(events.filter(has_text="queued")).to_have_count(1)
        with sync(api.cache):  # not before the cached rows were sent
            pass
        expect(events.last).to_contain_text("done")
    for i, said in enumerate(["comment", "cached300 rows, last updated Mon Dec 29 10:25:00 2025"]):
        expect(events.nth(i)).to_contain_text(said)
    expect(page.get_by_role("listitem").filter(has_text="updated300 rows")).to_have_count(1)


def test_a_stream_can_be_stopped(page: Page, api: Sidecar) -> None:
    publish(api.cache, 300, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
    with worker(api.cache):
        send(page, "/fetch-data", "refresh", "stream")
        expect(page.get_by_role("listitem").filter(has_text="queued")).to_have_count(1)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("status")).to_have_text("Stopped")
        expect(page.get_by_role("button", name="Send")).to_be_enabled()


def test_a_refresh_is_followed_by_its_task(page: Page, api: Sidecar) -> None:
    with worker(api.cache):
        send(page, "/refresh")
        expect(page.get_by_role("status")).to_contain_text("202 Accepted")
        send(page, "/tasks/{id}")
        expect(page.get_by_label("Response body")).to_contain_text('"status": "queued"')


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [("/status", 200, '"api_status": "online"'), ("/health", 200, '"healthy"'), ("/ready", 503, '"code": "too_old"')],
)
def test_the_other_endpoints_answer_too(page: Page, path: str, status: int, said: str) -> None:
    send(page, path)
    expect(page.get_by_role("status")).to_contain_text(str(status))
    expect(page.get_by_label("Response body")).to_contain_text(said)


def test_a_wrong_key_is_shown_as_the_error_it_is(page: Page) -> None:
    page.get_by_label("API key").fill("wrong")
    send(page, "/fetch-data")
    expect(page.get_by_role("status")).to_contain_text("401 Unauthorized")
    expect(page.get_by_label("Response body")).to_contain_text("Unauthorized access")


def test_it_offers_every_operation_and_parameter_that_is_described(page: Page) -> None:
    described = operations()
    assert len(described) > 8
    expect(page.get_by_role("radio")).to_have_count(len(described))
    for path, names in described.items():
        endpoint(page, path).check()
        form = page.locator("#parameters")
        for name in names:
            expect(form.locator("code", has_text=re.compile(rf"^{name}(=\w+)?$"))).to_have_count(1)


def operations() -> dict[str, list[str]]:
    """The names of the parameters of what is no page, by path."""
    return {
        path: [parameter["name"] for parameter in operation.get("parameters", ())]
        for path, methods in document()["paths"].items()
        for operation in methods.values()
        if "text/html" not in operation["responses"].get("200", {}).get("content", {}) and path != "/"
    }


@pytest.mark.soak
def test_filters_and_formats_are_sent_as_they_are_filled_in(page: Page, api: Sidecar) -> None:
    page.get_by_role("button", name="Add a filter").click()
    page.get_by_label("COLUMN or COLUMN__OP").fill("name__startswith")
    page.get_by_label("Value", exact=True).fill("#10 &")
    page.locator("select[name=format]").select_option("csv")
    page.locator("input[name=fields]").fill("id,name")
    address = f"{api.url}/fetch-data?fields=id%2Cname&format=csv&name__startswith=%2310+%26"
    expect(page.locator("#curl")).to_have_text(f'curl -H "X-API-Key: $ORDERS_API_KEY" "{address}"')
    page.get_by_label("Value", exact=True).fill("#1000")
    page.get_by_role("button", name="Send").click()
    expect(page.get_by_label("Response body")).to_have_text(re.compile(r"^id,name\s+1000,#1000\s*$"))
    page.get_by_role("button", name="Remove the filter").click()
    expect(page.locator("#curl")).not_to_contain_text("startswith")


def test_the_curl_command_is_what_is_sent_and_does_not_show_the_key(page: Page, api: Sidecar) -> None:
    curl = page.locator("#curl")
    expect(curl).to_have_text(f'curl -H "X-API-Key: $ORDERS_API_KEY" "{api.url}/fetch-data"')
    page.get_by_role("checkbox", name="stream=true").check()
    expect(curl).to_have_text(f'curl -N -H "X-API-Key: $ORDERS_API_KEY" "{api.url}/fetch-data?stream=true"')
    page.get_by_role("radio", name="/refresh").check()
    expect(curl).to_have_text(f'curl -X POST -H "X-API-Key: $ORDERS_API_KEY" "{api.url}/refresh"')
    page.get_by_role("radio", name="/health").check()
    expect(curl).to_have_text(f'curl "{api.url}/health"')


def test_the_key_stays_in_its_tab_and_out_of_the_address(page: Page) -> None:
    send(page, "/fetch-data", "refresh")
    expect(page.get_by_role("status")).to_contain_text("200")
    assert KEY not in page.url
    assert KEY not in page.inner_text("body")
    page.reload()
    expect(page.get_by_label("API key")).to_have_value(KEY)
    elsewhere = page.context.new_page()
    elsewhere.goto(page.url)
    expect(elsewhere.get_by_label("API key")).to_have_value("")


@pytest.mark.soak
def test_names_of_columns_are_offered_to_those_who_have_the_key(page: Page) -> None:
    expect(page.locator("#columns option")).to_have_count(0)
    page.get_by_label("API key").blur()
    expect(page.locator("#columns option[value=total_price__gte]")).to_have_count(1)
    endpoint(page, "/figures").check()
    expect(page.locator("#columns option[value=total_price__gte]")).to_have_count(0)
    expect(page.locator("#columns option[value=country__in]")).to_have_count(1)


@pytest.mark.soak
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


@pytest.mark.soak
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


@pytest.mark.soak
def test_nothing_runs_over_the_edge_of_a_phone(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    send(page, "/fetch-data", "stream")
    expect(page.get_by_role("listitem").last).to_contain_text("done")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.soak
@pytest.mark.parametrize("width", [1440, 1000, 390])
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
