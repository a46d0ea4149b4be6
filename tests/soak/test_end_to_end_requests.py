"""All processes together: refreshes from every side, a killed leader, and a table that lost its rows."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from dashboard_page import new_tab
from everything import Everything, started
from playwright.sync_api import Browser, expect
from waiting import wait_for

from lab import Lab
from scraper.processes import still_running

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def everything(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Everything]:
    with started(lab, tmp_path_factory.mktemp("everything")) as running:
        yield running


def test_many_refreshes_are_answered_by_few_syncs_that_never_overlap(everything: Everything) -> None:
    before = {run.id for run in everything.cache.runs.recent(100)}
    by_hand = everything.start("-m", "scraper", "sync")
    with ThreadPoolExecutor(20) as pool:
        posted = [pool.submit(lambda: everything.api.post("/refresh").json()["task_id"]) for _ in range(10)]
        asked = [pool.submit(lambda: everything.cache.runs.request("test").id) for _ in range(10)]
        ids = [future.result() for future in (*posted, *asked)]
    assert by_hand.wait(timeout=120) in (0, 75)
    wait_for(lambda: all(everything.cache.runs.task(id).ended for id in ids), 120)

    runs = {run.id: run for run in everything.cache.runs.recent(100) if run.id not in before}
    for id in ids:
        task = everything.cache.runs.task(id)
        assert task.state == "completed", task.error
        assert task.run is not None
        assert runs[task.run].started_at >= task.requested_at
    ended = sorted(runs.values(), key=lambda run: run.started_at)
    for earlier, later in itertools.pairwise(ended):
        assert earlier.finished_at is not None
        assert earlier.finished_at <= later.started_at
    assert len(runs) <= 4


def test_another_worker_answers_the_request_of_a_leader_that_was_killed(everything: Everything) -> None:
    leader = everything.cache.status().leader
    assert leader is not None
    process = everything.process_of(leader)
    task = everything.cache.runs.request("test")
    wait_for(lambda: everything.cache.runs.task(task.id).state == "running")
    family = process.children(recursive=True)
    assert family
    process.kill()
    process.wait(10)
    assert still_running(family, 15) == []
    wait_for(lambda: (now := everything.cache.status().leader) is not None and now.id != leader.id)
    wait_for(lambda: everything.cache.runs.task(task.id).ended)
    assert everything.cache.runs.task(task.id).state == "completed"
    everything.start_again(process)
    assert everything.api.get("/fetch-data").status_code == 200


def test_a_table_that_lost_most_rows_is_published_after_it_is_accepted(
    everything: Everything, browser: Browser
) -> None:
    page = new_tab(browser)
    page.goto(f"{everything.dashboard}/orders")
    expect(page.get_by_role("button", name="Refresh", exact=False)).to_be_enabled(timeout=60_000)
    before = everything.api.get("/fetch-data?limit=0").json()["total_count"]
    with everything.lab.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE aside AS SELECT * FROM orders")
        cursor.execute("DELETE FROM orders WHERE id % 10 > 2")
    try:
        page.get_by_role("button", name="Refresh", exact=False).click()
        accept = page.get_by_role("button", name="Accept the smaller table")
        expect(accept).to_be_visible(timeout=60_000)
        assert everything.api.get("/fetch-data?limit=0").json()["total_count"] == before
        accept.click()
        expect(accept).to_have_count(0, timeout=60_000)
        wait_for(lambda: everything.api.get("/fetch-data?limit=0").json()["total_count"] == everything.lab.rows())
        expect(page.get_by_text("The last refresh failed")).to_have_count(0, timeout=60_000)
        assert everything.lab.rows() < before / 2
    finally:
        with everything.lab.connect() as connection, connection.cursor() as cursor:
            cursor.execute("INSERT IGNORE INTO orders SELECT * FROM aside")
            cursor.execute("DROP TABLE aside")
