"""A masked key and a viewer try everything over tables with 200 planted personal values, and obtain none of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlencode

import httpx2
import pytest
from cache_factory import publish
from long_cases import soak_but
from page_run import backend_of, captions, run
from planted import SECRET, VALUES, PlantedTable, guesses, planted_in, planted_table
from schema_corpus import corpus
from sidecar_process import Sidecar, sidecar

from api.contract.operations import OPERATIONS
from api.contract.queries.feed_query import read_feed_query
from cache.access.api_keys import ApiKey, digest
from cache.access.feeds import Feed
from cache.access.masking import MaskRules
from cache.analytics.dimensions.catalogue import DIMENSIONS, FILTERS
from cache.analytics.metrics import METRICS
from cache.errors import ColumnMasked
from cache.export.row_format import FileFormat
from cache.query.filters import Condition
from cache.query.operators import OPERATORS
from cache.settings import Settings
from cache.storage.documents import API_KEYS, SETUP
from cache.storage.records import now
from checks.generation import check_generation
from dashboard.auth.access import Visitor
from dashboard.auth.identity import Identity
from dashboard.pages import PAGES

pytestmark = pytest.mark.slow

SCHEMAS = {schema.name: schema for schema in corpus()}
STYLES = {name: number for number, name in enumerate(SCHEMAS)}
SHORT = ("shopify_rest",)
MASKED_KEY = "key-of-the-agency"
FORMATS = get_args(FileFormat)
VARIANTS = ("", "parse_json=false", "integers=string", "stream=true", "metadata_only=true", "limit=2&offset=1")
MALFORMED = (
    *("/fetch-data?limit=x", "/fetch-data?after=AAAA", "/fetch-data?after=AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT"),
    *("/fetch-data?sort=nothing", "/fetch-data?fields=nothing", "/fetch-data?facet=nothing", "/fetch-data?nothing=1"),
    *("/changes?since=x", "/changes?since=999999", "/figures?metric=nothing", "/figures?by=email", "/figures?email=x"),
    *("/figures/events?metric=customers&after=AAAA", "/tasks/none", "/nothing", "/fetch-data?format=csv&formulas=x"),
)


class Prober:
    """Sends requests, and keeps the planted values that the responses show, with the requests that got them."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client
        self.paths: set[str] = set()
        self.obtained: dict[str, set[int]] = {}

    def ask(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> httpx2.Response:
        """One request. What it sends itself is no find."""
        method = "POST" if "json" in more else "GET"
        if path.startswith("/events"):
            with self._client.stream(method, path, headers=headers) as stream:
                body = next(stream.iter_bytes())
                answer = httpx2.Response(stream.status_code, headers=stream.headers)
        else:
            answer = self._client.request(method, path, headers=headers, **more)
            body = answer.content
        self.paths.add(path.partition("?")[0].removeprefix("/v1"))
        found = (planted_in(body) | planted_in(repr(answer.headers))) - planted_in(path)
        if found:
            self.obtained[path] = found
        return answer

    def found(self) -> set[int]:
        """All planted values."""
        return set().union(*self.obtained.values())


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("planted")) as running:
        key = ApiKey(name="agency", digest=digest(MASKED_KEY), scopes=("read",), masked=True, created_at=now())
        running.cache.documents.change(API_KEYS, lambda clients: clients.add(key))
        time.sleep(0.6)
        yield running


def published(api: Sidecar, name: str) -> tuple[PlantedTable, int]:
    """The table in the cache, and the generation before its newest."""
    table = planted_table(SCHEMAS[name], STYLES[name])
    setup = {"columns": {"email": SECRET}, "timezone": SCHEMAS[name].truth.timezone}
    api.cache.documents.change(SETUP, lambda before: before.model_copy(update=setup))
    check = partial(check_generation, api.cache, Settings.load(data_dir=str(api.folder)))
    since = publish(api.cache, table.before, columns=table.columns, segments=1, check=check).generation
    publish(api.cache, table.after, columns=table.columns, segments=1, check=check)
    return table, since


