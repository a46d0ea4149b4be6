"""`/fetch-data` with parameters: what each takes, what it refuses, and what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from cache_factory import as_json, publish
from sidecar_process import Sidecar, sidecar

ROWS = 30


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        publish(running.store, ROWS, segments=4)
        yield running


def fetch(api: Sidecar, **parameters: str) -> dict[str, Any]:
    answer = api.client.get("/fetch-data", params=parameters)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert body["count"] == len(body["data"])
    return body


def refused(api: Sidecar, query: str) -> str:
    """The message of a 400."""
    answer = api.client.get(f"/fetch-data?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "parameter_invalid")
    return str(answer.json()["message"])


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [as_json(i) for i in numbers]


# -- pages


def test_it_works(api: Sidecar) -> None:
    body = fetch(api, limit="3", offset="5")
    assert body["data"] == rows(5, 6, 7)
    assert (body["count"], body["total_count"]) == (3, ROWS)


@pytest.mark.parametrize(("parameters", "numbers"), [
    ({"limit": "0"}, range(0)),
    ({"limit": "1"}, range(1)),
    ({"limit": str(ROWS)}, range(ROWS)),
    ({"limit": "999999999999999999"}, range(ROWS)),
    ({"offset": "0"}, range(ROWS)),
    ({"offset": "29"}, range(29, ROWS)),
    ({"offset": "30"}, range(0)),
    ({"offset": "999999999999999999", "limit": "999999999999999999"}, range(0)),
    ({"limit": "10", "offset": "4"}, range(4, 14)),  # over the edge of a segment
])  # fmt: skip
def test_limit_and_offset_cut_a_page(api: Sidecar, parameters: dict[str, str], numbers: range) -> None:
    body = fetch(api, **parameters)
    assert body["data"] == rows(*numbers)
    assert body["total_count"] == ROWS


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize("value", ["-1", "", "1.5", "ten", "1e3", "0x10", " 1", "١", "1000000000000000000", "%00"])
def test_limit_and_offset_take_whole_numbers_from_0_on(api: Sidecar, name: str, value: str) -> None:
    assert refused(api, f"{name}={value}") == f"Parameter '{name}' does not parse. It takes a whole number from 0 on."


def test_a_parameter_is_given_once(api: Sidecar) -> None:
    assert refused(api, "limit=1&limit=1").startswith("Parameter 'limit' is given twice.")


def test_pages_follow_each_other_by_after(api: Sidecar) -> None:
    got: list[Any] = []
    after: dict[str, str] = {}
    while True:
        body = fetch(api, limit="7", **after)
        got += body["data"]
        if body["next"] is None:
            break
        after = {"after": body["next"]}
    assert got == rows(*range(ROWS))


def test_the_last_page_and_an_empty_one_have_no_next(api: Sidecar) -> None:
    for parameters in ({"limit": "30"}, {"limit": "1", "offset": "29"}, {"limit": "0"}, {"offset": "40"}, {}):
        assert fetch(api, **parameters)["next"] is None


@pytest.mark.parametrize("token", ["", "x", "AAAA", "AAAAAAAAAAEAAAAAAAAAAQ", "ö", "A" * 32, "A" * 5000])
def test_after_takes_a_next_and_nothing_else(api: Sidecar, token: str) -> None:
    answer = api.client.get("/fetch-data", params={"after": token})
    assert answer.status_code == (410 if token == "A" * 32 else 400)  # that is generation 0
    assert "`after`" in answer.json()["message"] or "'after'" in answer.json()["message"]


def test_after_contradicts_offset_and_streams(api: Sidecar) -> None:
    token = fetch(api, limit="1")["next"]
    assert "'after' and 'offset' contradict" in refused(api, f"after={token}&offset=1")
    assert "'after' and 'stream' contradict" in refused(api, f"after={token}&stream=true")
    assert api.client.get(f"/fetch-data?after={token}&stream=false").status_code == 200


# -- everything but the rows


def test_metadata_only_gives_columns_with_types_and_no_rows(api: Sidecar) -> None:
    body = fetch(api, metadata_only="true")
    assert (body["count"], body["data"], body["total_count"], body["next"]) == (0, [], ROWS, None)
    assert body["columns"][8] == {
        "name": "total_price", "type": "decimal(12,2)", "kind": "decimal", "nullable": False, "key": 0,
    }  # fmt: skip
    assert body["size"] > 0
    assert body["generation"] == 1


@pytest.mark.parametrize("name", ["metadata_only", "refresh", "stream"])
@pytest.mark.parametrize("value", ["", "yes", "2", "tru", "true,true"])
def test_flags_take_true_or_false(api: Sidecar, name: str, value: str) -> None:
    assert refused(api, f"{name}={value}") == f"Parameter '{name}' does not parse. It takes true or false."


# -- conditional requests


def test_each_query_has_a_tag_of_its_own_and_what_is_ignored_has_no_part_in_it(api: Sidecar) -> None:
    tags = [api.client.get(f"/fetch-data?{query}").headers["etag"] for query in
            ("", "limit=3", "limit=4", "limit=3&offset=1", "metadata_only=true")]  # fmt: skip
    assert len(set(tags)) == len(tags)
    assert api.client.get("/fetch-data?_=17&limit=3&_t=4").headers["etag"] == tags[1]
    plain = api.client.get("/fetch-data", headers={"Accept-Encoding": "identity"})
    assert plain.headers["etag"] != tags[0]


def test_a_page_is_304_while_it_says_the_same(api: Sidecar) -> None:
    tag = api.client.get("/fetch-data?limit=3").headers["etag"]
    assert api.client.get("/fetch-data?limit=3", headers={"If-None-Match": f"W/{tag}"}).status_code == 304
    assert api.client.get("/fetch-data?limit=4", headers={"If-None-Match": tag}).status_code == 200


# -- compression


@pytest.mark.parametrize("query", ["", "?limit=7&offset=3"])
def test_bodies_come_gzipped_where_the_client_takes_it(api: Sidecar, query: str) -> None:
    plain = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    for accepted in ("gzip", "br, GZIP;q=0.5", "*"):
        zipped = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": accepted})
        assert zipped.headers["content-encoding"] == "gzip"
        assert zipped.content == plain.content
        assert int(zipped.headers["content-length"]) < len(plain.content)
    for refused in ("gzip;q=0", "br", "", "*;q=0", "gzip;q=x"):
        answer = api.client.get(f"/fetch-data{query}", headers={"Accept-Encoding": refused})
        assert "content-encoding" not in answer.headers
    assert "Accept-Encoding" in plain.headers["vary"]


# -- both ways to an answer


def test_the_short_cut_and_the_usual_way_give_the_same_answer(api: Sidecar) -> None:
    for query in ("", "?limit=3", "?metadata_only=true", "?limit=x", "?offset=29"):
        direct, usual = api.client.get(f"/fetch-data{query}"), _closing(api, f"/fetch-data{query}")
        assert usual.status_code == direct.status_code
        assert usual.content == direct.content
        kept = {name: value for name, value in usual.headers.items() if name not in ("connection", "date")}
        assert kept == {name: value for name, value in direct.headers.items() if name != "date"}


def _closing(api: Sidecar, path: str) -> httpx.Response:
    return api.client.get(path, headers={"Connection": "close"})
