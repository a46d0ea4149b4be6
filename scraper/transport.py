"""How a form is posted and its answer streamed: plain HTTP, or inside the page of a browser that stays open."""

from __future__ import annotations

import base64
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from selenium.webdriver import Chrome

from scraper.browser import failures
from scraper.errors import AnswerCut, CertificateRefused, Unreachable
from scraper.packed import Unpacked
from scraper.tls import trust

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
                take = Unpacked(sink) if packed else sink
                for piece in response.raw.stream(PIECE, decode_content=False):
                    take(piece)
                if isinstance(take, Unpacked):
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


class PageTransport:
    """Requests that the browser itself makes, where cookies cannot be handed over: they are bound to it, or to TLS.

    Parameters: `driver` is logged in; `quit` ends it.
    """

    def __init__(self, driver: Chrome, quit: Callable[[], None]) -> None:
        self._driver = driver
        self.close = quit
        self._still = False

    def post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        host = urlsplit(url).netloc
        with failures():
            if not self._still:  # a page of the same origin whose scripts ask for nothing by themselves
                self._driver.get(urljoin(url, "favicon.ico"))
                self._still = True
            self._driver.execute_script(_POST, url, dict(form))
            heard = time.monotonic()
            while True:
                answer = self._driver.execute_async_script(_TAKE)
                if answer["body"]:
                    sink(base64.b64decode(answer["body"]))
                    heard = time.monotonic()
                elif answer["error"] and answer["status"]:
                    raise AnswerCut(f"{host} ended an answer before its end.")
                elif answer["error"]:
                    raise Unreachable(f"{host} cannot be reached: {answer['error']}.")
                elif answer["ended"]:
                    return int(answer["status"])
                if time.monotonic() - heard > SILENT_SECONDS:
                    raise Unreachable(f"{host} was silent for too long.")


# The body waits in the page until it is taken; at most a few megabytes, then the page stops reading.
_POST = """
const [url, form] = arguments;
if (window.answer) window.answer.abort.abort();
const answer = window.answer = {parts: [], size: 0, status: 0, ended: false, error: '', abort: new AbortController()};
answer.changed = () => {};
(async () => {
    const response = await fetch(url, {method: 'POST', body: new URLSearchParams(form), redirect: 'manual',
                                       signal: answer.abort.signal});
    answer.status = response.type === 'opaqueredirect' ? 302 : response.status;
    if (!response.body) return;
    const reader = response.body.getReader();
    for (let piece; !(piece = await reader.read()).done;) {
        answer.parts.push(piece.value);
        answer.size += piece.value.length;
        answer.changed();
        while (answer.size > 4 << 20) await new Promise(go => answer.taken = go);
    }
})().catch(error => { answer.error = String(error); }).finally(() => { answer.ended = true; answer.changed(); });
"""
# Gives what is there, or waits ten seconds for something.
_TAKE = """
const done = arguments[arguments.length - 1], answer = window.answer;
const waited = answer.size || answer.ended ? Promise.resolve()
    : Promise.race([new Promise(go => { answer.changed = go; }), new Promise(go => setTimeout(go, 10000))]);
waited.then(async () => {
    const {status, ended, error} = answer, parts = answer.parts;
    if (!answer.size) return done({body: '', status, ended, error});
    [answer.parts, answer.size] = [[], 0];
    if (answer.taken) answer.taken();
    const file = new FileReader();
    file.onload = () => done({body: file.result.slice(file.result.indexOf(',') + 1), status, ended, error});
    file.readAsDataURL(new Blob(parts));
});
"""
