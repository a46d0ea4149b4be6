"""Pages of failed logins are kept without secrets."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from cache_factory import cache_in

from cache.machine.logs import TextFormatter
from cache.settings import Settings
from cache.storage.documents import FAILURE_PICTURE, FailurePicture
from cache.storage.records import Run, now
from scraper.__main__ import _share_screenshot
from scraper.doctor import Finding
from scraper.errors import LoginRefused
from scraper.login import failure_pages
from scraper.login.masking import public_url

# -- what is kept of a failing page


def test_the_newest_ten_pages_are_kept_without_secrets(here: Path) -> None:
    page = (
        '<input name="token" value="deadbeefcafe"><script>var p = {"token":"0123456789abcdef"}</script> s&amp;cr&lt;t'
    )
    for i in range(15):
        failure_pages.keep(here, f"code{i:02}", b"png", page, ["s&cr<t"])
    kept = sorted(path.name[-9:] for path in here.glob("*.html"))
    assert len(kept) == failure_pages.KEPT_PAGES
    for path in here.glob("*.html"):
        text = path.read_text()
        for secret in ("deadbeefcafe", "0123456789abcdef", "s&cr<t", "s&amp;cr&lt;t"):
            assert secret not in text


def test_a_folder_that_cannot_be_written_hides_no_error(here: Path) -> None:
    (here / "var").write_text("")
    failure_pages.keep(here / "var" / "diagnostics", "code", b"png", "page", [])
    assert (here / "var").read_text() == ""


# -- what a page may hold


@pytest.mark.parametrize(
    "page",
    [
        "<input name=token value=SECRET89>",
        "<input value='SECRET89' type=hidden name='whatever'>",
        '<INPUT\nTYPE="hidden" VALUE = "SECRET89" ID=x>',
        '<input name="pma_username" value="SECRET89">',
        '<meta name="csrf-token" content="SECRET89">',
        "<meta content=SECRET89 name=_xsrf>",
        '<form data-csrf="SECRET89">',
        '<form data-csrf="$2y$SECRET89">',
        '<button name="token" value="SECRET89">',
        "<script>var o = {token: 'SECRET89', session_id: \"SECRET89\"}</script>",
        '<script>CommonParams.setAll({"auth_token":"SECRET89"})</script>',
        '<a href="index.php?db=shop&amp;token=SECRET89&amp;x=1">',
        '<a href="/cpsess0123456789/3rdparty/phpMyAdmin/">',
        "<script>location = '/cpsess0123456789/frontend/'</script>",
        '<a href="https://panel.test:2083/sess_ab0123456789">',
        '<textarea name="session">x</textarea><input type="password" value="SECRET89">',
    ],
)
def test_no_token_and_no_session_is_kept(page: str) -> None:
    kept = failure_pages.redact(page, [])
    assert "SECRET89" not in kept
    assert "0123456789" not in kept
    assert "[removed]" in kept


def test_what_helps_to_understand_a_failure_is_kept() -> None:
    page = '<h1>Session settings</h1><input type="submit" value="Log in"><a href="/session-help/">Help</a>'
    assert page in failure_pages.redact(page, [])


def test_a_page_with_too_many_tags_is_not_kept() -> None:
    assert "tags" in failure_pages.redact("<br>" * 100_000, [])


def test_an_address_in_a_message_shows_no_session() -> None:
    assert public_url("https://panel.test/cpsess0123456789/3rdparty/?token=x") == (
        "https://panel.test/cpsess[removed]/3rdparty/"
    )


def test_a_log_and_the_doctor_write_no_escape_sequence() -> None:
    record = logging.LogRecord("x", logging.WARNING, "", 0, "name \x1b[2J%s", ("\x9b31m",), None)
    assert TextFormatter().format(record).endswith("WARNING x: name ")
    assert str(Finding("login", True, "phpMyAdmin \x1b[31m5.2")) == "ok   login        phpMyAdmin 5.2"


def test_another_host_sees_the_screenshot_of_a_failed_login_for_a_week(here: Path) -> None:
    run = Run(trigger="test", outcome="failed", finished_at=now(), error=LoginRefused("No.").trouble())
    settings = Settings.load(cache_url="postgresql://db.example/orders", data_dir=here / "var")
    failure_pages.keep(settings.diagnostics_dir, LoginRefused.code, b"a picture", "page", [])
    with closing(cache_in(here)) as cache:
        _share_screenshot(cache, settings, run.model_copy(update={"finished_at": now()}))
        picture = cache.documents.read(FAILURE_PICTURE)
    assert picture.of(run.id, now()) == b"a picture"
    assert picture.of("another", now()) is None
    assert picture.of(run.id, now() + timedelta(days=8)) is None
    assert FailurePicture().of("", now()) is None
