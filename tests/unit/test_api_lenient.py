"""What existing clients send: cache busters, flags, arrays, other names of a page, and other addresses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from cache_factory import as_json, publish
from sidecar_process import Sidecar, sidecar, worker

from api.contract.errors import ParameterInvalid
from api.contract.paths import ALIASES
from api.contract.queries.fetch_query import ALL_ROWS, parse_fetch_query
from api.contract.queries.figures_query import parse_figures_query
from cache.access.cache_busters import NAMES
from cache.query.filters import Condition

COLUMNS = ("id", "name", "total_price", "created_at")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("lenient"), FAILED_KEYS_LIMIT="off") as running, worker(running.cache):
        publish(running.cache, 20)
        yield running


# -- cache busters


@pytest.mark.parametrize("name", [*NAMES, "_", "_t", "__x"])
def test_a_cache_buster_is_ignored_unless_it_is_a_column(name: str) -> None:
    query = parse_fetch_query(f"limit=2&{name}=17".encode())
    assert query.query(COLUMNS) is ALL_ROWS
    assert query.identity(COLUMNS) == b"limit=2"
    assert query.query([*COLUMNS, name]).conditions == (Condition(name, "eq", "17"),)
    assert query.identity([*COLUMNS, name]) == query.text
    assert parse_figures_query(f"{name}=17".encode()).query.conditions == ()


@pytest.mark.parametrize("name", ["tt", "T", "cachebust", "vs", "t__gt"])
def test_any_other_name_is_refused(name: str) -> None:
    with pytest.raises(ParameterInvalid, match=f"Unknown parameter '{name}'"):
        parse_fetch_query(f"{name}=1".encode()).query(COLUMNS)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_every_endpoint_ignores_a_cache_buster(api: Sidecar, name: str) -> None:
    for path in ("/fetch-data?limit=1&", "/changes?since=1&", "/checks?", "/figures/metrics?", "/metrics?"):
        assert api.client.get(f"{path}{name}=1").status_code == 200
    assert api.client.post(f"/refresh?{name}=1").status_code == 202


@pytest.mark.parametrize(
    ("query", "meant"),
    [
        ("totl_price=1", "total_price"),
        ("totl_price__gte=1", "total_price__gte"),
        ("total_price__gtee=1", "total_price__gte"),
        ("limt=1", "limit"),
    ],
)
def test_a_typo_is_answered_with_what_may_be_meant(query: str, meant: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        parse_fetch_query(query.encode()).query(COLUMNS)
    assert f"Did you mean '{meant}'?" in str(refused.value)


@pytest.mark.slow
def test_monitors_may_add_anything_to_health_ready_and_status(api: Sidecar) -> None:
    for path in ("/health", "/ready", "/status", "/livez", "/readyz"):
        assert api.client.get(f"{path}?probe=1&limit=x").status_code == 200


# -- flags and arrays


@pytest.mark.parametrize("name", ["metadata_only", "parse_json", "refresh", "stream"])
def test_flags_are_read_as_clients_write_them(name: str) -> None:
    for text in (f"{name}=yes", f"{name}=Yes", f"{name}=on", f"{name}=1", f"{name}=", name):
        assert getattr(parse_fetch_query(text.encode()), name) is True
    for text in (f"{name}=no", f"{name}=OFF", f"{name}=0"):
        assert getattr(parse_fetch_query(text.encode()), name) is False


def test_arrays_are_read_as_axios_and_php_write_them() -> None:
    query = parse_fetch_query(b"facet[]=a&facet%5B%5D=b&fields[]=id&fields[]=x,y&sort[]=-id&id__in[]=1&id__in[]=2,3")
    assert (query.facet, query.fields, query.sort) == (("a", "b"), ("id", "x,y"), ("-id",))
    assert query.query(COLUMNS).conditions == (Condition("id", "in", ("1", "2,3")),)
    php = parse_fetch_query(
        b"facet[0]=a&facet%5B1%5D=b&fields[0]=id&fields[1]=x,y&sort[0]=-id&id__in[0]=1&id__in[1]=2,3"
    )
    assert php._replace(text=query.text) == query
    assert parse_figures_query(b"metric[]=orders&metric[]=net_sales").query.metrics == ("orders", "net_sales")


@pytest.mark.parametrize(
    "query", ["limit[]=1", "name[]=x", "limit[0]=1", "fields[x]=id", "fields[]=id&fields=name", "facet[]=a&facet=a"]
)
def test_an_array_is_for_lists_alone(query: str) -> None:
    with pytest.raises(ParameterInvalid):
        parse_fetch_query(query.encode()).query(COLUMNS)


@pytest.mark.slow
def test_an_array_has_the_effect_of_the_list(api: Sidecar) -> None:
    one, other = (
        api.client.get(f"/fetch-data?limit=2&{query}").json()
        for query in ("facet[]=currency&fields[]=id&fields[]=name", "facet=currency&fields=id,name")
    )
    assert one == other
    assert list(one["data"][0]) == ["id", "name"]


@pytest.mark.parametrize("path", ["/fetch-data?created_at__gte=", "/fetch-data?created_at__in=2025-12-29,"])
@pytest.mark.slow
def test_a_plus_that_is_not_escaped_is_explained(api: Sidecar, path: str) -> None:
    instant = "2025-12-29T10:00:00+02:00"
    answer = api.client.get(f"{api.url}{path}{instant}")
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_filter")
    assert "%2B" in answer.json()["message"]
    assert api.client.get(f"{api.url}{path}{instant.replace('+', '%2B')}").status_code == 200
    assert "%2B" not in api.client.get(f"{path}yesterday night").json()["message"]


# -- another app's names of a page


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "rows", "page"),
    [
        ("start_row=3&end_row=5", range(2, 5), (3, 5, True)),
        ("start_row=19", range(18, 20), (19, 20, False)),
        ("end_row=2", range(2), (1, 2, True)),
        ("start_row=1&end_row=99", range(20), (1, 20, False)),
        ("start_row=21&end_row=30", range(0), (None, None, False)),
        ("stream_all=true", range(20), (1, 20, False)),
        ("stream_all=true&start_row=20", range(19, 20), (20, 20, False)),
        ("stream_all=false&limit=1", range(1), (1, 1, True)),
        ("limit=2&offset=4", range(4, 6), (5, 6, True)),
        ("start_row=3&end_row=5&parse_json=true&integers=string", range(2, 5), (3, 5, True)),
    ],
)
def test_a_page_is_that_of_start_row_and_end_row(
    api: Sidecar, query: str, rows: range, page: tuple[int | None, int | None, bool]
) -> None:
    body = api.client.get(f"/api/data?{query}").json()
    assert body["data"] == [as_json(i) for i in rows]
    assert body["page_info"] == dict(zip(("start_row", "end_row", "has_next"), page, strict=True))
    assert body["record_count"] == body["returned_count"] == body["count"] == len(rows)
    assert body["total_count"] == 20


@pytest.mark.parametrize(
    "query",
    [
        *(
            "start_row=0",
            "end_row=0",
            "start_row=x",
            "start_row=5&end_row=4",
            "start_row=1&limit=2",
            "end_row=2&offset=1",
        ),
        *("stream_all=true&limit=2", "stream_all=true&end_row=2", "start_row=2&after=AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT"),
    ],
)
def test_what_is_no_page_is_refused(query: str) -> None:
    with pytest.raises(ParameterInvalid, match=query.partition("=")[0]):
        parse_fetch_query(query.encode())


# -- other addresses


def told(answer: httpx2.Response) -> tuple[int, Any, str | None]:
    moments = ("timestamp", "timestamp_iso")
    body = {name: value for name, value in answer.json().items() if name not in moments}
    return answer.status_code, body, answer.headers.get("etag")


def test_kubernetes_and_earlier_clients_find_the_names_they_know() -> None:
    assert set(ALIASES) == {"/livez", "/readyz", "/api/data", "/api/task/{id}"}


@pytest.mark.slow
@pytest.mark.parametrize("alias", ALIASES)
def test_an_alias_answers_as_the_path_itself(api: Sidecar, alias: str) -> None:
    task = api.client.post("/refresh").json()["task_id"]
    own, other, prefixed = (
        api.client.get(path.replace("{id}", task)) for path in (ALIASES[alias], alias, api.prefixed + alias)
    )
    assert told(own) == told(other) == told(prefixed)
    assert own.status_code == 200


@pytest.mark.slow
def test_an_alias_is_signed_and_streamed_too(api: Sidecar) -> None:
    address = api.client.post("/sign", json={"path": "/api/data?end_row=2"}).json()["address"]
    assert address.startswith("/api/data?end_row=2&")
    assert httpx2.get(api.url + address).json()["count"] == 2
    assert api.client.get("/api/data?stream=true").text.startswith(":")
    for path in ("/api/data/", "/api/task/", "/api/task", "/api"):
        assert api.client.get(path).status_code == 404


@pytest.mark.slow
def test_the_description_names_the_aliases(api: Sidecar) -> None:
    about = api.client.get("/openapi.json").json()["info"]["description"]
    assert all(f"`{alias}`" in about for alias in ALIASES)
