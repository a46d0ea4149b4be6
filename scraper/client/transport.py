"""Posts a form and streams the response, over plain HTTP."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from typing_extensions import override

from scraper.client.gunzip import GunzipSink
from scraper.client.tls import trust
from scraper.client.unreachable import causes, unreachable
from scraper.errors import AnswerCut, ScrapeError, TooManyRequests

CONNECT_SECONDS = 30
CHUNK = 256 << 10  # bytes that are passed on together
_BROKEN = (requests.RequestException, urllib3.exceptions.HTTPError, ScrapeError)  # what a body may end with
SILENT_SECONDS = 300  # the server sends nothing while it computes checksums


class Transport(Protocol):
    """How an `Exporter` sends requests."""

    def post(
        self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any], seconds: float | None = None
    ) -> int:
        """Posts a form. Redirects are not followed.

        Args:
            url: Where to.
            form: Names and values of the fields.
            sink: Takes the body in chunks.
            seconds: For how long the server may send nothing; None: SILENT_SECONDS.

        Returns:
            The HTTP status.

        Raises:
            Unreachable: The server does not answer.
            AnswerCut: The connection was closed before the end of the response.
            CertificateRefused: The server's certificate is not trusted.
            TooManyRequests: The server asks for fewer requests.
            BrowserFailed: Chrome failed.
        """

    def close(self) -> None:
        """Closes the connections."""


class HttpTransport(Transport):
    """A `Transport` with requests, which takes a quarter of the CPU time that httpx2 takes for rows.

    Args:
        headers: Go with each request. The cookies among them stay those of the login.
        ca_file: See PHPMYADMIN_CA_FILE.
    """

    def __init__(self, headers: Mapping[str, str], ca_file: Path | None) -> None:
        self._session = _Session()
        self._session.headers = CaseInsensitiveDict({"Accept-Encoding": "gzip", **headers})
        self._session.auth = lambda request: request  # credentials in ~/.netrc are not for here
        # Takes no cookies: a renewed one would be sent together with the old one.
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._session.mount("https://", _Trusting(trust(ca_file)))

    @override
    def post(
        self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any], seconds: float | None = None
    ) -> int:
        host = urlsplit(url).netloc
        try:
            silent = seconds or SILENT_SECONDS
            timeout = (min(CONNECT_SECONDS, silent), silent)
            with self._session.post(
                url, data=dict(form), stream=True, allow_redirects=False, timeout=timeout
            ) as response:
                compressed = response.headers.get("Content-Encoding") == "gzip"
                take = GunzipSink(sink) if compressed else sink  # several gzip members, or one that is cut
                with suppress(*_BROKEN if response.status_code >= 300 else ()):  # the status says more
                    for chunk in response.raw.stream(CHUNK, decode_content=False):
                        take(chunk)
                    if isinstance(take, GunzipSink):
                        take.end()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            if any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in causes(error)):
                raise AnswerCut(f"{host} closed the connection before the end of a response.") from error
            raise unreachable(url, error) from error
        if response.status_code == 429:
            raise TooManyRequests(host, response.headers.get("Retry-After"))
        return response.status_code

    @override
    def close(self) -> None:
        self._session.close()


class _Session(requests.Session):
    """Follows no redirects. To find out where one leads, the library would read its whole body."""

    def get_redirect_target(self, resp: requests.Response) -> None: ...


class _Trusting(HTTPAdapter):
    """Connections with a TLS context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)
