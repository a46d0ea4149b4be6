"""`GET /figures` gives the figures that were worked out by hand for each schema of the corpus, and their events."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from cache_factory import publish
from long_cases import soak_but
from schema_corpus import Figures, corpus
from schema_orders import as_copied, columns_of, in_key_order
from sidecar_process import Sidecar, sidecar

from cache.analytics.metrics import METRICS
from cache.storage.documents import SETUP

pytestmark = pytest.mark.slow

SCHEMAS = {schema.name: schema for schema in corpus()}
KINDS = ("ambiguous_dates", "cancelled", "exchanges", "graphql_json", "line_rows", "tips_duties_fees", "versions")
"""What `make test` asks for: tests/unit/test_schema_figures.py compares the figures of all schemas, without the API."""
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


@pytest.mark.parametrize("name", soak_but(KINDS, SCHEMAS))
def test_figures_are_those_worked_out_by_hand(api: Sidecar, name: str) -> None:
    schema = SCHEMAS[name]
    truth, columns = schema.truth, columns_of(schema)
    zones = {"timezone": truth.timezone, "source_timezone": truth.source_timezone}
    api.cache.documents.change(SETUP, lambda setup: setup.model_copy(update=zones))
    publish(api.cache, as_copied(in_key_order(schema), columns), columns=columns, segments=1)

    for wanted in truth.figures:
        stated = {each: value for each, value in wanted.model_dump(exclude_none=True).items() if each in METRICS}
        response = api.client.get("/figures", params={"metric": ",".join(stated), **query(wanted)})
        assert response.status_code == 200, response.text
        totals = response.json()["totals"]
        exact = {each: value for each, value in stated.items() if isinstance(value, Decimal)}
        assert {each: Decimal(totals[each]).quantize(value) for each, value in exact.items()} == exact, wanted
        assert {each: totals[each] for each in stated.keys() - exact} == {
            each: stated[each] for each in stated.keys() - exact
        }
        for metric in [metric for metric in COMPOSED if metric in stated]:
            listed = api.client.get("/figures/events", params={"metric": metric, **query(wanted)}).json()
            assert listed["total"] == totals[metric], (metric, wanted)
            assert added(listed["data"], "amount") == Decimal(listed["amount"]), (metric, wanted)
            assert added(listed["data"], "divisor") == (listed["divisor"] or 0), (metric, wanted)
        assert response.json()["reading"] == truth.reading
        assert response.json()["currency"] == (wanted.currency or None)
    listed = {metric["id"]: metric for metric in api.client.get("/figures/metrics").json()["metrics"]}
    assert [each for each in truth.cannot_tell if listed[each]["available"]] == []
