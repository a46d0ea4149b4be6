"""`GET /checks`, and what `/status`, `/metrics` and `doctor` say of the checks over the data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from cache_factory import publish
from shop_factory import SHOP_COLUMNS, shop
from sidecar_process import Sidecar, sidecar
from waiting import wait_for

from cache.access.api_keys import ApiKey, digest
from cache.check_report import CHECKS
from cache.settings import Settings
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from checks.generation import check_generation

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """The API over a shop of which three totals are wrong."""
    rows = shop(600)
    for row in [row for row in rows if row["test"] == "0"][20:23]:
        row["total_price"] = str(Decimal(row["total_price"] or 0) + 7)
    with sidecar(tmp_path_factory.mktemp("checks"), PERSONAL_COLUMNS="id,email") as running:
        check = partial(check_generation, running.cache, Settings())
        publish(running.cache, rows, columns=SHOP_COLUMNS, check=check)
        yield running


def test_checks_say_what_adds_up_and_what_does_not(api: Sidecar) -> None:
    body = api.client.get("/checks").json()
    assert (body["status"], body["generation"], body["reading"]) == ("success", 1, "confirmed")
    assert body["ok"] == (body["orders"] - 3) / body["orders"]
    total = next(check for check in body["checks"] if check["id"] == "total")
    assert (total["title"], total["checked"] - total["agree"], len(total["examples"])) == ("Total adds up", 3, 3)
    assert total["figures"] == list(CHECKS["total"].figures or ())
    assert {check["id"] for check in body["checks"]} <= CHECKS.keys()


def test_a_masked_key_sees_no_keys_that_hold_personal_data(api: Sidecar) -> None:
    secret = "key-of-the-agency"
    key = ApiKey(name="agency", digest=digest(secret), scopes=("read",), masked=True, created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(key))
    wait_for(lambda: api.client.get("/checks", headers={"X-API-Key": secret}).status_code == 200)
    checks = api.client.get("/checks", headers={"X-API-Key": secret}).json()["checks"]
    assert {check["id"]: check["examples"] for check in checks if check["examples"] and check["id"] != "volume"} == {}
    assert next(check for check in checks if check["id"] == "total")["agree"] > 0


def test_a_known_result_is_not_sent_again(api: Sidecar) -> None:
    first = api.client.get("/checks")
    again = api.client.get("/checks", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_status_sums_the_checks_up(api: Sidecar) -> None:
    figures = api.client.get("/status").json()["figures"]
    assert figures == {
        "ok": api.client.get("/checks").json()["ok"],
        "reading": "confirmed",
        "failing": ["total"],
        "questions": 0,
    }


def test_metrics_have_the_checks(api: Sidecar) -> None:
    text = api.client.get("/metrics").text
    assert 'phpmyadmin_orders_checks_failed_orders{check="total"} 3.0' in text
    assert 'phpmyadmin_orders_checks_failed_orders{check="dates"} 0.0' in text
    assert "phpmyadmin_orders_checks_ok_ratio 0.99" in text
    assert "phpmyadmin_orders_reading_confirmed 1.0" in text


def test_figures_carry_the_mark_of_their_check(api: Sidecar) -> None:
    metrics = api.client.get("/figures?metric=total_sales,customers&currency=all").json()["metrics"]
    assert metrics["customers"]["marked"] is None
    mark = metrics["total_sales"]["marked"]
    assert (mark["check"], mark["orders"], mark["difference"]) == ("total", 3, "21.00")
    assert mark["message"] == "3 orders have a total that is not the sum of its parts."


def test_a_generation_without_checks_says_so(tmp_path: Path) -> None:
    with sidecar(tmp_path) as api:
        publish(api.cache, 3)
        body = api.client.get("/checks").json()
        assert (body["ok"], body["checks"]) == (None, [])
        assert api.client.get("/status").json()["figures"] is None
        assert "phpmyadmin_orders_checks_" not in api.client.get("/metrics").text
