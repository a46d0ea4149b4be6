"""`Link: rel="next"`: whoever follows it gets every row once, under whatever address the first page was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urljoin

import httpx2
import pytest
import requests
from cache_factory import publish
from sidecar_process import KEY, Sidecar, sidecar

from api.http.links import MAX_BYTES, next_link


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("links")) as running:
        publish(running.cache, 0)
        publish(running.cache, 20)
        yield running


def follow(api: Sidecar, path: str, **headers: str) -> list[httpx2.Response]:
    pages = [api.client.get(path, headers=headers)]
    address = str(pages[0].url)
    while link := requests.utils.parse_header_links(pages[-1].headers.get("link", "")):
        assert link[0]["rel"] == "next"
        address = urljoin(address, link[0]["url"])
        pages.append(api.client.get(address, headers=headers))
        assert pages[-1].status_code == 200
        assert len(pages) < 30
    return pages


@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        "/fetch-data?limit=6",
        "/fetch-data?limit=6&currency__in=EUR,USD&sort=-id",
        "/api/data?limit=6&offset=0&_=7&fields=id",
        "/fetch-data?limit=6&facet=currency&name__contains=%231",
    ],
)
def test_every_row_comes_once(api: Sidecar, path: str) -> None:
    pages = follow(api, path)
    ids = [row["id"] for page in pages for row in page.json()["data"]]
    assert sorted(ids) == list(range(1000, 1020))
    assert [len(page.json()["data"]) for page in pages] == [6, 6, 6, 2]


@pytest.mark.slow
def test_files_figures_and_changes_have_it_too(api: Sidecar) -> None:
    csv = follow(api, "/fetch-data?format=csv&limit=7&fields=id", **{"Accept-Encoding": "identity"})
    assert [len(page.text.splitlines()) for page in csv] == [8, 8, 7]
    for query in ("by=country&", "by=country&format=ndjson&"):
        assert len(follow(api, f"/figures?metric=orders&{query}limit=1")) == 3
    assert len(follow(api, f"{api.prefixed}/fetch-data?limit=6")) == 4
    changes = follow(api, "/changes?since=1&limit=8")
    assert sum(page.json()["count"] for page in changes) == 20
    assert [page.json()["more"] for page in changes] == [True] * (len(changes) - 1) + [False]


@pytest.mark.slow
def test_scripts_of_other_origins_may_read_it(api: Sidecar) -> None:
    answer = api.client.get("/fetch-data?limit=1", headers={"Origin": "https://shop.example"})
    assert "Link" in answer.headers["access-control-expose-headers"].split(", ")
    assert requests.get(f"{api.url}/fetch-data?limit=1", headers={"X-API-Key": KEY}, timeout=30).links["next"]


@pytest.mark.slow
def test_a_signed_address_has_none_since_the_next_page_is_not_signed(api: Sidecar) -> None:
    for path in ("/fetch-data?limit=6", "/figures?metric=orders&by=country&limit=1", "/changes?since=1&limit=8"):
        address = api.client.post("/sign", json={"path": path}).json()["address"]
        signed, own = httpx2.get(api.url + address), api.client.get(address)
        assert signed.status_code == 200
        assert "link" not in signed.headers
        assert "link" in own.headers
        following = f"{address}&after={signed.json()['next']}"
        assert httpx2.get(api.url + following).status_code == 401  # `next` of the body needs a signature as well


@pytest.mark.slow
def test_no_page_is_shown_that_was_not_signed_for(api: Sidecar) -> None:
    token = api.client.get("/fetch-data?limit=6").json()["next"]
    address = api.client.post("/sign", json={"path": f"/fetch-data?limit=6&after={token}"}).json()["address"]
    assert [row["id"] for row in httpx2.get(api.url + address).json()["data"]] == list(range(1006, 1012))


def test_the_query_is_repeated_as_a_header_can_carry_it() -> None:
    ((name, value),) = next_link(b'name=\xc3\xa9<>"&%61fter=x&offset=3&&limit=2', "after", "T", ["offset"])
    assert (name, value) == (b"link", b'<?name=%C3%A9%3C%3E%22&limit=2&after=T>; rel="next"')
    assert next_link(b"x" * MAX_BYTES, "after", "T")
    assert next_link(b"x" * (MAX_BYTES + 1), "after", "T") == []
