"""Pages over plain HTTP, whose size is bounded: also that of redirects, and of what a few compressed bytes become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from bs4 import BeautifulSoup, Tag
from typing_extensions import override

from scraper.client.bounds import PAGE, PAGE_ATTRIBUTES, PAGE_DEPTH, PAGE_TAGS
from scraper.client.gunzip import GunzipSink
from scraper.errors import AnswerTooLarge, NotPhpMyAdmin
from scraper.login.masking import public_url

_LONG_TAG = re.compile(r"<[^<>]{65536,}>?")  # with an image inside, or with more attributes than memory


def bound_body(response: httpx.Response) -> None:
    """Bounds the body of a response that is not read yet; a hook for httpx.

    httpx itself would decompress any number of encodings, one inside the other, in one piece.

    Raises:
        NotPhpMyAdmin: The body has an encoding that was not requested.
    """
    encoding = response.headers.pop("Content-Encoding", "identity").strip().lower()
    if encoding not in ("gzip", "x-gzip", "identity"):
        raise NotPhpMyAdmin(f"{response.url.netloc.decode()} sends pages in an encoding that was not requested.")
    assert isinstance(response.stream, httpx.SyncByteStream)
    response.stream = _BoundedStream(response.stream)


class _BoundedStream(httpx.SyncByteStream):
    """The decompressed bytes of a page. Reading it raises AnswerTooLarge, or AnswerCut."""

    def __init__(self, stream: httpx.SyncByteStream) -> None:
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


def parse_page(html: str) -> BeautifulSoup:
    """Parses a page.

    Raises:
        AnswerTooLarge: It has too many tags or attributes.
    """
    if html.count("<") > 2 * PAGE_TAGS:  # the end of each, too
        raise AnswerTooLarge(f"A page has more than {PAGE_TAGS:,} tags.")
    complete = html[: html.rfind(">") + 1]  # the parser takes very long for a tag without an end
    return _BoundedSoup(_LONG_TAG.sub("", complete), "html.parser")


class _BoundedSoup(BeautifulSoup):
    """A page that is parsed while its tags stay below the bounds."""

    _attributes_seen = 0

    @override
    def handle_starttag(self, name: str, *args: Any, **kwargs: Any) -> Tag | None:
        attributes = kwargs["attrs"] if "attrs" in kwargs else args[2]
        self._attributes_seen += len(attributes)
        if self._attributes_seen > PAGE_ATTRIBUTES:
            raise AnswerTooLarge(f"The tags of a page have more than {PAGE_ATTRIBUTES:,} attributes.")
        if len(self.tagStack) > PAGE_DEPTH:
            raise AnswerTooLarge(f"A page has more than {PAGE_DEPTH:,} tags inside each other.")
        return super().handle_starttag(name, *args, **kwargs)


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
        httpx.URL(joined)
    except (ValueError, httpx.InvalidURL) as error:
        raise NotPhpMyAdmin(f"The page at {public_url(address)} leads to an address that is not valid.") from error
    return joined
