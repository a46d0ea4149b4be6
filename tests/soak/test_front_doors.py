"""A proxy in front of the real phpMyAdmin answers anything, at any step: a sync gets by, or ends with a sentence.

`FRONT_DOORS_SEED=…` runs the cases of a failure again.
"""

from __future__ import annotations

import gzip
import os
import random
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from hostile_phpmyadmin import BOMB
from sync_process import Outcome, SyncProcess, sync_process
from web_server import Handler, serving

from lab import FaultProxy, Lab

pytestmark = pytest.mark.soak

SEED = int(os.environ.get("FRONT_DOORS_SEED") or random.randrange(1 << 30))
CASES, SECONDS = 300, 120
STEPS: dict[str, str | re.Pattern[str]] = {
    "login page": "",
    "password": "pma_password",
    "export form": "route=/server/export",
    "any export": "export_type=table",
    "columns": re.compile(r"information_schema\.columns"),
    "keys": re.compile(r"information_schema\.statistics"),
    "rows": re.compile(r"LIMIT \d+$"),
    "checksums": re.compile(r"CONV\("),
    "logout": "route=/logout",
    "any request": "",
}
STATUSES = (*range(301, 309), *range(400, 432), 444, 451, 494, 499, *range(500, 512), *range(520, 528), 530, 598, 599)
FIREWALL_WORDS = "<!doctype html><title>Just a moment...</title><h1>Request blocked</h1>"
BODIES: dict[str, tuple[str | bytes, dict[str, str]]] = {
    "empty": ("", {}),
    "html": ("<!doctype html><html><head><title>Oops</title></head><body><h1>Oops</h1></body></html>", {}),
    "words of a firewall": (FIREWALL_WORDS, {}),
    "text": ("upstream connect error or disconnect/reset before headers", {"Content-Type": "text/plain"}),
    "json": ('{"error": {"code": 1, "message": "no"}}', {"Content-Type": "application/json"}),
    "half a page": ("<html><body><h1>Oo", {"Content-Length": "5000"}),
    "half a JSON": ('{"error": {"co', {"Content-Type": "application/json"}),
    "gzip": (gzip.compress(b"<html><h1>Oops</h1></html>"), {"Content-Encoding": "gzip"}),
    "gzip that is cut": (gzip.compress(os.urandom(5000))[:500], {"Content-Encoding": "gzip"}),
    "gzip that is none": ("<html>", {"Content-Encoding": "gzip"}),
    "a bomb": (BOMB, {"Content-Encoding": "gzip"}),
    "an unknown encoding": ("x", {"Content-Encoding": "br"}),
    "binary data": (bytes(range(256)) * 100, {"Content-Type": "application/octet-stream"}),
    "escape sequences": ("<div class='alert'>\x1b[31m\x07</div>", {}),
}
RETRY_AFTER = ("0", "1", "99999999", "-1", "soon", "", "Wed, 21 Oct 2015 07:28:00 GMT", "9" * 400)


class Case(NamedTuple):
    """What the proxy answers, and when."""

    step: str
    status: int
    body: str
    headers: dict[str, str]
    skip: int
    times: int | None


def case(chance: random.Random, elsewhere: str) -> Case:
    step, status = chance.choice(sorted(STEPS)), chance.choice(STATUSES)
    headers: dict[str, str] = {}
    places = ("?again", "/", "/missing", elsewhere, "http://[:", "//", "", "javascript:void(0)", f"http://{'a' * 70}/")
    if status < 400 and chance.random() < 0.9:
        headers["Location"] = chance.choice(places)
    if chance.random() < (0.8 if status in (429, 503) else 0.1):
        headers["Retry-After"] = chance.choice(RETRY_AFTER)
    skip = chance.randrange(12) if step == "any request" else 0
    return Case(step, status, chance.choice(sorted(BODIES)), headers, skip, chance.choice((1, 2, 30, None, None, None)))


@pytest.fixture(scope="module")
def syncs() -> Iterator[SyncProcess]:
    with sync_process() as process:
        yield process


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another host, and all that it was sent."""
    stolen: list[str] = []

    class Other(Handler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode("latin-1")
            stolen.append(f"{self.path} {body} {self.headers}")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<form id='login_form' method='post'><input id='input_username' name='pma_username'>")

        do_POST = do_GET

    with serving(Other, "127.0.0.2") as url:
        yield f"{url}/", stolen


@pytest.mark.timeout(3600)
def test_whatever_stands_in_front_answers_ends_in_a_sentence(
    lab: Lab, syncs: SyncProcess, elsewhere: tuple[str, list[str]]
) -> None:
    chance = random.Random(SEED)
    url, stolen = elsewhere
    settings: dict[str, Any] = {name.lower(): value for name, value in lab.settings().items()}
    secret = settings["phpmyadmin_password"]
    outcomes: dict[str, int] = {}
    for _ in range(CASES):
        tried = case(chance, url)
        body, headers = BODIES[tried.body]
        with FaultProxy(settings["phpmyadmin_url"]) as proxy:
            proxy.fail(
                tried.status,
                body,
                headers | tried.headers,
                matching=STEPS[tried.step],
                skip=tried.skip,
                times=tried.times,
            )
            print(tried, flush=True)
            here = {**settings, "phpmyadmin_url": proxy.url, "phpmyadmin_login": "http"}
            outcome = syncs.sync(here, SECONDS)
        outcomes[outcome.code] = outcomes.get(outcome.code, 0) + 1
        check(tried, outcome, secret)
        assert secret not in str(stolen), (SEED, tried)
    print(f"\n{outcomes}")


def check(case: Case, outcome: Outcome, secret: str) -> None:
    """Checks that a sync got by, or names cause and remedy."""
    where = (SEED, case, outcome)
    assert secret not in outcome.text, where
    if outcome.outcome == "published":  # it got by, and checksums prove the copy
        return
    code, text = outcome.code, outcome.text
    assert outcome.outcome in ("failed", "unverified"), where
    assert code not in ("", "scrape_error"), where
    assert text.endswith("."), where
    assert text.isprintable(), where
    assert not re.search(r"Traceback|\w+Error\b|Errno|codec", text), where
    leads = "leads to" in text or "redirect" in text
    assert code != "login_refused" or (leads and case.status < 400), where
    if case.status >= 400 and not (case.step == "password" and case.status == 404):
        assert str(case.status) in text or "checksums" in text, where
    if case.status == 429:
        assert code == "too_many_requests", where
    if "irewall" in text:
        assert case.status < 500 or case.body == "words of a firewall", where
        assert case.status not in (404, 407, 408, 410, 413, 425, 429), where
