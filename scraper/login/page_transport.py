"""Requests that Chrome makes itself, for a phpMyAdmin that binds the session to the browser."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx2
from selenium.webdriver import Chrome

from scraper.client.transport import SILENT_SECONDS
from scraper.client.unreachable import unreachable
from scraper.errors import AnswerCut, TooManyRequests, Unreachable
from scraper.login.chrome import failures


class PageTransport:
    """A `Transport` by `fetch` in a page of Chrome, for sessions bound to the browser or its TLS connection.

    Args:
        driver: Chrome, logged in.
        quit: Ends it.
    """

    def __init__(self, driver: Chrome, quit: Callable[[], None]) -> None:
        self._driver = driver
        self.close = quit
        self._on_quiet_page = False

    def post(
        self, url: str, form: Mapping[str, str], sink: Callable[[bytes], Any], seconds: float | None = None
    ) -> int:
        """Posts a form; see `Transport.post`."""
        host = urlsplit(url).netloc
        with failures():
            if not self._on_quiet_page:  # of the same origin, without scripts that send requests
                self._driver.get(urljoin(url, "favicon.ico"))
                self._on_quiet_page = True
            self._driver.execute_script(_POST, url, dict(form))
            last_data = time.monotonic()
            while True:
                answer = self._driver.execute_async_script(_TAKE)
                if answer["body"]:
                    sink(base64.b64decode(answer["body"]))
                    last_data = time.monotonic()
                elif answer["status"] == httpx2.codes.TOO_MANY_REQUESTS:
                    raise TooManyRequests(host, answer["wait"])
                elif answer["status"] >= 300 and (answer["error"] or answer["ended"]):
                    return int(answer["status"])  # it says more than a body that ends early
                elif answer["error"] and answer["status"]:
                    raise AnswerCut(f"{host} closed the connection before the end of a response.")
                elif answer["error"]:
                    raise unreachable(url, answer["error"])
                elif answer["ended"]:
                    return int(answer["status"])
                if time.monotonic() - last_data > (seconds or SILENT_SECONDS):
                    raise Unreachable(f"{host} sent nothing for too long.")


# The body waits in the page until it is taken. With more than four megabytes waiting, the page stops reading.
_POST = """
const [url, form] = arguments;
if (window.answer) window.answer.abort.abort();
const answer = window.answer = {parts: [], size: 0, status: 0, wait: null, ended: false, error: '',
                                abort: new AbortController()};
answer.changed = () => {};
(async () => {
    const response = await fetch(url, {method: 'POST', body: new URLSearchParams(form), redirect: 'manual',
                                       signal: answer.abort.signal});
    answer.status = response.type === 'opaqueredirect' ? 302 : response.status;
    answer.wait = response.headers.get('Retry-After');
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


# Returns what is there, or waits up to ten seconds for something.
_TAKE = """
const done = arguments[arguments.length - 1], answer = window.answer;
const waited = answer.size || answer.ended ? Promise.resolve()
    : Promise.race([new Promise(go => { answer.changed = go; }), new Promise(go => setTimeout(go, 10000))]);
waited.then(async () => {
    const {status, wait, ended, error} = answer, parts = answer.parts;
    if (!answer.size) return done({body: '', status, wait, ended, error});
    [answer.parts, answer.size] = [[], 0];
    if (answer.taken) answer.taken();
    const file = new FileReader();
    file.onload = () => done({body: file.result.slice(file.result.indexOf(',') + 1), status, wait, ended, error});
    file.readAsDataURL(new Blob(parts));
});
"""
