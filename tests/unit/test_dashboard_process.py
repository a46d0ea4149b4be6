"""The dashboard as a process, without a visitor."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dashboard_process import dashboard

pytestmark = pytest.mark.slow


def test_the_scheduler_runs_without_visitors_and_ends_with_the_dashboard(tmp_path: Path) -> None:
    with dashboard(tmp_path, SCHEDULER="auto", PHPMYADMIN_URL="http://127.0.0.1:9/") as running:
        end = time.monotonic() + 20
        while not running.cache.status().workers and time.monotonic() < end:
            time.sleep(0.1)
        assert [worker.leader for worker in running.cache.status().workers] == [True]
        running.process.terminate()
        running.process.wait(30)
        assert running.cache.status().workers == ()
