"""Pages run in a session without a browser: over whole and partial tables, and as a visitor uses them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cache_factory import confirm, publish
from page_run import messages, run
from shop_factory import SHOP_COLUMNS, shop

from cache.analytics.metrics import METRICS
from cache.query.filters import Condition
from cache.roles import ROLES, Role, role_groups
from cache.settings import Settings
from cache.storage.documents import SETUP
from cache.table_setup import NO_SETUP
from dashboard.auth.access import Visitor
from dashboard.backend import Backend
from dashboard.components import freshness
from dashboard.navigator import Navigator
from dashboard.pages import PAGES
from dashboard.session import Session
from dashboard.text import formatting
from dashboard.text.metrics import write
from dashboard.view_address import ViewAddress


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    folder = tmp_path_factory.mktemp("dashboard")
    opened = Backend.open(Settings.load(data_dir=str(folder), cache_url=f"file:{folder / 'cache'}"))
    publish(opened.cache, shop(60), columns=SHOP_COLUMNS)
    yield opened
    opened.cache.close()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_page_runs_to_its_end(backend: Backend, page: str) -> None:
    shown = run(backend, page, {"period": "all", "by": ["status", "channel"], "step": "whole"})
    assert [exception.message for exception in shown.exception] == []
    assert len(shown.title) == 1


@pytest.mark.slow
@pytest.mark.parametrize("page", ["overview", "explore", "set-up"])
def test_a_page_runs_to_its_end_without_many_columns(tmp_path: Path, page: str) -> None:
    half = Backend.open(Settings.load(data_dir=str(tmp_path), cache_url=f"file:{tmp_path / 'cache'}"))
    columns = SHOP_COLUMNS[::2]
    publish(half.cache, [{c.name: row.get(c.name) for c in columns} for row in shop(20)], columns=columns)
    assert [exception.message for exception in run(half, page, {"period": "all"}).exception] == []
    half.cache.close()


@pytest.mark.soak
@pytest.mark.slow
def test_the_list_behind_every_figure_begins_with_the_figure(backend: Backend) -> None:
    orders = backend.orders.newest(1)
    figures = orders.figures(None, [Condition("currency", "eq", orders.currencies()[0][0])], units=True)
    for name, metric in METRICS.items():
        shown = run(backend, "overview", {"period": "all", "explain": name})
        assert [exception.message for exception in shown.exception] == []
        assert [title.value for title in shown.title] == [metric.label]
        if metric.available(orders.missing):
            value = write(metric, metric.value(figures), orders.currencies()[0][0], whole=False)
            assert shown.header[0].value.split(" \\= ")[0] == formatting.plain(value)


@pytest.mark.slow
def test_a_machine_without_a_browser_says_that_it_makes_no_reports(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    shown = run(backend, "orders", {})
    assert "No report as PDF: the server has no Chromium." in " ".join(each.proto.body for each in shown.get("html"))


@pytest.mark.slow
def test_a_role_that_is_new_has_its_place_on_the_settings_page(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, "gift_card", Role("Amounts", "the gift card", ("decimal",), ("giftcard",)))
    assert "gift_card" in role_groups()["Amounts"]
    shown = run(backend, "set-up", {})
    assert [exception.message for exception in shown.exception] == []
    assert "The gift card" in [box.label for box in shown.selectbox]


@pytest.mark.slow
def test_what_a_visitor_chooses_is_in_the_address(backend: Backend) -> None:
    shown = run(backend, "overview", {"period": "all"})
    shown.multiselect(key="status_filter").set_value(["paid", "pending"]).run()
    shown.radio(key="period").set_value("90d").run()
    shown.radio(key="returns").set_value("ordered").run()
    assert dict(shown.query_params) == {"period": "90d", "returns": "ordered", "status": ["paid", "pending"]}
    shown.button(key="clear").click().run()
    assert dict(shown.query_params) == {"period": "90d", "returns": "ordered"}


@pytest.mark.slow
def test_settings_apply_once_saved_and_can_be_reset(backend: Backend) -> None:
    shown = run(backend, "set-up", {})
    shown.selectbox(key="set_up role total").set_value("subtotal_price").run()
    assert backend.cache.documents.read(SETUP) == NO_SETUP
    shown.button(key="save_set_up").click().run()
    assert backend.cache.documents.read(SETUP).columns == {"total": "subtotal_price"}
    shown.button(key="forget_set_up").click().run()
    assert backend.cache.documents.read(SETUP) == NO_SETUP
    assert shown.selectbox(key="set_up role total").value == "recognised"


def test_a_cache_that_a_newer_version_wrote_is_named(tmp_path: Path) -> None:
    newer = Backend.open(Settings.load(data_dir=str(tmp_path), cache_url=f"file:{tmp_path / 'cache'}"))
    publish(newer.cache, 3)
    for path in (tmp_path / "cache/current.json", *(tmp_path / "cache/generations").iterdir()):
        path.write_text('{"format": 99}')
    shown = run(newer, "overview", {})
    assert [exception.message for exception in shown.exception] == []
    assert "format 99" in messages(shown, "error")[0]
    newer.cache.close()


@pytest.fixture
def shown_at(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], object]:
    """What an open tab shows at an instant; where it differs from before, the page runs again."""
    address = ViewAddress()
    session = Session(backend, Visitor(backend.settings, backend.identities), address, Navigator(address))

    def shown(at: str) -> object:
        monkeypatch.setattr("dashboard.session.now", lambda: datetime.fromisoformat(at))
        return freshness._version(session, backend.cache.status())

    return shown


def test_an_open_tab_shows_another_day_from_the_shops_midnight(shown_at: Callable[[str], object]) -> None:
    assert shown_at("2026-07-14T00:00:00Z") == shown_at("2026-07-14T23:59:59Z") != shown_at("2026-07-15T00:00:00Z")


def test_an_open_tab_moves_its_clock_after_a_refresh_without_changes(
    backend: Backend, shown_at: Callable[[str], object]
) -> None:
    before = shown_at("2026-07-14T12:00:00Z")
    confirm(backend.cache)
    assert shown_at("2026-07-14T12:00:00Z") != before
