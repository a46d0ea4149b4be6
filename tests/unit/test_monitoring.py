"""Metrics of every process, and what is made from their definitions: docs, alert rules, the Grafana dashboard."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from cache_factory import cache_in, publish
from paths import ROOT
from prometheus_client.parser import text_string_to_metric_families
from sidecar_process import sync
from starlette.requests import Request

from api.routes.metrics import Metrics
from cache.access.api_keys import ApiKey, digest
from cache.errors import SettingsInvalid, Trouble
from cache.monitoring import cache_metrics
from cache.monitoring import metric_families as families
from cache.monitoring.cache_metrics import Exposition
from cache.monitoring.metric_families import FAMILIES, PREFIX
from cache.monitoring.metrics_server import serve_metrics
from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.store import Cache
from dashboard.auth.identity import Identities
from dashboard.auth.signin import SignIn
from dashboard.web.metrics import WRONG_KEYS, MetricsEndpoint
from lab.promtool import PROMTOOL

RULES = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana/dashboard.json"
PAGE = ROOT / "docs/monitoring.md"
BROKEN = Trouble(code="x", message="It broke.", advice="Mend it.")
KEY = "a-key-for-metrics-0123456789"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    with closing(cache_in(tmp_path)) as cache:
        yield cache


def samples(text: bytes) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and labels."""
    read: Any = text_string_to_metric_families(text.decode())
    return {(s.name, tuple(s.labels.values())): s.value for family in read for s in family.samples}