def everything(table: PlantedTable, since: int, operators: Sequence[str], tries: Sequence[str]) -> Iterator[str]:
    """All requests but those that belong together."""
    for form in FORMATS:
        yield from (f"/fetch-data?format={form}&{variant}" for variant in VARIANTS[:3])
        yield f"/figures?format={form}&step=month&compare=before"
        yield f"/figures/events?metric=total_sales&format={form}"
    yield from (f"/fetch-data?{variant}" for variant in VARIANTS)
    for limit in (1, 1000):
        yield f"/changes?since={since}&limit={limit}"
    for column in table.columns:
        name = column.name
        yield f"/fetch-data?{urlencode({'fields': name})}"
        for guess in tries:
            yield from (f"/fetch-data?{urlencode({f'{name}__{operator}': guess})}" for operator in operators)
        yield from (f"/fetch-data?{urlencode({what: name})}" for what in ("sort", "facet"))
    for metric in METRICS:
        yield f"/figures?metric={metric}"
        yield f"/figures/events?metric={metric}"
    for dimension in DIMENSIONS:
        yield f"/figures?by={dimension}"
    for dimension in FILTERS:
        yield f"/figures?{urlencode({f'{dimension}__contains': guesses()[1]})}"
    yield from ("/figures/metrics", "/checks", "/status", "/metrics", "/health", "/ready", "/openapi.json", "/docs")
    yield from (
        "/demo",
        "/",
        "/events",
        "/v1/fetch-data",
        f"/v1/changes?since={since}",
        "/tasks/{id}",
        "/feeds/{token}",
    )
    yield from ("/feeds/{token}", *MALFORMED)


def some(requests: Iterable[str], step: int) -> Iterator[str]:
    """One of `step` requests, and the first one of each path."""
    paths: set[str] = set()
    for number, request in enumerate(requests):
        path = request.partition("?")[0]
        if path not in paths or number % step == 0:
            paths.add(path)
            yield request


@pytest.mark.parametrize("name", soak_but(SHORT, SCHEMAS))
def test_no_request_obtains_a_planted_value(api: Sidecar, name: str) -> None:
    table, since = published(api, name)
    cells = len(table.after) * len(table.planted)
    operators, tries = (("contains",), guesses()[1:2]) if name in SHORT else (tuple(OPERATORS), guesses())
    with httpx2.Client(base_url=api.url, headers={"X-API-Key": MASKED_KEY}, timeout=600) as client:
        own, masked = Prober(api.client), Prober(client)
        own.ask("/fetch-data")
        assert len(own.found()) >= min(VALUES, cells)  # they are there
        for path in some(everything(table, since, operators, tries), 25 if name in SHORT else 1):
            answer = masked.ask(path)
            assert answer.status_code not in (500, 502), (path, answer.text)
        for column in table.planted:
            asked = [{f"{column}__{operator}": guesses()[0]} for operator in operators]
            for parameters in (*asked, {"sort": column}, {"sort": f"-{column}"}, {"facet": column}):
                answer = masked.ask(f"/fetch-data?{urlencode(parameters)}")
                assert answer.status_code in (400, 403), parameters  # whether a guess is right stays unknown
        follow(masked, own, since)
        for address in fed(api):
            assert masked.ask(address).status_code == 200
    assert {operation.path for operation in OPERATIONS} - {"/refresh"} <= masked.paths
    assert masked.obtained == {}


def fed(api: Sidecar) -> list[str]:
    """Addresses of masked feeds, in every format."""
    asked = ("/fetch-data?", "/figures/events?metric=customers&")
    paths = [f"{path}format={form}" for path in asked for form in FORMATS]
    made = [
        Feed(name=f"f{i}", digest=digest(f"token-{i}"), path=path, query=query, created_at=now())
        for i, (path, query) in enumerate(map(read_feed_query, paths))
    ]
    api.cache.documents.change(API_KEYS, lambda keys: keys.model_copy(update={"feeds": tuple(made)}))
    time.sleep(0.6)
    return [f"/feeds/token-{i}" for i in range(len(made))]


