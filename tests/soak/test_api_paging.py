"""Paging by `after`: each row of the first generation comes exactly once, whatever is published meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cache_factory import COLUMNS, publish
from sidecar_process import Sidecar, sidecar


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Sidecar]:
    with sidecar(tmp_path) as running:
        yield running


def fill(api: Sidecar, rows: int, first: int = 0, segments: int = 3) -> None:
    made = [{"id": str(i), "name": f"#{i}"} for i in range(first, first + rows)]
    publish(api.cache, made, columns=COLUMNS[:2], segments=segments)


def page(api: Sidecar, **parameters: str) -> dict[str, Any]:
    answer = api.client.get("/fetch-data", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def paged(api: Sidecar, rows: int, syncs: int) -> None:
    """Pages through `rows` rows, while a sync publishes other ones now and then."""
    fill(api, rows, segments=-(-rows // 10_000))
    size, got = rows // 40, 0
    after: dict[str, str] = {}
    for number in range(40):
        body = page(api, limit=str(size), **after)
        assert (body["generation"], body["total_count"], body["count"]) == (1, rows, size)
        assert [row["id"] for row in body["data"]] == list(range(got, got + size))
        got += size
        after = {"after": body["next"]}
        if number % (40 // syncs) == 0:
            fill(api, 20 + number, first=number * 5)
    assert (got, body["next"]) == (rows, None)
    assert page(api)["generation"] == syncs + 1


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("rows", [20_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
def test_each_row_comes_once_while_ten_syncs_publish(api: Sidecar, rows: int) -> None:
    paged(api, rows, syncs=10)
