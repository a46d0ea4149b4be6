"""Clients of the API that ask all the time, each in its own way. For tests/soak/test_small_machine.py."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from urllib.parse import quote

import httpx2

from cache.access.api_keys import ApiKey, ApiKeys, digest, new_key
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.store import Cache

REFUSALS = (410, 503)  # a page of a generation that is no longer kept; no worker was free
KINDS = ("paged", "changes", "filtered", "whole", "figures")


class BusyClient(threading.Thread):
    """Asks in one of KINDS until it is ended. It keeps no answer.

    Args:
        url: Of the API.
        key: Its own key.
        number: Chooses the kind.
        pause: The longest between two requests, in seconds.

    Attributes:
        kind: One of KINDS.
        statuses: Of the responses.
        bytes: Of their bodies, as sent.
        faults: What must not happen.
    """

    def __init__(self, url: str, key: str, number: int, pause: float) -> None:
        super().__init__()
        self._client = httpx2.Client(base_url=url, headers={"X-API-Key": key}, timeout=120, trust_env=False)
        self._ended = threading.Event()
        self._pause = pause
        self._since = ""
        self.kind = KINDS[number % len(KINDS)]
        self._requests = getattr(self, f"_{self.kind}")()
        self.statuses: Counter[int] = Counter()
        self.bytes = 0
        self.faults: list[str] = []

    def run(self) -> None:
        with self._client:
            while not self._ended.wait(random.uniform(0, self._pause)):
                next(self._requests)

    def end(self) -> None:
        self._ended.set()
        self.join()

    # -- kinds: each step is a request

    def _paged(self) -> Iterator[None]:
        for sort in self._for_ever("", "&sort=-total_price", "&sort=created_at,-id"):
            after = ""
            for _ in range(20):
                after = self._get(f"/fetch-data?limit=1000{sort}{after}", "next")
                yield
                if not after:
                    break
                after = f"&after={quote(after)}"

    def _changes(self) -> Iterator[None]:
        while True:
            if not self._since:
                self._since = self._get("/fetch-data?limit=0", "generation")
                yield
            # after a refusal, it begins again
            self._since = self._get(f"/changes?since={self._since}", "next") if self._since else ""
            yield

    def _filtered(self) -> Iterator[None]:
        for query in self._for_ever(
            "customer_name__contains=an&sort=-created_at&limit=50",
            "line_items__contains=mug&limit=200",
            "financial_status=paid&total_price__gt=100&facet=currency&facet=financial_status&limit=100",
            "email__contains=example&facet=customer_name&sort=email&limit=20",
        ):
            self._get(f"/fetch-data?{query}")
            yield

    def _whole(self) -> Iterator[None]:
        for format in self._for_ever("json", "ndjson", "csv", "json&sort=-total_price", "xlsx", "parquet", "sqlite"):
            self._get(f"/fetch-data?format={format}")
            yield

    def _figures(self) -> Iterator[None]:
        for query in self._for_ever(
            "period=all&step=month&by=country",
            "period=all&by=country,status&metric=net_sales,orders",
            "period=365d&step=day&compare=before",
            "period=all&step=day&by=status&metric=total_sales&currency=all&limit=1000",
        ):
            self._get(f"/figures?{query}")
            yield

    @staticmethod
    def _for_ever(*choices: str) -> Iterator[str]:
        while True:
            yield from random.sample(choices, len(choices))

    def _get(self, path: str, wanted: str = "") -> str:
        """Reads a response; returns a value of its body as text, empty if it has none."""
        started = time.monotonic()
        try:
            with self._client.stream("GET", path) as response:
                if not wanted and response.is_success:
                    for piece in response.iter_raw():
                        self.bytes += len(piece)
                else:
                    response.read()
        except httpx2.TransportError as error:
            self.faults.append(f"{path}: {error!r} after {time.monotonic() - started:.1f} s")
            return ""
        self.statuses[response.status_code] += 1
        if response.is_success:
            return str(response.json().get(wanted) or "") if wanted else ""
        if response.status_code not in REFUSALS:
            self.faults.append(f"{path}: {response.status_code} {response.text[:200]}")
        return ""


def keys_of_clients(cache: Cache, count: int) -> list[str]:
    """New keys, one for each client: the clients of one key would wait for each other."""
    keys = [new_key() for _ in range(count)]
    made = (
        ApiKey(name=f"client-{number}", digest=digest(key), scopes=("read",), created_at=now())
        for number, key in enumerate(keys)
    )
    for key in made:
        cache.documents.change(API_KEYS, partial(_with, key))
    return keys


def _with(key: ApiKey, keys: ApiKeys) -> ApiKeys:
    return keys.add(key)
