"""Pages over plain HTTP, whose size is bounded: also that of redirects, and of what a few compressed bytes become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import cast
from urllib.parse import urljoin, urlsplit

import httpx2
from cssselect import SelectorError
from lxml import etree
from lxml.html import HtmlElement, HtmlElementClassLookup
from typing_extensions import override

from scraper.client.bounds import PAGE, PAGE_ATTRIBUTES, PAGE_DEPTH, PAGE_TAGS
from scraper.client.gunzip import GunzipSink
from scraper.errors import AnswerTooLarge, NotPhpMyAdmin
from scraper.login.masking import public_url

_PIECE = 64 << 10  # bytes that are parsed before the bounds are checked
_LONG_TAG = re.compile(r"<[^<>]{65536,}>?")  # with an image inside, or with more attributes than memory


def bound_body(response: httpx2.Response) -> None:
    """Bounds the body of a response that is not read yet; a hook for httpx2.

    httpx2 itself would decompress any number of encodings, one inside the other, in one piece.

    Raises:
        NotPhpMyAdmin: The body has an encoding that was not requested.
    """
    encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
    assert isinstance(response.stream, httpx2.SyncByteStream)
    if encoding in ("gzip", "x-gzip", "identity"):
        response.stream = _BoundedStream(response.stream)
    elif response.status_code >= 300:  # the status says more
        response.stream = _UnreadStream(response.stream)
    else:
        raise NotPhpMyAdmin(f"{response.url.netloc.decode()} sends pages in an encoding that was not requested.")


class _BoundedStream(httpx2.SyncByteStream):
    """The decompressed bytes of a page. Reading it raises AnswerTooLarge, or AnswerCut."""

    def __init__(self, stream: httpx2.SyncByteStream) -> None:
        self._stream = stream

    @override
    def __iter__(self) -> Iterator[bytes]:
        pieces: list[bytes] = []
        decompress = GunzipSink(PAGE.counting(pieces.append, "A page"))
        for chunk in self._stream:
            decompress(chunk)
            yield b"".join(pieces)
            pieces.clear()
        decompress.end()
        yield b"".join(pieces)

    @override
    def close(self) -> None:
        self._stream.close()


class _UnreadStream(_BoundedStream):
    """No bytes, in place of some that nobody can read."""

    @override
    def __iter__(self) -> Iterator[bytes]:
        return iter(())


def parse_page(html: str) -> HtmlElement:
    """Parses a page, without its comments. A page without any tag is an empty `html`.

    Raises:
        AnswerTooLarge: It has too many tags or attributes.
    """
    if html.count("<") > 2 * PAGE_TAGS:  # the end of each, too
        raise AnswerTooLarge(f"A page has more than {PAGE_TAGS:,} tags.")
    page = _LONG_TAG.sub("", f"<html>{html}").replace("\0", "").encode(errors="replace")
    parser = etree.HTMLPullParser(
        ("start", "end"), encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True
    )
    parser.set_element_class_lookup(HtmlElementClassLookup())
    attributes = depth = 0
    for begin in range(0, len(page), _PIECE):
        parser.feed(page[begin : begin + _PIECE])
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            attributes += len(element.attrib) if event == "start" else 0
            if attributes > PAGE_ATTRIBUTES:
                raise AnswerTooLarge(f"The tags of a page have more than {PAGE_ATTRIBUTES:,} attributes.")
            if depth > PAGE_DEPTH:
                raise AnswerTooLarge(f"A page has more than {PAGE_DEPTH:,} tags inside each other.")
    return cast(HtmlElement, parser.close())


def find_all(page: HtmlElement, selector: str) -> list[HtmlElement]:
    """The elements of a page that a CSS selector selects, in their order.

    Raises:
        NotPhpMyAdmin: It is no selector.
    """
    try:
        return page.cssselect(selector)
    except SelectorError as error:
        raise NotPhpMyAdmin(f"{selector} is no CSS selector that can be read without a browser.") from error


def find_first(page: HtmlElement, selector: str) -> HtmlElement | None:
    """The first element of a page that a CSS selector selects; see `find_all`."""
    return next(iter(find_all(page, selector)), None)


def shown_text(element: HtmlElement) -> str:
    """The texts of an element and of all inside it, but for those of scripts and styles, with a space between them."""
    return " ".join(element.xpath(".//text()[not(ancestor::script or ancestor::style)]"))


def join_url(address: str, target: str) -> str:
    """Returns a URL that a page names, which may be relative.

    Args:
        address: The URL of the page.
        target: The URL as the page spells it.

    Raises:
        NotPhpMyAdmin: It is no valid URL.
    """
    try:
        joined = urljoin(address, target)
        _ = urlsplit(joined).port  # checks the port and an IPv6 address
        httpx2.URL(joined)
    except (ValueError, httpx2.InvalidURL) as error:
        raise NotPhpMyAdmin(f"The page at {public_url(address)} leads to an address that is not valid.") from error
    return joined
