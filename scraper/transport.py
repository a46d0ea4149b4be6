"""How a form is posted and its answer streamed: plain HTTP, or inside the page of a browser that stays open."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

import httpx
from selenium.webdriver import Chrome

from scraper.browser import failures
from scraper.errors import AnswerCut, CertificateRefused, Unreachable
from scraper.packed import Unpacked
from scraper.tls import trust

CONNECT_SECONDS = 30
SILENT_SECONDS = 300  # a checksum statement sends nothing while the server computes


class Transport(Protocol):
    """What an Exporter needs of a login."""

    def post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        """Posts a form, gives the body to `sink` piece by piece, and returns the status. Redirects are not followed.

        Raises Unreachable, AnswerCut, CertificateRefused, BrowserFailed.
        """

    def close(self) -> None: ...


def unreachable(url: str, error: httpx.TransportError) -> Unreachable | CertificateRefused:
    """The error of ours for one of httpx."""
    host = urlsplit(url).netloc
    if isinstance(error, httpx.TimeoutException):
        return Unreachable(f"{host} was silent for too long.")
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        reason = str(error).partition("certificate verify failed: ")[2].partition(" (_ssl")[0]
        return CertificateRefused(f"The certificate of {host} is not trusted: {reason}.")
    return Unreachable(f"{host} cannot be reached: {error}.")


class HttpTransport:
    """Parameters: `headers` go with each request; the cookies among them stay those of the login."""

    def __init__(self, headers: httpx.Headers, ca_file: Path | None) -> None:
        self._client = httpx.Client(
            headers=headers,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),  # phpMyAdmin renews them: both would be sent
            verify=trust(ca_file),
            timeout=httpx.Timeout(CONNECT_SECONDS, read=SILENT_SECONDS),
        )

    def post(self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any]) -> int:
        try:
            with self._client.stream("POST", url, data=dict(form)) as response:
                if response.headers.get("Content-Encoding") == "gzip":  # httpx takes the first member, and half of one
                    unpacked = Unpacked(sink)
                    for piece in response.iter_raw():
                        unpacked(piece)
                    unpacked.end()
                else:
                    for piece in response.iter_bytes():
                        sink(piece)
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise AnswerCut(f"{urlsplit(url).netloc} ended an answer before its end.") from error
        except httpx.TransportError as error:
            raise unreachable(url, error) from error
        return response.status_code

    def close(self) -> None:
        self._client.close()


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
