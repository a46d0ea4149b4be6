"""How a form is posted and its answer streamed: plain HTTP, or inside the page of a browser that stays open."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from scraper.client.gunzip import GunzipSink
from scraper.client.tls import trust
from scraper.errors import AnswerCut, CertificateRefused, Unreachable

CONNECT_SECONDS = 30
PIECE = 256 << 10  # bytes that are handed on together
SILENT_SECONDS = 300  # a checksum statement sends nothing while the server computes


class Transport(Protocol):
    """What an Exporter needs of a login."""

    def post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        """Posts a form, gives the body to `sink` piece by piece, and returns the status. Redirects are not followed.

        Raises Unreachable, AnswerCut, CertificateRefused, BrowserFailed.
        """

    def close(self) -> None: ...


def unreachable(url: str, error: BaseException) -> Unreachable | CertificateRefused:
    """The error of ours for one of httpx, or of a socket."""
    host = urlsplit(url).netloc
    if isinstance(error, httpx.TimeoutException | TimeoutError):
        return Unreachable(f"{host} was silent for too long.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return CertificateRefused(f"The certificate of {host} is not trusted: {reason}.")
    return Unreachable(f"{host} cannot be reached: {error}.")


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made of, the first cause last: the texts of the outer ones hold the address."""
    found: BaseException | None = error
    while found is not None:
        yield found
        inner = (getattr(found, "reason", None), *found.args, found.__cause__, found.__context__)
        found = next((cause for cause in inner if isinstance(cause, BaseException)), None)


class HttpTransport:
    """Pages of rows by requests, which takes a third to half of the CPU time that httpx takes for them.

    Parameters: `headers` go with each request; the cookies among them stay those of the login."""

    def __init__(self, headers: Mapping[str, str], ca_file: Path | None) -> None:
        self._session = requests.Session()
        self._session.headers = CaseInsensitiveDict({"Accept-Encoding": "gzip", **headers})
        self._session.auth = lambda request: request  # what stands in ~/.netrc is not for here
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # renewed ones: both would be sent
        self._session.mount("https://", _Trusting(trust(ca_file)))

    def post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        host = urlsplit(url).netloc
        try:
            with self._session.post(
                url, data=dict(form), stream=True, allow_redirects=False, timeout=(CONNECT_SECONDS, SILENT_SECONDS)
            ) as response:
                packed = (
                    response.headers.get("Content-Encoding") == "gzip"
                )  # any number of members, perhaps half of one
                take = GunzipSink(sink) if packed else sink
                for piece in response.raw.stream(PIECE, decode_content=False):
                    take(piece)
                if isinstance(take, GunzipSink):
                    take.end()
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            causes = list(_causes(error))
            if any(isinstance(cause, urllib3.exceptions.ProtocolError) for cause in causes):
                raise AnswerCut(f"{host} ended an answer before its end.") from error
            raise unreachable(url, causes[-1]) from error
        return response.status_code

    def close(self) -> None:
        self._session.close()


class _Trusting(HTTPAdapter):
    """Connections that trust what a context does."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options, ssl_context=self._context)

    def proxy_manager_for(self, proxy: Any, **options: Any) -> Any:
        return super().proxy_manager_for(proxy, **options, ssl_context=self._context)
