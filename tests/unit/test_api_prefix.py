"""Every path of the API also stands under /v1, with the same responses, the same keys and the same limits."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from cache_factory import publish
from prometheus_client.parser import text_string_to_metric_families
from sidecar_process import KEY, Sidecar, served_here, sidecar
from starlette.types import Receive, Scope, Send

from api.app import Api
from api.contract.operations import OPERATIONS
from api.contract.paths import PREFIX, own_path
from cache.monitoring.metric_families import HTTP_REQUEST_DURATION

pytestmark = [
    pytest.mark.slow,
    pytest.mark.not_on("one-port", "sub-path", why="it compares the root with /v1: test_one_port.py does so there"),
]

QUERIES = {"/changes": "?since=1", "/figures": "?metric=orders", "/figures/events": "?metric=orders"}
READ = [each.path for each in OPERATIONS if each.method == "get" and each.id not in ("getEvents", "getMetrics")]
MOMENTS = re.compile(
    rb'"(timestamp\w*|last_updated|cache_age_\w+|verified_at|checked_at|task_id|request_id)": ?("[^"]*"|\d+)'
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("prefix"), FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache, 20)
        running.client.get("/figures?metric=orders")  # the first one decides on a reading, which is part of the tag
        yield running


def seen(answer: httpx2.Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """Status, headers and body, without the moment in which it was sent, and the id of the request."""
    headers = [(name, value) for name, value in answer.headers.items() if name not in ("date", "x-request-id")]
    return answer.status_code, headers, MOMENTS.sub(b"", answer.content)


@pytest.mark.parametrize("path", READ)
@pytest.mark.parametrize("headers", [{"X-API-Key": KEY}, {}], ids=["key", "none"])
def test_the_response_is_that_of_the_path_itself(api: Sidecar, path: str, headers: dict[str, str]) -> None:
    asked = path.replace("{id}", "no-such") + QUERIES.get(path, "")
    own, prefixed = (httpx2.get(f"{api.url}{prefix}{asked}", headers=headers) for prefix in ("", PREFIX))
    assert seen(own) == seen(prefixed)


@pytest.mark.parametrize("asked", ["/nowhere", "/fetch-data?limit=none", "/fetch-data?nothing=1", "/v1/fetch-data", ""])
def test_errors_are_the_same_too(api: Sidecar, asked: str) -> None:
    own, prefixed = (api.client.get(f"{prefix}{asked}") for prefix in ("/v2" if asked[:3] == "/v1" else "", PREFIX))
    assert seen(own) == seen(prefixed)
    assert api.client.delete(f"{PREFIX}/fetch-data").json()["code"] == "method_not_allowed"


def test_openapi_names_both_places(api: Sidecar) -> None:
    described = f"{api.url}/openapi.json"
    servers = [urljoin(described, each["url"]) for each in api.client.get(described).json()["servers"]]
    assert servers == [f"{api.url}/", f"{api.url}{PREFIX}"]


def test_events_stand_under_the_prefix(api: Sidecar) -> None:
    with api.client.stream("GET", f"{PREFIX}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert next(answer.iter_lines())


def test_a_refresh_is_followed_under_the_prefix(tmp_path: Path) -> None:
    with sidecar(tmp_path) as running:
        answer = running.client.post(f"{PREFIX}/refresh")
        assert (answer.status_code, answer.json()["code"]) == (503, "no_worker")
        assert running.client.get(f"{PREFIX}/tasks/none").json()["code"] == "unknown_task"


@pytest.mark.parametrize("signed", ["", PREFIX])
@pytest.mark.parametrize("asked", ["", PREFIX])
def test_a_signed_address_is_valid_with_and_without_the_prefix(api: Sidecar, signed: str, asked: str) -> None:
    answer = api.client.post(f"{PREFIX}/sign", json={"path": f"{signed}/fetch-data?limit=2"})
    address: str = answer.json()["address"]
    assert address.startswith(f"{signed}/fetch-data?limit=2&")
    assert httpx2.get(api.url + asked + address.removeprefix(signed)).json()["count"] == 2


def test_both_spellings_share_one_limit_and_one_label(tmp_path: Path) -> None:
    with sidecar(tmp_path, RATE_LIMIT="3/minute") as running:
        publish(running.cache, 3)
        codes = [running.client.get(f"{prefix}/fetch-data").status_code for prefix in ("", PREFIX) * 2]
    assert codes == [200, 200, 200, 429]
    assert running.log().count(" path=/fetch-data ") == 4


def test_the_metrics_of_both_spellings_are_one(api: Sidecar) -> None:
    counted = []
    for prefix in ("", PREFIX):
        api.client.get(f"{prefix}/checks")
        families: Any = text_string_to_metric_families(api.client.get(f"{prefix}/metrics").text)
        (count,) = (
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == f"{HTTP_REQUEST_DURATION.name}_count" and sample.labels["path"] == "/checks"
        )
        counted.append(count)
    assert counted[1] == counted[0] + 1


def test_the_fast_path_takes_both_spellings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usual = Api.__call__

    async def lifespan_only(api: Api, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "lifespan"
        await usual(api, scope, receive, send)

    with served_here(tmp_path, 3) as (url, _), httpx2.Client(base_url=url, headers={"X-API-Key": KEY}) as client:
        assert client.get("/fetch-data").json()["count"] == 3
        monkeypatch.setattr(Api, "__call__", lifespan_only)
        for prefix in ("", PREFIX):
            assert client.get(f"{prefix}/fetch-data").json()["count"] == 3
        monkeypatch.undo()


@pytest.mark.parametrize(
    ("path", "plain"),
    [("/v1", "/"), ("/v1/", "/"), ("/v1/a", "/a"), ("/v1/v1/a", "/v1/a"), ("/v10/a", "/v10/a"), ("/a", "/a"), ("", "")],
)
def test_the_prefix_is_taken_off_once(path: str, plain: str) -> None:
    assert own_path(path) == plain
