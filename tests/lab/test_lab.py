"""The lab is a real phpMyAdmin over a shop that adds up."""

import hashlib
import html
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pymysql
import pytest
from paths import ROOT
from pymysql.cursors import DictCursor

from lab import Lab, LabError
from lab.data.table import NOTES

UNTIL = datetime(2025, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("lab"))
    try:
        lab.up()
        yield lab
    finally:
        lab.down(delete=True)


@pytest.fixture
def orders(lab: Lab) -> list[dict[str, Any]]:
    """1,000 orders, freshly seeded."""
    assert lab.seed(1_000, seed=7, until=UNTIL) == 1_000
    return table(lab)


def table(lab: Lab) -> list[dict[str, Any]]:
    with lab.connect() as connection, connection.cursor(DictCursor) as cursor:
        cursor.execute("SELECT * FROM orders ORDER BY id")
        return list(cursor.fetchall())


def digest(lab: Lab) -> str:
    return hashlib.sha256(repr(table(lab)).encode()).hexdigest()


def marks(lab: Lab) -> list[tuple[int, float]]:
    state = json.loads((lab.path / "lab.json").read_text())
    return [tuple(mark) for part in state["running"].values() for mark in part]


def alive(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_it_works(lab: Lab) -> None:
    assert lab.running() == {"database": True, "phpmyadmin": True}


def test_up_again_starts_nothing(lab: Lab) -> None:
    before = marks(lab)
    Lab(lab.path).up()
    assert marks(lab) == before


def test_no_server_runs_as_root(lab: Lab) -> None:
    assert {psutil.Process(pid).uids().effective for pid, _ in marks(lab)}.isdisjoint({0})


def test_the_login_form_lets_the_login_in_and_exports_a_select(lab: Lab, orders: list[dict[str, Any]]) -> None:
    settings = lab.settings()
    with httpx2.Client(base_url=lab.url, trust_env=False, timeout=60, follow_redirects=True) as client:
        form = client.get("index.php").text.partition('id="login_form"')[2]
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
        page = client.post(
            "index.php",
            data={
                **{name: html.unescape(value) for name, value in hidden},
                "pma_username": settings["PHPMYADMIN_USERNAME"],
                "pma_password": settings["PHPMYADMIN_PASSWORD"],
            },
        ).text
        assert "logged_in:true" in page
        token = re.findall(r'token:"([^"]+)"', page)[0]
        export = client.post(
            "index.php?route=/export",
            data={
                "what": "csv",
                "export_type": "table",
                "db": settings["PHPMYADMIN_DATABASE"],
                "table": settings["PHPMYADMIN_TABLE"],
                "single_table": "TRUE",
                "sql_query": "SELECT id, name FROM orders ORDER BY id",
                "quick_or_custom": "custom",
                "output_format": "sendit",
                "filename_template": "@TABLE@",
                "charset": "utf-8",
                "compression": "none",
                "allrows": "1",
                "csv_structure_or_data": "data",
                "csv_separator": ",",
                "csv_enclosed": '"',
                "csv_escaped": '"',
                "csv_terminated": "\\n",
                "csv_null": "NULL",
                "csv_columns": "something",
                "token": token,
            },
        ).text
    assert export.splitlines() == ['"id","name"', *(f'"{order["id"]}","{order["name"]}"' for order in orders)]


def test_the_login_reads_and_cannot_write(lab: Lab, orders: list[dict[str, Any]]) -> None:
    settings = lab.settings()
    state = json.loads((lab.path / "lab.json").read_text())
    with pymysql.connect(
        host="127.0.0.1",
        port=state["database_port"],
        user=settings["PHPMYADMIN_USERNAME"],
        password=settings["PHPMYADMIN_PASSWORD"],
        database=settings["PHPMYADMIN_DATABASE"],
    ) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT COUNT(*) FROM orders")
        assert cursor.fetchone() == (len(orders),)
        for statement in (
            "DELETE FROM orders",
            "UPDATE orders SET note = 1",
            "DROP TABLE orders",
            "CREATE TABLE t (i INT)",
        ):
            with pytest.raises(pymysql.err.OperationalError, match="command denied"):
                cursor.execute(statement)


def test_the_same_seed_makes_the_same_table_and_another_seed_another(lab: Lab) -> None:
    digests = []
    for seed in (1, 1, 2):
        lab.seed(500, seed=seed, until=UNTIL)
        digests.append(digest(lab))
    assert digests[0] == digests[1] != digests[2]


def test_money_adds_up_to_the_cent(orders: list[dict[str, Any]]) -> None:
    for order in orders:
        gross = sum(Decimal(item["price"]) * item["quantity"] for item in json.loads(order["line_items"]))
        assert order["subtotal_price"] == gross - order["total_discounts"]
        added_tax = 0 if order["taxes_included"] else order["total_tax"]
        assert order["total_price"] == order["subtotal_price"] + order["total_shipping"] + added_tax
        refunds = [Decimal(refund["amount"]) for refund in json.loads(order["refunds"])]
        assert all(amount > 0 for amount in refunds)
        assert order["total_refunded"] == sum(refunds) <= order["total_price"]
        if order["currency"] == "JPY":
            assert order["total_price"] % 1 == order["total_tax"] % 1 == order["total_refunded"] % 1 == 0


def test_the_financial_status_tells_what_was_refunded(orders: list[dict[str, Any]]) -> None:
    for order in orders:
        refunded, total = order["total_refunded"], order["total_price"]
        expected = {"refunded"} if refunded == total else {"partially_refunded"}
        unpaid = {"paid", "pending", "authorized", "voided"}
        assert order["financial_status"] in (expected if refunded else unpaid)
    assert len({order["financial_status"] for order in orders}) >= 5


def test_nothing_happens_before_the_order_or_after_the_end(orders: list[dict[str, Any]]) -> None:
    end = UNTIL.replace(tzinfo=None)
    for order in orders:
        times = [order[name] for name in ("processed_at", "fulfilled_at", "cancelled_at") if order[name] is not None]
        times += [
            datetime.fromisoformat(refund["created_at"]).replace(tzinfo=None) for refund in json.loads(order["refunds"])
        ]
        for at in times:
            assert isinstance(at, str) or order["created_at"] <= at <= end  # a zero date arrives as text
        assert order["created_at"] <= order["updated_at"] <= end


def test_a_thousand_orders_hold_every_awkward_value(lab: Lab, orders: list[dict[str, Any]]) -> None:
    assert {order["note"] for order in orders} == {*NOTES, None}
    assert {"", None, "NULL", "WELCOME10"} <= {order["discount_code"] for order in orders}
    assert {"", None} <= {order["email"] for order in orders}
    assert {None, "fulfilled", "partial", "restocked"} == {order["fulfillment_status"] for order in orders}
    assert {0, 1} == {order["test"] for order in orders}
    assert {"USD", "EUR", "GBP", "JPY", "CAD"} == {order["currency"] for order in orders}
    with lab.connect() as connection, connection.cursor() as cursor:
        dates = ("created_at", "updated_at", "processed_at", "cancelled_at", "fulfilled_at")
        cursor.execute("SELECT " + " + ".join(f"SUM(IFNULL({name} = 0, 0))" for name in dates) + " FROM orders")
        assert cursor.fetchone() == (1,)


def test_the_destination_is_json_encoded_twice(orders: list[dict[str, Any]]) -> None:
    places = [json.loads(json.loads(order["destination"])) for order in orders if order["destination"] is not None]
    assert {"US", "JP", "AE", "IL"} <= {place["country_code"] for place in places}
    fields = {"name", "address1", "city", "province", "province_code", "zip", "country", "country_code"}
    assert all(set(place) <= fields and fields - set(place) <= {"province", "province_code"} for place in places)


def test_mutate_counts_what_a_comparison_finds(lab: Lab, orders: list[dict[str, Any]]) -> None:
    counts = lab.mutate(seed=3, touches=200)
    before, after = ({order["id"]: order for order in rows} for rows in (orders, table(lab)))
    both = before.keys() & after.keys()
    assert counts == {
        "inserted": len(after.keys() - before.keys()),
        "updated": sum(before[key] != after[key] for key in both),
        "deleted": len(before.keys() - after.keys()),
    }
    assert sum(counts.values()) == 200
    assert min(after.keys() - before.keys()) > max(before)
    assert all(after[key]["updated_at"] > before[key]["updated_at"] for key in both if before[key] != after[key])
    test_money_adds_up_to_the_cent(list(after.values()))
    test_the_financial_status_tells_what_was_refunded(list(after.values()))


def test_mutate_does_the_same_for_the_same_seed(lab: Lab) -> None:
    digests = []
    for _ in range(2):
        lab.seed(300, seed=5, until=UNTIL)
        lab.mutate(seed=9, now=UNTIL)
        digests.append(digest(lab))
    assert digests[0] == digests[1]


def test_a_killed_server_comes_back_at_the_same_address(lab: Lab, orders: list[dict[str, Any]]) -> None:
    url = lab.url
    lab.stop_database(kill=True)
    lab.stop_phpmyadmin(kill=True)
    assert lab.running() == {"database": False, "phpmyadmin": False}
    lab.start_database()
    lab.start_phpmyadmin()
    assert lab.running() == {"database": True, "phpmyadmin": True}
    assert lab.url == url
    assert table(lab) == orders


def test_a_command_runs_with_the_login_in_its_environment(lab: Lab) -> None:
    script = "import os, sys; print(os.environ['PHPMYADMIN_URL']); sys.exit(7)"
    command = [sys.executable, "-m", "lab", "--path", str(lab.path), "run", "--", sys.executable, "-c", script]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout.strip(), done.returncode) == (lab.url, 7)


def test_down_leaves_no_process_and_delete_no_file(lab_folder: Path) -> None:
    with Lab(lab_folder, config={"ExecTimeLimit": 7}) as lab:
        started = marks(lab)
        home = Path(json.loads((lab.path / "lab.json").read_text())["home"])
        assert json.loads((home / "run" / "config.json").read_text())["ExecTimeLimit"] == 7
        assert len(started) >= 6  # MariaDB, PHP and PHP's four workers
        os.kill(started[-1][0], 9)
        os.kill(next(pid for pid, _ in started if psutil.Process(pid).name() == "php"), 9)  # its workers outlive it
    assert not any(alive(pid) for pid, _ in started)
    assert lab.running() == {"database": False, "phpmyadmin": False}
    lab.down(delete=True)
    assert not home.exists()
    assert not lab.path.exists()


def test_mutate_before_the_first_seed_says_what_to_do(lab: Lab) -> None:
    with lab.connect(None) as connection, connection.cursor() as cursor:
        cursor.execute("DROP DATABASE shop")
        cursor.execute("CREATE DATABASE shop")
    with pytest.raises(LabError, match="python -m lab seed"):
        lab.mutate()
