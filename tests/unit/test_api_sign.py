"""Signed addresses: good for one path and query, to read, until they expire, and as long as the key of their signer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx2
import pytest
from cache_factory import COLUMNS, confirm, publish
from hypothesis import given, settings
from hypothesis import strategies as st
from sidecar_process import Sidecar, sidecar, worker

from cache.access.api_keys import ApiKey, ApiKeys, Scope, digest
from cache.access.signed_urls import InvalidSignature, SignedQuery, sign_url, verify_url
from cache.schema import Column
from cache.storage.documents import API_KEYS
from cache.storage.records import now

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("sign"), FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache)
        yield running


def sign(api: Sidecar, path: str, **more: Any) -> str:
    answer = api.client.post("/sign", json={"path": path, **more})
    assert answer.status_code == 200, answer.text
    address: str = answer.json()["address"]
    return address


def get(api: Sidecar, address: str) -> httpx2.Response:
    """Without any key."""
    return httpx2.get(api.url + address)


def add(api: Sidecar, name: str, *scopes: Scope) -> str:
    key = ApiKey(name=name, digest=digest(name), scopes=scopes, created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(key))
    time.sleep(0.6)
    return name


def refused(answer: httpx2.Response, code: str, status: int = 401) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert list(answer.json()) == ["status", "message", "code", "request_id"]
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "path",
    [
        "/fetch-data",
        "/fetch-data?limit=2",
        "/fetch-data?stream=true",
        "/fetch-data?limit=1&offset=1",
        "/fetch-data?format=csv",
        "/fetch-data?format=ndjson&currency=EUR",
        "/fetch-data?format=parquet",
        "/fetch-data?format=xlsx&fields=id,name",
        "/changes?since=1",
    ],
)
def test_an_address_that_was_signed_is_answered_as_with_the_key(api: Sidecar, path: str) -> None:
    answer = get(api, sign(api, path))
    assert answer.status_code == 200
    assert answer.content == api.client.get(path).content
    assert answer.headers.get("etag") == api.client.get(path).headers.get("etag")


def test_beside_a_key_the_signature_does_not_matter(api: Sidecar) -> None:
    for address in (sign(api, "/fetch-data?limit=2"), "/fetch-data?limit=2&expires=1&signature=nobody.x"):
        answer = api.client.get(address)
        assert answer.status_code == 200
        assert answer.headers["etag"] == api.client.get("/fetch-data?limit=2").headers["etag"]
    refused(httpx2.get(api.url + sign(api, "/changes?since=1"), headers={"X-API-Key": "wrong"}), "unauthorized")


def test_a_stream_of_events_can_be_opened_without_a_header(api: Sidecar) -> None:
    with httpx2.stream("GET", api.url + sign(api, "/events")) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")


def test_the_answer_says_until_when_it_is_good(api: Sidecar) -> None:
    body = api.client.post("/sign", json={"path": "/fetch-data", "minutes": 5}).json()
    expires = int(dict(parse_qsl(body["address"].partition("?")[2]))["expires"])
    assert body["status"] == "success"
    assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(expires)) == body["expires_at"]
    assert abs(expires - time.time() - 300) < 60


def test_head_and_conditional_requests_work_too(api: Sidecar) -> None:
    address = sign(api, "/fetch-data")
    tag = httpx2.head(api.url + address).headers["etag"]
    assert httpx2.get(api.url + address, headers={"If-None-Match": tag}).status_code == 304


def test_parameters_may_stand_in_any_order_and_cache_busters_are_ignored(api: Sidecar) -> None:
    path, _, query = sign(api, "/fetch-data?limit=2&offset=1").partition("?")
    shuffled = "&".join(reversed(query.split("&")))
    assert get(api, f"{path}?{shuffled}&_=1733").status_code == 200


def test_nothing_of_it_can_be_changed(api: Sidecar) -> None:
    address = sign(api, "/fetch-data?limit=2")
    expires = dict(parse_qsl(address.partition("?")[2]))["expires"]
    for changed in (
        address.replace("limit=2", "limit=3"),
        address.replace("limit=2&", ""),
        address + "&offset=1",
        address.replace("/fetch-data", "/status"),
        address.replace(expires, str(int(expires) + 60)),
        address.replace("signature=default.", "signature=dashboard."),
        address.replace("signature=default.", "signature="),
        address[:-1] + ("A" if address[-1] != "A" else "B"),
        address.partition("signature")[0] + "signature=",
        address.partition("signature")[0] + "signature=%FF%00.x",
    ):
        refused(get(api, changed), "signature_invalid")


def test_one_whose_time_is_over_is_refused_and_says_so(api: Sidecar) -> None:
    secret = api.cache.documents.read(API_KEYS).secret
    address = sign_url(secret, "/fetch-data", "", "dashboard", now() - timedelta(seconds=1))
    refused(get(api, address), "signature_expired")


def test_the_dashboard_signs_with_the_secret_of_the_cache(api: Sidecar) -> None:
    address = sign_url(
        api.cache.documents.read(API_KEYS).secret, "/fetch-data", "limit=1", "dashboard", now() + timedelta(minutes=1)
    )
    assert get(api, address).json()["count"] == 1


@pytest.mark.parametrize(
    ("path", "code", "word"),
    [
        ("/fetch-data?refresh=true", "parameter_invalid", "stream=true"),
        ("/fetch-data?wait=true", "parameter_invalid", "wait"),
        ("/fetch-data?nothing=1", "parameter_invalid", "nothing"),
        ("/fetch-data?limit=x", "parameter_invalid", "limit"),
        ("/fetch-data?total_price=x", "bad_filter", "total_price"),
        ("/fetch-data?sort=nothing", "bad_filter", "nothing"),
        ("/fetch-data?format=csv&fields=nothing", "bad_filter", "nothing"),
        ("/fetch-data?after=AAAAAAAAAAkAAAAAAAAAZGfS3p2LaLhT", "unknown_generation", "generation"),
        ("/changes", "parameter_invalid", "since"),
        ("/changes?since=99", "parameter_invalid", "since"),
        ("/changes?since=1&limit=0", "parameter_invalid", "limit"),
        ("/figures?metric=nothing", "parameter_invalid", "nothing"),
        ("/figures/events", "parameter_invalid", "metric"),
        ("/events?limit=1", "parameter_invalid", "limit"),
    ],
)
def test_what_would_be_refused_is_not_signed(api: Sidecar, path: str, code: str, word: str) -> None:
    sent = {"X-Request-ID": "one"}
    answer = api.client.post("/sign", json={"path": path}, headers=sent)
    assert answer.status_code in (400, 410)
    refused(answer, code, answer.status_code)
    assert word in answer.json()["message"]
    if "refresh" not in path and "wait" not in path:
        assert answer.json() == api.client.get(path, headers=sent).json()


def test_a_stream_that_refreshes_is_signed_with_the_scope_refresh(api: Sidecar) -> None:
    path = "/fetch-data?stream=true&refresh=true&rows=chunked"
    reader = httpx2.post(f"{api.url}/sign", headers={"X-API-Key": add(api, "reader", "read")}, json={"path": path})
    refused(reader, "forbidden", 403)
    confirm(api.cache)
    with worker(api.cache):
        answer = get(api, sign(api, path))
    assert answer.status_code == 200
    assert '"type": "updated"' in answer.text


def test_a_masked_key_signs_no_filter_on_what_it_may_not_see(api: Sidecar) -> None:
    key = ApiKey(name="masked", digest=digest("masked"), scopes=("read",), masked=True, created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(key))
    time.sleep(0.6)
    body = {"path": "/fetch-data?email=x"}
    refused(httpx2.post(f"{api.url}/sign", headers={"X-API-Key": "masked"}, json=body), "column_masked", 403)


def test_while_nothing_is_cached_the_query_alone_is_checked(tmp_path: Path) -> None:
    with sidecar(tmp_path) as running:
        assert sign(running, "/fetch-data?any=1")
        refused(running.client.post("/sign", json={"path": "/fetch-data?limit=x"}), "parameter_invalid", 400)


@pytest.mark.slow
def test_a_link_ends_with_its_key_and_a_new_key_of_that_name_is_another(api: Sidecar) -> None:
    key = add(api, "signer", "read")
    address = httpx2.post(f"{api.url}/sign", headers={"X-API-Key": key}, json={"path": "/fetch-data"}).json()["address"]
    assert get(api, address).status_code == 200
    api.cache.documents.change(API_KEYS, lambda clients: clients.revoke(key))
    other = ApiKey(name=key, digest=digest("another"), scopes=("read",), created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(other))
    time.sleep(0.6)
    refused(get(api, address), "signature_invalid")


def test_a_key_that_may_not_read_cannot_sign(api: Sidecar) -> None:
    answer = httpx2.post(
        f"{api.url}/sign", headers={"X-API-Key": add(api, "hook", "refresh")}, json={"path": "/events"}
    )
    refused(answer, "forbidden", 403)


def test_a_signed_address_signs_nothing_and_refreshes_nothing(api: Sidecar) -> None:
    signature = sign(api, "/fetch-data").partition("?")[2]
    for path in ("/sign", "/refresh"):
        refused(httpx2.post(f"{api.url}{path}?{signature}", json={"path": "/fetch-data"}), "signature_invalid")


def test_a_browser_may_ask_for_it_from_any_page(api: Sidecar) -> None:
    asked = {
        "Origin": "https://shop.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "x-api-key, content-type",
    }
    answer = httpx2.options(f"{api.url}/sign", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "POST" in answer.headers["access-control-allow-methods"]
    assert answer.headers["access-control-allow-headers"] == "x-api-key, content-type"


def test_a_key_that_is_sent_counts_before_a_signature(api: Sidecar) -> None:
    address = sign(api, "/fetch-data")
    refused(httpx2.get(api.url + address, headers={"X-API-Key": "wrong"}), "unauthorized")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"/fetch-data"',
        b"\xff",
        b"{}",
        b'{"path": 1}',
        b'{"path": "/status"}',
        b'{"path": "/health"}',
        b'{"path": "fetch-data"}',
        b'{"path": "//elsewhere.example/fetch-data"}',
        b'{"path": "/fetch-data#x"}',
        b'{"path": "/fetch-data?a#x"}',
        b'{"path": "/fetch-data", "minutes": 0}',
        b'{"path": "/fetch-data", "minutes": 61}',
        b'{"path": "/fetch-data", "minutes": "10"}',
        b'{"path": "/fetch-data", "minutes": 1.5}',
        b'{"path": "/fetch-data", "hours": 1}',
        b'{"path": "/fetch-data?expires=1"}',
        b'{"path": "/fetch-data?signature=default.x"}',
    ],
)
def test_what_cannot_be_signed_is_refused_by_name(api: Sidecar, body: bytes) -> None:
    refused(api.client.post("/sign", content=body), "parameter_invalid", 400)


def test_without_a_key_nothing_is_signed(api: Sidecar) -> None:
    refused(httpx2.post(f"{api.url}/sign", json={"path": "/fetch-data"}), "unauthorized")


def test_a_filter_on_a_column_that_begins_with_an_underscore_is_signed(tmp_path: Path) -> None:
    columns = [
        COLUMNS[0],
        *(Column(name=name, type="int", kind="integer", nullable=False) for name in ("_deleted", "_t", "__x")),
    ]
    rows = [{"id": str(i), "_deleted": str(i % 2), "_t": str(i % 3), "__x": "0"} for i in range(9)]
    with sidecar(tmp_path, FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache, rows, columns=columns)
        for signed in ("_deleted=0", "_deleted__eq=0", "%5Fdeleted=0", "__x=0&_deleted=0"):
            address = sign(running, f"/fetch-data?{signed}")
            ids = [row["id"] for row in get(running, address).json()["data"]]
            assert ids == [0, 2, 4, 6, 8]
            for changed in (
                address.replace(f"{signed}&", ""),
                address.replace("deleted=0", "deleted=1").replace("eq=0", "eq=1"),
                f"{address}&{signed}",
                f"{address}&_t__eq=0",
            ):
                refused(get(running, changed), "signature_invalid")
            assert [row["id"] for row in get(running, f"{address}&_t=1").json()["data"]] == ids  # no filter here


_texts = st.text(st.characters(codec="utf-8"), max_size=6)
_pairs = st.lists(st.tuples(_texts, _texts), max_size=5)


@settings(max_examples=50)
@given(_pairs, _pairs)
def test_a_signature_is_of_one_query_alone(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    secret, at = ApiKeys().secret, now() + timedelta(minutes=1)
    _, _, query = sign_url(secret, "/fetch-data", urlencode(one), "dashboard", at).partition("?")
    assert verify(secret, query) == SignedQuery(urlencode(one), "dashboard")
    with pytest.raises(InvalidSignature):
        verify(ApiKeys().secret, query)
    if sorted(other) != sorted(one):
        with suppress(InvalidSignature):  # `other` may have one more cache buster, which is not handed on
            changed = verify(secret, "&".join([urlencode(other), *query.split("&")[-2:]]))
            assert sorted(parse_qsl(changed.query, keep_blank_values=True)) == sorted(one)


@pytest.mark.parametrize("added", ["_=1", "_t=2&_=1", "_=1&_=2", "_deleted=0", "t=1", "v=1&nocache="])
def test_what_a_client_adds_is_removed_wherever_it_stands(added: str) -> None:
    secret, at = ApiKeys().secret, now() + timedelta(minutes=1)
    for signed in ("", "limit=2", "_note=x", "_note__eq=x&_a=1&_b=2&limit=2"):
        _, _, query = sign_url(secret, "/fetch-data", signed, "dashboard", at).partition("?")
        assert verify(secret, query).query == signed
        if "_b" not in signed:
            assert verify(secret, f"{query}&{added}").query == signed
            assert verify(secret, f"{added}&{query}").query == signed


def verify(secret: str, query: str) -> SignedQuery:
    return verify_url(secret, "/fetch-data", query, {"dashboard": ""}.get)


def test_only_what_was_signed_is_handed_on() -> None:
    secret, at = ApiKeys().secret, now() + timedelta(minutes=1)
    _, _, query = sign_url(secret, "/fetch-data", "limit=2&_note__eq=x", "dashboard", at).partition("?")
    assert verify(secret, f"_=17&{query}&_t=18").query == "limit=2&_note__eq=x"
    for added in ("_name__eq=y", "%5Fname__eq=y", "expires=9999999999", "%65xpires=1", "signature=dashboard.x"):
        with pytest.raises(InvalidSignature):
            verify(secret, f"{query}&{added}")
