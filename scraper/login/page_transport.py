"""Requests that the browser itself makes, where its cookies cannot be handed over."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from selenium.webdriver import Chrome

from scraper.client.transport import SILENT_SECONDS
from scraper.errors import AnswerCut, Unreachable
from scraper.login.chrome import failures


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
