"""Which pages redirect by their HTML or a script, and where to."""

from __future__ import annotations

import pytest

from scraper.login import redirects
from scraper.login.bounded_pages import parse_page


@pytest.mark.parametrize(
    ("html", "target"),
    [
        ('<meta http-equiv="refresh" content="0; url=/pma/">', "/pma/"),
        ("<META HTTP-EQUIV='Refresh' CONTENT='3;URL=\"https://h/pma/?a=1;b=2\"'>", "https://h/pma/?a=1;b=2"),
        ('<meta http-equiv="refresh" content="0.5, index.php">', "index.php"),
        ('<meta http-equiv="refresh" content="5">', ""),  # renews itself
        ('<meta http-equiv="refresh" content="300; url=/news/">', ""),  # a page to be read
        ('<noscript><meta http-equiv="refresh" content="0; url=/no-script"></noscript>', ""),
        ('<meta name="refresh" content="0; url=/pma/">', ""),
    ],
)
def test_a_refresh_within_ten_seconds_is_a_redirect(html: str, target: str) -> None:
    assert redirects.refresh(parse_page(html)) == target


@pytest.mark.parametrize(
    "html",
    [
        "<p>Wait.</p><script>window.location = '/pma/'</script>",
        "<p>Wait.</p><script>location.replace('/pma/')</script>",
        "<form><input type=hidden name=a></form><script>document.forms[0].submit()</script>",
        "<title>Panel</title><body><div></div><noscript>Enable JavaScript.</noscript><script src=a.js></script>",
    ],
)
def test_a_script_that_leaves_the_page_or_is_all_of_it_redirects(html: str) -> None:
    assert redirects.by_script(parse_page(html))


@pytest.mark.parametrize(
    "html",
    [
        "<h1>Welcome to nginx!</h1>",
        "<p>Shop</p><script>if (location.href == '/x') { count(); }</script>",
        "<a href=a>A</a><a href=b>B</a><a href=c>C</a><a href=d>D</a><script>function go() { location = 'x' }</script>",
        "<form><input type=password></form><script>location.href = '/too-late'</script>",
    ],
)
def test_other_pages_do_not_redirect(html: str) -> None:
    assert not redirects.by_script(parse_page(html))
