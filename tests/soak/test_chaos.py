"""Whatever fails, no client is told a wrong table, none waits long, and in the end all is as it was."""

from __future__ import annotations

import random
import time
from collections import Counter
from pathlib import Path

import httpx2
import pytest
from chaos import KEY, Chaos, chaos
from copies import expected_rows
from dashboard_page import figure
from playwright.sync_api import Browser, Page, expect
from waiting import wait_for

from lab import Lab

ORDERS = 400
QUIET_SECONDS = 120  # for what was damaged last to be mended


@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # sockets of a killed database
@pytest.mark.soak
@pytest.mark.parametrize(
    ("seconds", "pause", "slowest", "many", "visitors"), [(10, 0.5, 20, 8, 1), (1800, 8, 5, 20, 3)]
)
def test_no_disaster_makes_a_wrong_answer(
    lab_folder: Path, here: Path, browser: Browser, seconds: int, pause: float, slowest: int, many: int, visitors: int
) -> None:
    lab = Lab(lab_folder)
    try:
        lab.up()
        lab.seed(ORDERS)
        with chaos(lab, here, slowest, many) as (running, shop, clients):
            pages = [browser.new_page() for _ in range(visitors)]
            for page in pages:
                page.goto(running.dashboard)
            happened = _disasters(running, pages, seconds, pause)
            shop.end()
            wait_for(lambda: _is_right(running), QUIET_SECONDS)
            for client in clients:
                client.end()
            for page in pages:
                page.goto(f"{running.dashboard}/?period=all")
                figure(page, "Orders", _count(lab))
                page.close()
            statuses = sum((client.statuses for client in clients), Counter[int]())
            print(happened, statuses)
            assert [fault for client in clients for fault in client.faults] == []
            said = {digest: rows for client in clients for digest, rows in client.verified.items()}
            wrong = [rows for digest, rows in said.items() if digest not in shop.states]
            assert wrong == []
            assert statuses[200] > seconds * many / 8
            assert len(said) > seconds / 60
            assert running.end() == []
            assert list(running.temporary.iterdir()) == []
            assert "Traceback" not in running.log
    finally:
        lab.down(delete=True)


def _disasters(running: Chaos, pages: list[Page], seconds: float, pause: float) -> Counter[str]:
    """Each disaster in random order, again and again; a shown page never has the trace of an error."""
    happened: Counter[str] = Counter()
    end = time.monotonic() + seconds
    while True:
        for disaster in random.sample(running.disasters, len(running.disasters)):
            if time.monotonic() > end:
                return happened
            disaster()
            happened[disaster.__name__] += 1
            for page in pages:
                expect(page.get_by_test_id("stException")).to_have_count(0)
            time.sleep(random.uniform(0, pause))


def _is_right(running: Chaos) -> bool:
    """Whether the API has the table as it is now."""
    headers = {"X-API-Key": KEY}
    try:
        httpx2.post(f"{running.api}/refresh", headers=headers, timeout=10)
        body = httpx2.get(f"{running.api}/fetch-data", headers=headers, timeout=10).json()
    except httpx2.TransportError:
        return False
    return bool(body.get("verified") and body["data"] == expected_rows(running.lab, "orders"))


def _count(lab: Lab) -> str:
    with lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM orders WHERE test = 0 AND currency = 'USD'")
        return f"{cursor.fetchone()[0]:,}"
