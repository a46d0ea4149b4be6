"""`/demo` is one file under a strict policy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx2
import pytest
from cache_factory import publish
from sidecar_process import Sidecar, sidecar


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.cache, 300, verified_at=datetime(2025, 12, 29, 10, 25, tzinfo=UTC))
        yield running


@pytest.mark.not_on("sub-path", why="there, Location is relative: nginx strips the path")
def test_the_page_is_one_file_under_a_strict_policy(api: Sidecar) -> None:
    answer = httpx2.get(f"{api.url}/demo")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert not re.search(r"(src|href)=\"(?!data:|docs\")", answer.text)
    assert httpx2.get(api.url).headers["location"] == "/demo"
