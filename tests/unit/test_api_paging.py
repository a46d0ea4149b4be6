"""Paging by `after`: each row of the first generation comes exactly once, whatever is published meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
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


def test_sorted_pages_stay_with_their_generation_too(api: Sidecar) -> None:
    fill(api, 50)
    body = page(api, sort="-id", id__lt="40", limit="15")
    ids = [row["id"] for row in body["data"]]
    while body["next"]:
        fill(api, 60, first=len(ids))
        body = page(api, sort="-id", id__lt="40", limit="15", after=body["next"])
        ids += [row["id"] for row in body["data"]]
    assert ids == list(range(39, -1, -1))


def test_a_page_of_a_generation_that_is_gone_is_410_and_says_what_to_do(
    api: Sidecar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.storage.local.snapshots.KEPT_AFTER", timedelta())
    fill(api, 50)
    token = page(api, limit="10")["next"]
    for number in range(8):
        fill(api, 60 + number)
        page(api, limit="1")
    answer = api.client.get("/fetch-data", params={"limit": "10", "after": token})
    assert (answer.status_code, answer.json()["code"]) == (410, "unknown_generation")
    assert "Start again without `after`" in answer.json()["message"]
    assert page(api, limit="10")["count"] == 10


@pytest.mark.slow
def test_a_token_of_a_cache_that_was_made_anew_is_refused(api: Sidecar, tmp_path: Path) -> None:
    fill(api, 50)
    token = page(api, limit="10")["next"]
    (tmp_path / "other").mkdir()
    with sidecar(tmp_path / "other") as other:
        fill(other, 50)
        answer = other.client.get("/fetch-data", params={"limit": "10", "after": token})
        assert answer.status_code == 400
        assert "start again without it" in answer.json()["message"]
