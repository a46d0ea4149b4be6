"""GET /openapi.json describes all that is served; tests/soak/test_api_described.py holds the running API to it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
from cache_factory import COLUMNS, publish
from jsonschema import Draft202012Validator
from paths import ROOT
from sidecar_process import KEY, Sidecar, answering, sidecar, sync, worker
from starlette.applications import Starlette
from starlette.routing import Route

from api.app import create_app
from api.contract.error_codes import CODES
from api.contract.queries.fetch_query import PARAMETERS
from api.contract.response_models import PHASES
from api.documentation.openapi import document
from api.routes.cache_watcher import CacheWatcher
from cache.errors import OrdersError, Trouble
from cache.query.operators import OPERATORS
from cache.settings import Settings
from cache.storage.store import Cache

FIXED = {
    "Rows": {"status", "count", "last_updated", "data"},
    "RefreshResult": {"status", "message"},
    "Status": {"api_status", "cache_exists", "cache_age_minutes", "update_in_progress", "timestamp"},
    "Health": {"status", "timestamp"},
    "Error": {"status", "message"},
}
CHOICES = {
    ("Rows", "status"): "success",
    ("Status", "api_status"): "online",
    ("Health", "status"): "healthy",
}
NEW = {
    "limit",
    "offset",
    "after",
    "sort",
    "fields",
    "facet",
    "metadata_only",
    "parse_json",
    "integers",
    "wait",
    "format",
    "refresh",
    "stream",
}
STATUSES = {  # that the contract names
    "/fetch-data": {"200", "304", "400", "401", "410", "429", "503", "504"},
    "/refresh": {"202", "401", "429", "503"},
    "/tasks/{id}": {"200", "401", "404"},
    "/changes": {"200", "304", "400", "401", "410"},
    "/figures": {"200", "304", "400", "401", "403", "410"},
    "/figures/events": {"200", "304", "400", "401", "403", "410"},
    "/ready": {"200", "503"},
}


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api"), REFRESH_MIN_SECONDS="0", FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache, 20)
        publish(running.cache, 30)
        yield running


def routes(cache: Cache) -> list[Route]:
    settings = Settings.load()
    app: Any = create_app(cache, settings, KEY, CacheWatcher(cache))
    while not isinstance(app, Starlette):
        app = app._app

    async def run() -> list[Route]:
        async with app.router.lifespan_context(app):
            return [route for route in app.routes if isinstance(route, Route)]

    return asyncio.run(run())


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(method, path): each for path, methods in described["paths"].items() for method, each in methods.items()}


def test_everything_served_is_described_and_nothing_else(cache: Cache) -> None:
    served = {(method.lower(), route.path) for route in routes(cache) for method in (route.methods or set()) - {"HEAD"}}
    assert served == set(operations(document())) | {("get", "/")}  # which only redirects


def test_the_parameters_are_those_that_requests_are_parsed_by() -> None:
    described = operations(document())["get", "/fetch-data"]["parameters"]
    names = [each["name"] for each in described if each["in"] == "query"]
    assert names == [*(parameter.name for parameter in PARAMETERS), "filters"]
    filters = described[-1]
    assert (filters["style"], filters["explode"], filters["schema"]["type"]) == ("form", True, "object")
    for op in OPERATORS:
        assert f"`{op}`" in filters["description"]


@pytest.mark.parametrize("name", FIXED)
def test_the_fixed_keys_of_the_contract_are_in_every_body(name: str) -> None:
    assert set(document()["components"]["schemas"][name]["required"]) >= FIXED[name]


def test_the_fixed_values_of_the_contract_are_those_described() -> None:
    described = document()["components"]["schemas"]
    for (name, key), value in CHOICES.items():
        assert described[name]["properties"][key]["const"] == value
    assert described["RefreshResult"]["properties"]["status"]["enum"] == ["triggered", "in_progress"]
    assert described["Error"]["properties"]["status"]["enum"] == ["error", "pending"]
    kinds = [each["properties"]["type"]["const"] for each in described["StreamEvent"]["oneOf"]]
    assert {"cached", "updated", "error", "done"} <= set(kinds)


def test_the_parameters_of_the_contract_are_described() -> None:
    assert {parameter.name for parameter in PARAMETERS} >= NEW


@pytest.mark.parametrize("path", STATUSES)
def test_the_statuses_of_the_contract_are_described(path: str) -> None:
    (operation,) = document()["paths"][path].values()
    assert set(operation["responses"]) >= STATUSES[path]


@pytest.mark.parametrize("columns", [(), COLUMNS])
def test_every_example_is_one_by_its_own_schema(columns: tuple[Any, ...]) -> None:
    described = document(columns)
    tried = 0
    for schema in described["components"]["schemas"].values():
        validator = Draft202012Validator({**schema, "components": described["components"]})
        for example in schema["examples"]:
            validator.validate(example)
            tried += 1
    for operation in operations(described).values():
        for parameter in operation.get("parameters", ()):
            Draft202012Validator(parameter["schema"]).validate(parameter["example"])
        for answer in operation["responses"].values():
            for media in answer.get("content", {}).values():
                for example in media.get("examples", {}).values():
                    validator = Draft202012Validator({**media["schema"], "components": described["components"]})
                    validator.validate(example["value"])
                    tried += 1
    assert tried > 50


def test_every_reference_resolves_and_every_operation_id_is_unique() -> None:
    described = document(COLUMNS)
    found = re.findall(r"'\$ref': '#/components/(\w+)/([\w-]+)'", str(described))
    assert found
    assert [each for each in found if each[1] not in described["components"][each[0]]] == []
    names = [operation["operationId"] for operation in operations(described).values()]
    assert len(names) == len(set(names))
    used = {name for kind, name in found if kind == "responses"}
    assert used == set(described["components"]["responses"])


def parts(schema: Any) -> Iterator[dict[str, Any]]:
    """All schemas in a document, or in a part of it."""
    if isinstance(schema, list):
        for each in schema:
            yield from parts(each)
    if isinstance(schema, dict):
        if "type" in schema:
            yield schema
        for name, each in schema.items():
            if name not in ("example", "examples"):
                yield from parts(each)


@pytest.mark.parametrize("columns", [(), COLUMNS])
def test_every_array_has_items_and_every_part_a_right_example(columns: tuple[Any, ...]) -> None:
    """Generators of clients make types of them, and fail without."""
    described = document(columns)
    arrays = tried = 0
    for schema in parts(described):
        if schema["type"] == "array" or "array" in schema["type"]:
            assert "items" in schema, schema
            arrays += 1
        for example in schema.get("examples", ()):
            Draft202012Validator({**schema, "components": described["components"]}).validate(example)
            tried += 1
    assert (arrays > 5, tried > 30) == (True, True)


def test_the_events_of_a_stream_can_be_told_apart() -> None:
    for name in ("StreamEvent", "FeedEvent"):
        described = document()["components"]
        one_of = described["schemas"][name]["oneOf"]
        for event in one_of:
            assert "type" in event["required"]
            validators = [Draft202012Validator({**each, "components": described}) for each in one_of]
            assert sum(validator.is_valid(event["examples"][0]) for validator in validators) == 1


@pytest.mark.slow
def test_who_sends_the_described_defaults_gets_the_same_answer(api: Sidecar) -> None:
    """A generated client sends them all, also with the other parameters."""
    others = {"/changes": {"since": "1"}, "/figures/events": {"metric": "orders"}, "/tasks/{id}": None}
    tried = 0
    for (method, path), operation in operations(document(COLUMNS)).items():
        defaults = {
            each["name"]: json.dumps(each["schema"]["default"]).strip('"')
            for each in operation.get("parameters", ())
            if "default" in each["schema"]
        }
        if method == "get" and defaults:
            given = others.get(path, {})
            one, other = (api.client.get(path, params={**given, **more}) for more in ({}, defaults))
            assert (one.status_code, other.status_code) == (200, 200), other.text
            assert one.json()["data"] == other.json()["data"] if "data" in one.json() else True
            tried += len(defaults)
    page = api.client.get("/fetch-data", params={"limit": 2}).json()
    assert api.client.get("/fetch-data", params={"limit": 2, "offset": 0, "after": page["next"]}).status_code == 200
    assert tried > 10


@pytest.mark.parametrize("prefixed", [False, True])
def test_the_servers_in_the_description_are_those_that_answer(api: Sidecar, prefixed: bool) -> None:
    address = f"{api.prefixed if prefixed else api.url}/openapi.json"
    servers = [server["url"] for server in api.client.get(address).json()["servers"]]
    assert not [url for url in servers if url.endswith("/")]
    for url in servers:
        assert api.client.get(urljoin(address, url).rstrip("/") + "/fetch-data?limit=1").status_code == 200


def test_every_error_of_a_reader_has_a_status() -> None:
    """What only a sync or a command can raise has none."""
    elsewhere = {
        "cache_error",
        "settings_invalid",
        "publish_conflict",
        "sync_lost",
        "sync_running",
        "bad_key",
        "bad_feed",
        "not_saved",
        "backup_invalid",
        "publish_unknown",
        "cache_not_empty",
        "error",
    }
    raised = {
        error.code for error in _family(OrdersError) if error.__module__ in ("cache.errors", "api.contract.errors")
    } - elsewhere
    assert raised <= set(CODES)


def test_the_document_on_the_api_has_a_line_for_every_operation() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for method, path in set(operations(document())) - {("get", "/")}:
        assert re.search(rf"^\| `{method.upper()} {re.escape(path)}[?`]", text, re.MULTILINE), path


def _family(error: type[OrdersError]) -> Iterator[type[OrdersError]]:
    yield error
    for below in error.__subclasses__():
        yield from _family(below)


def test_who_has_the_description_is_not_sent_it_again(api: Sidecar) -> None:
    plain, packed = (
        api.client.get("/openapi.json", headers={"Accept-Encoding": coding}) for coding in ("identity", "gzip")
    )
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.json() == plain.json()
    tags = [answer.headers["etag"] for answer in (plain, packed)]
    assert tags[0] != tags[1]
    for coding, tag in zip(("identity", "gzip"), tags, strict=True):
        again = api.client.get("/openapi.json", headers={"Accept-Encoding": coding, "If-None-Match": tag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert httpx2.get(f"{api.url}/openapi.json", headers={"If-None-Match": tags[0]}).status_code == 200  # without a key


@pytest.mark.not_on("sub-path", why="the description names the path there")
def test_the_columns_are_told_to_those_who_have_a_key(api: Sidecar) -> None:
    anyone = httpx2.get(f"{api.url}/openapi.json")
    assert anyone.json() == document()
    assert "financial_status__in" not in anyone.text
    told = api.client.get("/openapi.json").json()
    assert told == document(COLUMNS)
    (filters,) = [each for each in told["paths"]["/fetch-data"]["get"]["parameters"] if each["name"] == "filters"]
    assert filters["schema"]["properties"]["total_price__gte"]["type"] == "string"
    assert filters["schema"]["additionalProperties"] is False
    assert told["components"]["schemas"]["Row"]["properties"]["cancelled_at"]["type"] == ["string", "null"]


def test_a_wrong_key_is_refused_there_too(api: Sidecar) -> None:
    assert httpx2.get(f"{api.url}/openapi.json", headers={"X-API-Key": "wrong"}).status_code == 401


def test_columns_that_a_key_may_not_see_take_no_filter() -> None:
    described = document(COLUMNS, {"email"})
    (filters,) = [p for p in described["paths"]["/fetch-data"]["get"]["parameters"] if p["name"] == "filters"]
    assert "name__contains" in filters["schema"]["properties"]
    assert not [name for name in filters["schema"]["properties"] if name.startswith("email")]
    assert "email" in described["components"]["schemas"]["Row"]["properties"]


@pytest.mark.parametrize(
    ("name", "ask"),
    [
        ("Rows", "/fetch-data?metadata_only=true&facet=currency&refresh=true"),
        ("Rows", "/fetch-data?limit=2"),
        ("Changes", "/changes?since=1"),
        ("Figures", "/figures?by=country&step=month&period=12m&compare=year"),
        ("FigureEvents", "/figures/events?metric=average_order_value"),
        ("FigureMetrics", "/figures/metrics"),
        ("Status", "/status"),
        ("Health", "/health"),
        ("Ready", "/ready"),
    ],
)
def test_no_key_of_an_answer_is_left_out(api: Sidecar, name: str, ask: str) -> None:
    described = document(COLUMNS)["components"]["schemas"][name]
    trouble = Trouble(code="unreachable", message="phpMyAdmin did not answer.", advice="Check PHPMYADMIN_URL.")
    with worker(api.cache):
        with sync(api.cache, error=trouble):
            pass
        answer = api.client.get(ask)
    assert answer.status_code == 200
    assert set(answer.json()) <= set(described["properties"])
    assert set(answer.json()) >= set(described["required"])


def test_every_event_of_a_refresh_is_described(api: Sidecar) -> None:
    described = document()
    event = {**described["components"]["schemas"]["StreamEvent"], "components": described["components"]}
    with answering(api.cache):
        lines = api.client.get("/fetch-data?stream=true&refresh=true").text.splitlines()
    found = [httpx2.Response(200, text=line[6:]).json() for line in lines if line.startswith("data: ")]
    for each in found:
        Draft202012Validator(event).validate(each)
    assert [each["type"] for each in found if each["type"] != "progress"] == ["cached", "updated", "done"]


def test_errors_in_the_document_on_the_api_have_real_messages() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    found = re.findall(r'"message": "([^"]+)", "code": "(\w+)", "request_id"', text)
    assert {code for _, code in found} >= {"parameter_invalid", "unauthorized"}
    for message, code in found:
        assert message == CODES[code].message


def test_the_document_on_the_api_says_when_every_error_occurs() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for code in CODES.values():
        assert f"| {code.status} | `{code.name}` | {code.occurs} |" in text


@pytest.mark.parametrize(
    ("heading", "name"),
    [
        ("GET /fetch-data", "Rows"),
        ("GET /changes", "Changes"),
        ("GET /figures", "Figures"),
        ("GET /figures/events", "FigureEvents"),
        ("GET /figures/metrics", "FigureMetrics"),
        ("POST /refresh", "RefreshResult"),
        ("GET /tasks/{id}", "Task"),
        ("GET /status", "Status"),
        ("POST /sign", "SignedUrl"),
    ],
)
def test_bodies_in_the_document_on_the_api_are_as_described(heading: str, name: str) -> None:
    _, _, section = (ROOT / "docs" / "api.md").read_text(encoding="utf-8").partition(f"\n### {heading}\n")
    body = json.loads(section.partition("```json\n")[2].partition("```")[0])
    described = document()
    schema = {**described["components"]["schemas"][name], "components": described["components"]}
    Draft202012Validator(schema).validate(body)
    assert set(body) <= set(schema["properties"])


def test_the_document_on_the_api_lists_every_phase_of_a_sync() -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    assert f"`phase` is {', '.join(f'`{phase}`' for phase in PHASES[:-1])} or `{PHASES[-1]}`" in text


def test_the_stream_that_never_ends_begins_as_described(api: Sidecar) -> None:
    described = document()
    (content,) = described["paths"]["/events"]["get"]["responses"]["200"]["content"]
    with api.client.stream("GET", "/events") as answer:
        assert answer.headers["content-type"].startswith(content)
        line = next(line for line in answer.iter_lines() if line.startswith("data: "))
    event = described["components"]["schemas"]["FeedEvent"]
    Draft202012Validator({**event, "components": described["components"]}).validate(
        httpx2.Response(200, text=line[6:]).json()
    )


def test_a_table_without_a_key_is_described_too() -> None:
    columns = [column.model_copy(update={"key": 0}) for column in COLUMNS if column.name != "id"]
    example = document(columns)["components"]["schemas"]["Changes"]["properties"]["deleted"]["examples"]
    assert [list(row) for row in example[0]] == [["name"]]
