"""What pages say where data cannot be read while they are drawn, or is not there any more."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from page_run import backend_of, messages, run
from shop_factory import SHOP_COLUMNS, shop
from streamlit.testing.v1 import AppTest

from cache.errors import CacheUnreachable
from cache.storage.store import Cache
from dashboard import data
from dashboard.backend import Backend
from dashboard.orders_loader import OrdersLoader

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("failures")


@pytest.fixture(scope="module")
def backend(folder: Path) -> Iterator[Backend]:
    with backend_of(folder, shop(30), SHOP_COLUMNS) as opened:
        yield opened


def errors(shown: AppTest) -> list[str]:
    """The errors of a page, as a reader sees them, each without a code of the engine."""
    assert not shown.exception
    return messages(shown, "error")


def test_markup_in_a_message_is_text_and_backquotes_are_code() -> None:
    def script() -> None:
        from dashboard.messages import message

        message("error", "<img src=x> & `a < b`", "<i>")

    (drawn,) = AppTest.from_function(script).run().get("html")
    said = "<b>&lt;i&gt;</b> &lt;img src=x&gt; &amp; <code>a &lt; b</code>"
    assert drawn.proto.body == f'<p class="message error" role="alert">{said}</p>'


def test_rows_that_are_gone_are_named_and_can_be_asked_for_again(backend: Backend, folder: Path) -> None:
    hidden = [(file, file.read_bytes()) for file in (folder / "cache").rglob("*.parquet")]
    backend.orders.newest(1)
    for file, _ in hidden:
        file.unlink()
    shown = run(backend, "orders", {"period": "all", "q": "a"})
    assert [error.split(".")[0] for error in errors(shown)] == ["A file of the copy cannot be read"]
    assert shown.multiselect(key="country_filter")  # the filters can still be chosen
    for file, content in hidden:
        file.write_bytes(content)
    again = next(button for button in shown.button if button.label == "Try again").click().run()
    assert errors(again) == []


def test_a_question_that_takes_too_much_memory_says_what_to_do(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said = "could not allocate a block for ann@example.com"

    def refused(*_: object, **__: object) -> None:
        raise duckdb.OutOfMemoryException(said)

    monkeypatch.setattr(data, "groups", refused)
    with caplog.at_level(logging.ERROR):
        (error,) = errors(run(backend, "taxes", {"period": "all"}))
    assert error.startswith("This takes more memory than the dashboard may use. Choose a shorter period")
    assert "OutOfMemoryException" in caplog.text
    assert said not in caplog.text


def test_orders_that_do_not_fit_into_memory_say_what_to_give(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise duckdb.OutOfMemoryException("60.8 MiB/61.0 MiB used")

    monkeypatch.setattr(OrdersLoader, "newest", refused)
    (error,) = errors(run(backend, "taxes", {"period": "all"}))
    assert error.startswith("The orders need more memory than the dashboard may use. Give its container")


def test_a_copy_that_was_removed_is_not_called_a_first_one(backend: Backend, folder: Path) -> None:
    backend.orders.newest(1)
    (folder / "cache").rename(folder / "elsewhere")
    shown = run(backend, "taxes", {})
    shutil.rmtree(folder / "cache", ignore_errors=True)
    (folder / "elsewhere").rename(folder / "cache")
    assert errors(shown) == []
    assert [header.value for header in shown.header] == ["The copy of your orders is gone"]


def test_without_the_database_a_page_says_so_and_not_that_nobody_refreshes(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: object) -> None:
        raise CacheUnreachable("The database at db.example:5432 does not answer.")

    monkeypatch.setattr(Cache, "_status", unreachable)
    shown = run(backend, "taxes", {"period": "all"})
    warning = messages(shown, "warning")[0]  # the others are of the page
    assert warning.startswith("This data is not refreshed. The database at db.example:5432 does not answer.")
    assert "Check the database" in warning