def promtool(*arguments: str, input: bytes | None = None) -> str:
    assert PROMTOOL.exists(), "promtool is missing: run make install"
    done = subprocess.run([PROMTOOL, *arguments], cwd=RULES, input=input, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (done.stdout + done.stderr).decode()


# -- what the processes say


def test_promtool_finds_nothing_to_correct(cache: Cache) -> None:
    publish(cache, 3)
    metrics = Metrics(cache)
    metrics.record({"method": "GET", "path": "/status"}, 200, 5, 0)
    assert promtool("check", "metrics", input=Exposition(cache, metrics).text()) == ""


def test_every_metric_is_a_defined_one(cache: Cache) -> None:
    publish(cache, 3)
    with sync(cache, 3):
        pass
    metrics = Metrics(cache)
    metrics.record({"method": "GET", "path": "/status"}, 200, 5, 0)
    collected = {name for name, _ in samples(Exposition(cache, metrics).text())}
    ours = {name for name in collected if not name.startswith("process_")}
    defined = {series for family in FAMILIES for series in family.series}
    created = {name for name in ours if name.endswith("_created")}
    assert ours - created <= defined
    needs_more = {families.NEXT_SYNC.name} | {family.name for family in FAMILIES if "check" in family.short}
    assert defined - ours <= needs_more | {families.READING_CONFIRMED.name}
    assert all(name.startswith(PREFIX) for name in ours)


def test_syncs_are_counted_from_the_start_of_the_process(cache: Cache) -> None:
    with sync(cache, 3):
        pass
    exposition = Exposition(cache)
    counts = {result: samples(exposition.text())[families.SYNCS.name, (result,)] for result in cache_metrics.RESULTS}
    assert counts == dict.fromkeys(("published", "unchanged", "unverified", "failed"), 0)
    for error in (None, BROKEN, BROKEN):
        with sync(cache, error=error):
            pass
        exposition.text()
    found = samples(exposition.text())
    assert [found[families.SYNCS.name, (result,)] for result in ("unchanged", "failed")] == [1, 2]


def test_the_last_success_is_known_after_many_failures(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_metrics, "RECENT", 2)
    with sync(cache, 3):
        pass
    succeeded = cache.runs.recent(1)[0].finished_at
    for _ in range(3):
        with sync(cache, error=BROKEN):
            pass
    assert succeeded
    assert samples(Exposition(cache).text())[families.LAST_SUCCESS.name, ()] == succeeded.timestamp()


# -- the worker


def test_a_worker_serves_its_metrics_and_nothing_else(cache: Cache) -> None:
    publish(cache, 3)
    with serve_metrics(cache, "127.0.0.1", 0) as listener:
        host, port = listener.getsockname()
        answer = httpx2.get(f"http://{host}:{port}/metrics")
        assert httpx2.get(f"http://{host}:{port}/").status_code == 404
        with pytest.raises(SettingsInvalid, match=f"METRICS_HOST=127.0.0.1 METRICS_PORT={port} is used by another"):
            serve_metrics(cache, "127.0.0.1", port).__enter__()
    assert samples(answer.content)[families.SNAPSHOT_ROWS.name, ()] == 3
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(f"http://{host}:{port}/metrics")


# -- the dashboard


def asked(cache: Cache, keys: Sequence[str | None], **settings: Any) -> list[httpx2.Response]:
    """What the dashboard answers to requests with these keys, one after the other, behind its sign-in."""
    loaded = Settings.load(**settings)
    identities = Identities(loaded, cache.documents, "s" * 64)
    endpoint = MetricsEndpoint(cache, loaded)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await (await endpoint.get(Request(scope)))(scope, receive, send)

    async def get() -> list[httpx2.Response]:
        transport = httpx2.ASGITransport(SignIn(app, identities, loaded))
        async with httpx2.AsyncClient(transport=transport, base_url="http://dashboard") as client:
            headers = [{"Authorization": f"Bearer {key}"} if key is not None else {} for key in keys]
            return [await client.get("/metrics", headers=sent) for sent in headers]

    return asyncio.run(get())


@pytest.mark.parametrize("password", [None, "correct horse battery"])
def test_the_dashboard_wants_a_key_that_may_read(cache: Cache, password: str | None) -> None:
    publish(cache, 3)
    for name, scopes, days in (("reads", ["read"], 1), ("asks", ["refresh"], 1), ("old", ["read"], -1)):
        ends = now() + timedelta(days=days)
        key = ApiKey.model_validate(
            {"name": name, "digest": digest(name), "scopes": scopes, "created_at": now(), "expires_at": ends}
        )
        cache.documents.change(API_KEYS, lambda keys, key=key: keys.add(key))  # type: ignore[misc]
    settings = {"dashboard_password": password} if password else {}
    answers = asked(cache, [KEY, "reads", "asks", "old", "wrong", "", None], orders_api_key=KEY, **settings)
    assert [answer.status_code for answer in answers] == [200, 200, 401, 401, 401, 401, 401]
    assert samples(answers[0].content)[families.SNAPSHOT_ROWS.name, ()] == 3
    assert answers[-1].headers["www-authenticate"] == "Bearer"


def test_the_dashboard_takes_the_key_that_the_api_made(cache: Cache, tmp_path: Path) -> None:
    assert [answer.status_code for answer in asked(cache, ["", KEY], data_dir=tmp_path)] == [401, 401]
    (tmp_path / "api_key").write_text(f"{KEY}\n")
    assert [answer.status_code for answer in asked(cache, [KEY], data_dir=tmp_path)] == [200]


def test_who_guesses_keys_at_the_dashboard_is_stopped(cache: Cache) -> None:
    answers = asked(cache, ["wrong"] * WRONG_KEYS.amount + [KEY], orders_api_key=KEY)
    assert [answer.status_code for answer in answers] == [401] * WRONG_KEYS.amount + [429]


# -- what is made from the definitions


@pytest.mark.slow
def test_prometheus_takes_the_example_and_the_rules_pass_their_tests() -> None:
    promtool("check", "config", "--syntax-only", "prometheus.yml")
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts_test.yml")


def test_each_rule_has_a_test_in_which_it_fires_and_one_in_which_not() -> None:
    (group,) = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    names = sorted(rule["alert"] for rule in group["rules"])
    for test in yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]:
        fires = test["name"] == "all is wrong"
        assert sorted(case["alertname"] for case in test["alert_rule_test"]) == names
        assert all(bool(case["exp_alerts"]) is fires for case in test["alert_rule_test"])


@pytest.mark.parametrize("file", [RULES / "alerts.yml", RULES / "alerts_test.yml", GRAFANA], ids=lambda file: file.name)
def test_rules_and_dashboard_name_metrics_and_labels_that_exist(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace('\\"', '"')
    series = {series: family for family in FAMILIES for series in family.series}
    named = re.findall(rf"({PREFIX}\w+)(?:\{{([^}}]*)\}})?", text)
    assert named
    for name, labels in named:
        assert name in series, name
        assert set(re.findall(r"(\w+)=", labels)) - {"job"} <= set(series[name].labels), (name, labels)


def test_the_grafana_dashboard_has_a_panel_for_each_metric() -> None:
    dashboard = json.loads(GRAFANA.read_text(encoding="utf-8"))
    expressions = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    left = {family.short for family in FAMILIES if family.name not in expressions}
    assert left <= {  # others say the same, or it is for alerts
        *("fast_path_failures_total", "snapshot_generation", "last_sync_timestamp_seconds", "checks_checked_orders"),
        "reading_confirmed",
    }
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    places = {(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]}
    assert len(places) == len(dashboard["panels"])


def test_the_page_lists_every_metric() -> None:
    listed = re.findall(rf"^\| `{PREFIX}.*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [
        f"| `{family.name}` | {family.kind} | {', '.join(f'`{label}`' for label in family.labels) or '–'} "
        f"| {family.description} |"
        for family in FAMILIES
    ]
