"""What a client may ask for at most: how often, how much at once, and how slowly."""

from __future__ import annotations

import json
import re
import select
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import publish
from fronts import address_pair
from sidecar_process import KEY, SCRIPTS, Sidecar, served_here, sidecar

from api.auth.rate_limits import RateLimits
from cache.access.api_keys import ApiKey, digest
from cache.access.client_ip import Proxies, counted_as
from cache.access.client_limits import MAX_BODY, MAX_HEAD
from cache.errors import SettingsInvalid
from cache.storage.documents import API_KEYS
from cache.storage.records import now

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=SCRIPTS)
def api(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("limits"), request.param) as running:
        publish(running.cache)
        yield running


def limited(answer: httpx2.Response) -> None:
    assert answer.status_code == 429
    assert list(answer.json()) == ["status", "message", "code", "request_id"]
    assert answer.json()["code"] == "rate_limited"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["access-control-allow-origin"] == "*"


# -- how often


def test_headers_say_how_many_requests_a_key_has_left(tmp_path: Path) -> None:
    with sidecar(tmp_path, RATE_LIMIT="4/minute") as running:
        publish(running.cache)
        paths = ("/status", "/fetch-data", "/fetch-data", "/fetch-data?limit=x")  # also on the fast path, and in errors
        answers = [running.client.get(path) for path in (*paths, "/fetch-data")]
        free = httpx2.get(f"{running.url}/health")
    assert [answer.status_code for answer in answers] == [200, 200, 200, 400, 429]
    found = [re.fullmatch(r'"key";r=(\d+);t=(\d+)', answer.headers["ratelimit"]) for answer in answers[:4]]
    assert [match and match[1] for match in found] == ["3", "2", "1", "0"]
    assert all(match and 0 < int(match[2]) <= 60 for match in found)
    assert {answer.headers["ratelimit-policy"] for answer in answers[:4]} == {'"key";q=4;w=60'}
    limited(answers[4])
    assert re.fullmatch(r'"address";r=0;t=\d+', answers[4].headers["ratelimit"])  # it is the address that has no more
    assert answers[4].headers["ratelimit-policy"] == '"address";q=4;w=60'
    assert "ratelimit" not in free.headers


def test_headers_count_what_is_left_of_a_portion_too() -> None:
    limits, left = RateLimits("600/minute", "off"), []
    for _ in range(13):
        assert limits.count_request("key", "shop") is None
        left.append(int(re.search(rb"r=(\d+)", dict(limits.headers("shop"))[b"ratelimit"])[1]))  # type: ignore[index]
    assert left == list(range(599, 586, -1))
    assert RateLimits("off", "off").headers("shop") == []


