"""Pages of failed logins are kept without secrets."""

from __future__ import annotations

from pathlib import Path

from scraper.login import failure_pages

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
