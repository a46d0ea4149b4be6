"""`GET /figures` gives the figures that were worked out by hand for each schema of the corpus, and their events."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cache_factory import publish
from schema_corpus import Figures, Schema, corpus
from schema_orders import as_copied, columns_of, in_key_order
from sidecar_process import Sidecar, sidecar

from cache.analytics.metrics import METRICS
from cache.storage.documents import SETUP

pytestmark = pytest.mark.slow

SCHEMAS = corpus()
COMPOSED = ("total_sales", "average_order_value")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("api")) as running:
        yield running


def query(figures: Figures) -> dict[str, str]:
    """The parameters that ask for figures."""
    parameters = {"currency": figures.currency} if figures.currency else {}
    if figures.period == "all":
        return parameters
    first, last = figures.period
    return {**parameters, "period": "custom", "from": first.isoformat(), "to": last.isoformat()}


def added(events: list[dict[str, Any]], name: str) -> Decimal:
    return sum((Decimal(event[name]) for event in events if event.get(name) is not None), Decimal(0))


@pytest.mark.parametrize("schema", SCHEMAS, ids=[schema.name for schema in SCHEMAS])
def test_figures_are_those_worked_out_by_hand(api: Sidecar, schema: Schema) -> None:
    truth, columns = schema.truth, columns_of(schema)
    zones = {"timezone": truth.timezone, "source_timezone": truth.source_timezone}
    api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update=zones))
    publish(api.cache, as_copied(in_key_order(schema), columns), columns=columns, segments=1)

    for wanted in truth.figures:
        stated = {name: value for name, value in wanted.model_dump(exclude_none=True).items() if name in METRICS}
        response = api.client.get("/figures", params={"metric": ",".join(stated), **query(wanted)})
        assert response.status_code == 200, response.text
        totals = response.json()["totals"]
        exact = {name: value for name, value in stated.items() if isinstance(value, Decimal)}
        assert {name: Decimal(totals[name]).quantize(value) for name, value in exact.items()} == exact, wanted
        assert {name: totals[name] for name in stated.keys() - exact} == {
            name: stated[name] for name in stated.keys() - exact
        }
        for name in [name for name in COMPOSED if name in stated]:
            listed = api.client.get("/figures/events", params={"metric": name, **query(wanted)}).json()
            assert listed["total"] == totals[name], (name, wanted)
            assert added(listed["data"], "amount") == Decimal(listed["amount"]), (name, wanted)
            assert added(listed["data"], "divisor") == (listed["divisor"] or 0), (name, wanted)
        assert response.json()["reading"] == truth.reading
        assert response.json()["currency"] == (wanted.currency or None)
    listed = {metric["id"]: metric for metric in api.client.get("/figures/metrics").json()["metrics"]}
    assert [name for name in truth.cannot_tell if listed[name]["available"]] == []