@pytest.mark.not_on("sub-path", why="nginx says itself which client it passes on")
def test_it_works(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = {"RATE_LIMIT": "5/minute", "FAILED_KEYS_LIMIT": "3/minute", "TRUSTED_PROXIES": "127.0.0.0/8, ::1"}
    with sidecar(tmp_path_factory.mktemp("often"), **settings) as running:
        publish(running.cache)
        for name in ("shop", "till"):
            key = ApiKey(name=name, digest=digest(name), scopes=("read",), created_at=now())
            running.cache.documents.change(API_KEYS, lambda clients, key=key: clients.add(key))
        time.sleep(0.6)

        client = httpx2.Client(base_url=running.url)

        def ask(key: str | None, address: str, path: str = "/fetch-data") -> httpx2.Response:
            headers = {"X-Forwarded-For": address} | ({"X-API-Key": key} if key else {})
            return client.get(path, headers=headers)

        # one address, whatever its keys
        assert [ask("shop", "192.0.2.1").status_code for _ in range(3)] == [200] * 3
        assert [ask("till", "192.0.2.1", "/status").status_code for _ in range(2)] == [200] * 2
        limited(ask("till", "192.0.2.1"))
        # one key, wherever it comes from
        assert [ask("shop", f"192.0.2.{i}").status_code for i in (2, 3)] == [200] * 2
        limited(ask("shop", "192.0.2.4"))
        assert ask("till", "192.0.2.4").status_code == 200
        # wrong keys: the address is refused, but for a key that was right from there before
        assert ask(KEY, "198.51.100.1").status_code == 200
        assert [ask("wrong", "198.51.100.1").status_code for _ in range(3)] == [401] * 3
        limited(ask("wrong", "198.51.100.1"))
        assert ask(KEY, "198.51.100.2").status_code == 200
        assert [ask("wrong", "198.51.100.3").status_code for _ in range(4)] == [401, 401, 401, 429]
        limited(ask(KEY, "198.51.100.3"))
        # what needs no key is not counted
        assert ask(None, "192.0.2.1", "/health").status_code == 200
        client.close()


@pytest.mark.parametrize("stranger", [{}, {"X-API-Key": "wrong"}, {"signature": "default.wrong"}])
def test_anonymous_requests_leave_the_share_of_a_key_alone(tmp_path: Path, stranger: dict[str, str]) -> None:
    with sidecar(tmp_path, RATE_LIMIT="3/minute", FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache)
        query = f"?signature={stranger['signature']}" if "signature" in stranger else ""
        headers = {} if query else stranger
        answers = [httpx2.get(f"{running.url}/fetch-data{query}", headers=headers) for _ in range(5)]
        assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
        assert [running.client.get("/fetch-data").status_code for _ in range(4)] == [200, 200, 200, 429]
        other = httpx2.get(f"{running.url}/health")
        assert other.status_code == 200


def test_no_proxy_is_believed_by_default(tmp_path_factory: pytest.TempPathFactory) -> None:
    with sidecar(tmp_path_factory.mktemp("unbelieved"), RATE_LIMIT="3/minute") as running:
        answers = [
            running.client.get("/status", headers={"X-Forwarded-For": f"192.0.2.{i}", "Forwarded": f"for=192.0.2.{i}"})
            for i in range(4)
        ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_request_that_leaves_the_fast_path_counts_once(tmp_path: Path) -> None:
    with sidecar(tmp_path, RATE_LIMIT="3/minute") as running:
        publish(running.cache)
        answers = [running.client.get("/fetch-data?format=csv") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]


def test_a_key_that_was_right_before_still_works_from_a_barred_address() -> None:
    limits = RateLimits("off", "1/minute")
    assert limits.allow_right_key("known", "192.0.2.1") is None
    assert limits.count_wrong_key("192.0.2.1") is None
    assert limits.count_wrong_key("192.0.2.1") is not None
    assert limits.allow_right_key("known", "192.0.2.1") is None
    assert limits.allow_right_key("other", "192.0.2.1") is not None
    assert limits.allow_right_key("other", "192.0.2.2") is None


@pytest.mark.parametrize("amount", [1, 7, 100, 101, 600, 6000])
def test_a_window_lets_the_limit_pass_or_at_most_one_percent_less(amount: int) -> None:
    limits = RateLimits(f"{amount}/minute", "off")
    passed = sum(limits.count_request("key", "shop") is None for _ in range(2 * amount))
    assert 0.98 * amount <= passed <= amount
    assert limits.count_request("key", "till") is None


def test_each_refusal_names_the_limit_that_is_spent() -> None:
    limits = RateLimits("1/minute", "1/minute")
    for ask, name in (
        (partial(limits.count_request, "key", "shop"), "key"),
        (partial(limits.count_request, "anonymous", "192.0.2.1"), "anonymous"),
        (partial(limits.count_wrong_key, "192.0.2.1"), "wrong-keys"),
    ):
        refused = [answer for answer in (ask(), ask()) if answer]
        assert [answer.headers["ratelimit-policy"] for answer in refused] == [f'"{name}";q=1;w=60']
        assert [answer.headers["ratelimit"].partition(";t=")[0] for answer in refused] == [f'"{name}";r=0']


def test_after_the_window_requests_pass_again() -> None:
    limits = RateLimits("2/second", "1/second")
    while limits.count_request("key", "shop") is None:
        pass
    while limits.count_wrong_key("192.0.2.1") is None:
        pass
    time.sleep(1.1)
    assert limits.count_request("key", "shop") is None
    assert limits.allow_right_key("any", "192.0.2.1") is None


def test_off_is_off() -> None:
    limits = RateLimits("off", "OFF")
    assert all(limits.count_request("key", "shop") is None for _ in range(10_000))
    assert all(limits.count_wrong_key("192.0.2.1") is None for _ in range(1_000))


@pytest.mark.parametrize("value", ["", "often", "6000", "-1/minute", "600/fortnight"])
def test_a_limit_that_does_not_parse_is_refused_at_start(value: str) -> None:
    with pytest.raises(SettingsInvalid, match="RATE_LIMIT"):
        RateLimits(value, "off")
    with pytest.raises(SettingsInvalid, match="FAILED_KEYS_LIMIT"):
        RateLimits("off", value)


# -- from where


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        (None, "10.0.0.1", "192.0.2.1", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "192.0.2.1", "192.0.2.1"),
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9, 192.0.2.1", "192.0.2.1"),  # the first is what the client claims
        ("10.0.0.0/8", "10.0.0.1", "203.0.113.9, 192.0.2.1, 10.0.0.7", "192.0.2.1"),
        ("10.0.0.0/8", "192.0.2.5", "203.0.113.9", "192.0.2.5"),  # no proxy of ours
        ("10.0.0.0/8", "10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.0/8", "10.0.0.1", "192.0.2.1, nonsense\xff, 10.0.0.7", "10.0.0.7"),
        ("::1, 10.0.0.1", "::1", "2001:db8::5", "2001:db8::5"),
        ("10.0.0.1", "::ffff:10.0.0.1", "192.0.2.1", "192.0.2.1"),
    ],
)
def test_a_forwarded_address_counts_where_a_proxy_of_ours_says_it(
    trusted: str | None, peer: str, forwarded: str, client: str
) -> None:
    headers = [(b"host", b"x"), (b"x-forwarded-for", forwarded.encode("latin-1"))]
    assert Proxies(trusted).client(peer, headers) == client