def follow(masked: Prober, own: Prober, since: int) -> None:
    """Tokens and signed addresses, also those of a key that sees everything."""
    for path, rows in (("/fetch-data?limit=2", "data"), (f"/changes?since={since}&limit=2", "updated")):
        for _ in range(3):
            answer = masked.ask(path).json()
            assert isinstance(answer.get(rows), list) or answer["code"] == "no_key"
            if not answer.get("next"):
                break
            path = f"{path.partition('?')[0]}?limit=2&{'after' if rows == 'data' else 'since'}={answer['next']}"
    token = own.ask("/fetch-data?limit=2").json()["next"]
    etag = own.ask("/fetch-data").headers["etag"]
    masked.ask(f"/fetch-data?limit=2&after={token}")
    assert masked.ask("/fetch-data", {"If-None-Match": etag}).status_code == 200
    for path in ("/fetch-data?format=csv", f"/changes?since={since}", "/events", "/figures/events?metric=customers"):
        signed = masked.ask("/sign", json={"path": path}).json()
        if signed.get("code") != "no_key":
            assert masked.ask(signed["address"]).status_code == 200


@pytest.mark.parametrize("name", soak_but(SHORT, SCHEMAS))
def test_no_page_shows_a_viewer_a_planted_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    table = planted_table(SCHEMAS[name], STYLES[name])
    with backend_of(tmp_path, table.after, table.columns, checked=True) as backend:
        backend.cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"columns": {"email": SECRET}}))
        key, other = (next(iter(row.values())) or "" for row in table.after[:2])
        everywhere: dict[str, str | list[str]] = {"period": "all"}
        pages = [
            ("customers", everywhere),
            ("customers", {**everywhere, "show": "segments", "segment": "lapsed"}),
            ("orders", {**everywhere, "column": [column.name for column in table.columns]}),
            ("orders", {**everywhere, "order": key}),
            ("orders", {**everywhere, "q": guesses()[0]}),
            ("overview", {**everywhere, "explain": "customers"}),
        ]
        if name not in SHORT:
            pages += [(page, everywhere) for page in PAGES]
            pages += [("orders", {**everywhere, "q": guess}) for guess in guesses()[1:]]
            pages += [
                ("orders", {**everywhere, "order": other}),
                ("overview", {**everywhere, "explain": "total_sales"}),
            ]
        assert planted_in(content(run(backend, "orders", {"period": "all"})))  # an operator sees them
        monkeypatch.setattr(Visitor, "identity", lambda _: Identity("viewer", "viewer", "1"))
        obtained = {}
        for page, view in pages:
            shown = run(backend, page, view)
            assert [exception.message for exception in shown.exception] == []
            if found := planted_in(content(shown)) - planted_in(repr(view)):
                obtained[page, repr(view)] = found
            said = " ".join(text.value for text in shown.markdown)
            assert ("No order matches" in said) == ("q" in view)
        assert obtained == {}


def test_a_viewer_neither_groups_nor_filters_by_a_hidden_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, always = planted_table(SCHEMAS["shopify_rest"], 0), {"period": "all"}
    with backend_of(tmp_path, table.after, table.columns) as backend:

        def shown(page: str, **view: str) -> str:
            return content(run(backend, page, {**always, **view}))

        def counted(**view: str) -> str:
            return captions(run(backend, "orders", {**always, **view}))

        assert "Total sales by country" in shown("overview")
        assert counted(country="nowhere") != counted()
        monkeypatch.setattr(Visitor, "identity", lambda _: Identity("viewer", "viewer", "1"))
        pages = ("overview", "products", "customers")
        by_country = (shown("explore", by="country"), shown("what-changed", by="country", period="12m"))
        for viewed in (*map(shown, pages), *by_country):
            assert "Total sales by country" not in viewed
            assert "country_chip" not in viewed
        assert "a column behind it holds personal data: country, customer." in counted()
        assert counted(country="nowhere") == counted()  # whether a guess is right stays unknown
        orders = backend.orders.newest(1)
        masked = orders.masked(MaskRules.of(backend.settings).mask(orders.columns, orders.setup))
        guess = (Condition("country", "eq", "DE"),)
        asked: list[Callable[[], object]] = [
            partial(masked.values, "country"),
            partial(masked.groups, ("country",)),
            partial(masked.figures, None, guess),
            partial(masked.marks, None, guess),
            partial(masked.page, None, guess),
            partial(masked.page, None, guess, failing="total"),
        ]
        for ask in asked:
            with pytest.raises(ColumnMasked):
                ask()


def content(shown: Any) -> str:
    """All that a page sends to the browser."""
    pending, texts = list(shown._tree.children.values()), []
    while pending:
        node = pending.pop()
        pending += getattr(node, "children", {}).values()
        texts.append(f"{getattr(node, 'proto', '')}")
    return "".join(texts)
