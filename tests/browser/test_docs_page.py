"""`/docs` is the description as a page: whole, readable by keyboard and on a phone, and it loads nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser
from sidecar_process import Sidecar, sidecar


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        yield running


@pytest.mark.soak
def test_it_is_read_by_keyboard_and_on_a_phone(api: Sidecar, browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{api.url}/docs")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for _ in range(3):
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#getRows"
    assert page.locator("#getRows").bounding_box()["y"] < 100  # type: ignore[index]
    page.close()
    assert [url for url in asked if not url.startswith((api.url, "data:"))] == []
    assert said == []