@pytest.mark.parametrize("trusted", ["proxy.example", "10.0.0.1/8", "*", "300.1.1.1"])
def test_a_proxy_that_is_no_address_is_refused_at_start(trusted: str) -> None:
    with pytest.raises(SettingsInvalid, match="TRUSTED_PROXIES"):
        Proxies(trusted)


def test_a_network_of_ipv6_is_counted_as_one_address() -> None:
    assert counted_as("2001:db8:1:2::5") == counted_as("2001:db8:1:2:ffff::1%eth0") == "2001:db8:1:2::/64"
    assert counted_as("2001:db8:1:3::5") != counted_as("2001:db8:1:2::5")
    assert counted_as("::ffff:192.0.2.1") == counted_as("192.0.2.1") == "192.0.2.1"


# -- how much at once, and how slowly


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    with socket.create_connection(address_pair(url), timeout=10) as raw:
        yield raw


def answer_of(raw: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body of the one answer until the connection ends."""
    read = b""
    while part := raw.recv(65536):
        read += part
    head, _, body = read.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    return int(lines[0].split(" ")[1]), headers, json.loads(body)


def refused(raw: socket.socket, status: int, code: str) -> None:
    got, headers, body = answer_of(raw)
    assert (got, body["code"], list(body)) == (status, code, ["status", "message", "code", "request_id"])
    assert headers["connection"] == "close"
    assert headers["access-control-allow-origin"] == "*"
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /fetch-data?" + b"x" * MAX_HEAD + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /health HTTP/1.1\r\nX-Long: " + b"x" * MAX_HEAD + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\n" + b"X-Many: x\r\n" * (MAX_HEAD // 8) + b"\r\n",
        b"GET /health HTTP/1.1\r\nX-Endless: " + b"x" * 10 * MAX_HEAD,
    ],
    ids=["address", "header", "many headers", "no end"],
)
def test_a_head_that_is_too_large_is_refused(api: Sidecar, head: bytes) -> None:
    with connected(api.url) as raw:
        raw.sendall(head)
        refused(raw, 431, "head_too_large")


@pytest.mark.not_on("sub-path", why="nginx refuses a head of this size itself")
def test_a_head_of_nearly_that_size_is_read(api: Sidecar) -> None:
    headers = {"X-Long": "x" * (MAX_HEAD - 1000)}
    assert api.client.get("/fetch-data?limit=1", headers=headers).status_code == 200
    assert api.client.get(f"/fetch-data?limit=1&_={'x' * (MAX_HEAD - 1000)}").status_code == 200


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("path", "own"), [("/sign", 413), ("/refresh", 503), ("/health", 405), ("/v1/no-such", 404)])
def test_a_body_that_is_too_large_ends_the_connection_after_one_answer(
    api: Sidecar, path: str, own: int, chunked: bool
) -> None:
    """An address that reads no body may answer before so much of it has arrived."""
    size = 3 * MAX_BODY
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\n"
    length = f"Transfer-Encoding: chunked\r\n\r\n{size:x}\r\n" if chunked else f"Content-Length: {size}\r\n\r\n"
    read = b""
    with connected(api.url) as raw, suppress(ConnectionError):
        raw.sendall((head + length).encode() + b"x" * size)
        while part := raw.recv(65536):
            read += part
    assert read.count(b"HTTP/1.1 ") == 1
    assert int(read.split(b" ")[1]) in (413, own)


@pytest.mark.parametrize("rest", [b"x" * 2 * MAX_BODY, b"no chunk\r\n"], ids=["too large", "does not parse"])
@pytest.mark.parametrize("own", [404, 405])
def test_a_request_that_was_answered_gets_no_second_response(api: Sidecar, own: int, rest: bytes) -> None:
    path = {404: "/v1/no-such", 405: "/health"}[own]
    length = f"Content-Length: {3 * MAX_BODY}" if rest[:1] == b"x" else "Transfer-Encoding: chunked"
    with connected(api.url) as raw, suppress(ConnectionError):
        raw.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n{length}\r\n\r\n".encode())
        read = raw.recv(65536)
        raw.sendall(rest)
        while part := raw.recv(65536):
            read += part
    assert read.count(b"HTTP/1.1 ") == 1
    assert int(read.split(b" ")[1]) == own


def test_a_body_without_an_end_does_not_grow(api: Sidecar) -> None:
    with connected(api.url) as raw:
        raw.sendall(f"POST /sign HTTP/1.1\r\nX-API-Key: {KEY}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        raw.sendall(b"1\r\nx\r\n" * (MAX_BODY + 1))
        refused(raw, 413, "body_too_large")


@pytest.mark.parametrize(
    "start",
    [
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET /v1 HTTP/1.1\r\nno colon\r\n\r\n",
        b"POST /sign HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /sign HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_the_one_error_shape(api: Sidecar, start: bytes) -> None:
    with connected(api.url) as raw:
        raw.sendall(start)
        refused(raw, 400, "bad_request")


def test_requests_before_one_that_is_refused_are_answered_first(api: Sidecar) -> None:
    with connected(api.url) as raw:
        raw.sendall(f"GET /status HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode() * 3 + b"nonsense\r\n\r\n")
        read = b""
        while part := raw.recv(65536):
            read += part
    assert re.findall(rb"HTTP/1\.1 (\d+)", read) == [b"200"] * 3
    assert "Traceback" not in api.log()


@pytest.mark.parametrize("request_line", ["GET /status", "GET /fetch-data?stream=true", "POST /sign", "POST /refresh"])
def test_a_client_that_goes_away_is_no_fault_of_ours(api: Sidecar, request_line: str) -> None:
    asked = f"{request_line} HTTP/1.1\r\nX-API-Key: {KEY}\r\n".encode()
    for sent in (asked, asked + b"Content-Length: 10\r\n\r\nhalf", 3 * (asked + b"\r\n")):
        with connected(api.url) as raw:
            raw.sendall(sent)
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert api.client.get("/status").status_code == 200
    assert "Traceback" not in api.log()


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in this process that waits a second for a client. Gives its address."""
    waits = {
        "cache__access__bounded_protocol__RECEIVE_SECONDS": 1,
        "cache__access__bounded_protocol__STALLED_SECONDS": 1,
    }
    with served_here(tmp_path_factory.mktemp("hasty"), 4_000, **waits) as (url, _):
        yield url


def drip(raw: socket.socket, data: bytes) -> None:
    """Sends a byte ten times a second, until the server has enough."""
    with suppress(OSError):
        for byte in data:
            raw.sendall(bytes([byte]))
            if select.select([raw], [], [], 0.1)[0]:
                return


@pytest.mark.parametrize(
    ("head", "dripped"),
    [
        (b"", b"GET /fetch-data HTTP/1.1\r\nHost: somewhere.example\r\n"),
        (b"GET /health HTTP/1.1\r\n", b"X-Slow: " + b"x" * 100),
        (f"POST /sign HTTP/1.1\r\nX-API-Key: {KEY}\r\nContent-Length: 100\r\n\r\n".encode(), b"x" * 100),
        (b"", b"\r\n" * 50),
    ],
    ids=["from the start", "a header", "a body", "blank lines"],
)
def test_a_client_that_sends_slowly_is_told_so_and_cut_off(hasty: str, head: bytes, dripped: bytes) -> None:
    with connected(hasty) as raw:
        raw.sendall(head)
        drip(raw, dripped)
        refused(raw, 408, "too_slow")


def test_a_connection_that_asks_nothing_is_closed_without_a_word(hasty: str) -> None:
    with connected(hasty) as raw:
        assert raw.recv(1) == b""


def test_a_client_that_takes_nothing_of_its_answer_is_cut_off(hasty: str) -> None:
    with connected(hasty) as raw:
        raw.sendall(20 * f"GET /fetch-data HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        time.sleep(3.2)
        read = 0
        with suppress(ConnectionResetError):
            while part := raw.recv(65536):
                read += len(part)
    one = httpx2.head(f"{hasty}/fetch-data", headers={"X-API-Key": KEY, "Accept-Encoding": "identity"})
    assert 0 < read < 20 * int(one.headers["content-length"])


def test_a_client_that_reads_slowly_or_asks_again_later_is_not(hasty: str) -> None:
    with httpx2.Client(base_url=hasty, headers={"X-API-Key": KEY, "Accept-Encoding": "identity"}) as client:
        for pause in (1.5, 0):
            with client.stream("GET", "/fetch-data") as answer:
                size = 0
                for part in answer.iter_bytes(400_000):
                    size += len(part)
                    time.sleep(0.3)
            assert size == int(answer.headers["content-length"])
            time.sleep(pause)


@contextmanager
def same_connection(running: Sidecar) -> Iterator[httpx2.Client]:
    """A client that keeps little of what it has not read; what is asked in here must go through one connection."""
    used = set()

    def note(answer: httpx2.Response) -> None:
        used.add(answer.extensions["network_stream"].get_extra_info("client_addr"))

    narrow = httpx2.HTTPTransport(socket_options=[(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)])
    headers = {"X-API-Key": KEY, "Accept-Encoding": "identity"}
    hooks: Any = {"response": [note]}
    with httpx2.Client(base_url=running.url, headers=headers, transport=narrow, event_hooks=hooks) as client:
        yield client
    assert len(used) == 1


@pytest.mark.soak
def test_a_client_may_ask_again_after_an_answer_that_took_long_to_read(tmp_path: Path) -> None:
    with sidecar(tmp_path) as running:
        publish(running.cache, 60_000)
        running.client.get("/fetch-data?limit=1")
        with same_connection(running) as client:
            with client.stream("GET", "/fetch-data") as answer:
                parts = answer.iter_raw(250_000)
                size = 0
                for part in islice(parts, 24):
                    size += len(part)
                    time.sleep(0.25)
                size += sum(map(len, parts))
                assert size == int(answer.headers["content-length"])
            time.sleep(1.2)
            assert client.get("/health").status_code == 200


@pytest.mark.parametrize("api", SCRIPTS[:1], indirect=True)  # it takes seconds, and is the same on one port
def test_a_client_that_asks_again_and_again_keeps_its_connection(api: Sidecar) -> None:
    with same_connection(api) as client:
        assert client.get("/keyed").status_code == 404
        for _ in range(13):
            time.sleep(0.5)
            assert client.get("/fetch-data?limit=1").status_code == 200


def test_a_stream_that_waits_is_not_a_slow_client(hasty: str) -> None:
    with connected(hasty) as raw:
        raw.sendall(f"GET /events HTTP/1.1\r\nX-API-Key: {KEY}\r\n\r\n".encode())
        assert raw.recv(65536).startswith(b"HTTP/1.1 200")
        raw.settimeout(2.2)
        with suppress(TimeoutError):
            while raw.recv(65536):
                pass
            pytest.fail("the stream was ended")


# -- what the log says of it


def test_each_request_is_one_log_line_without_keys_queries_or_addresses(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with sidecar(tmp_path_factory.mktemp("log"), LOG_FORMAT="json") as running:
        publish(running.cache)
        running.client.get("/fetch-data?_=ida%40example.com")
        running.client.get("/status")
        running.client.post("/sign", json={"path": "/fetch-data?_=ida%40example.com"})
        running.client.get("/tasks/ida@example.com")
        running.client.get("/customers/ida@example.com")
        httpx2.head(f"{running.url}/health?_=ida", headers={"X-API-Key": "a-wrong-key"})
        httpx2.get(f"{running.url}/fetch-data", headers={"X-API-Key": "a-wrong-key"})
        with connected(running.url) as raw:
            raw.sendall(b"ida@example.com\r\n\r\n")
            refused(raw, 400, "bad_request")
        end = time.monotonic() + 20
        while len(lines := re.findall(r'^\{.*"api.access".*\}$', running.log(), re.MULTILINE)) < 8:
            assert time.monotonic() < end
            time.sleep(0.05)
    said = [json.loads(line) for line in lines]
    assert [(line["method"], line["path"], line["status"], line["key"]) for line in said] == [
        ("GET", "/fetch-data", 200, "default"),
        ("GET", "/status", 200, "default"),
        ("POST", "/sign", 200, "default"),
        ("GET", "/tasks/{id}", 404, "default"),
        ("GET", "(other)", 404, None),
        ("HEAD", "/health", 200, None),
        ("GET", "/fetch-data", 401, None),
        ("-", "(other)", 400, None),
    ]
    named = {"method", "path", "status", "bytes", "ms", "key", "request_id", "trace_id"}
    assert all(set(line) == {"time", "level", "logger", "process", *named} for line in said)
    assert len({line["request_id"] for line in said}) == len(said)
    assert all(line["ms"] >= 0 and datetime.fromisoformat(line["time"]).tzinfo for line in said)
    assert [line["bytes"] > 0 for line in said] == [True] * 5 + [False, True, True]
    assert not re.search(r"ida|example|wrong-key|127\.0\.0\.1", "".join(lines))
    assert KEY not in running.log()


def test_the_log_of_requests_can_be_turned_off(tmp_path_factory: pytest.TempPathFactory) -> None:
    with sidecar(tmp_path_factory.mktemp("no-log"), ACCESS_LOG="off") as running:
        running.client.get("/health")
    assert "/health" not in running.log()
