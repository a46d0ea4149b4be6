"""Processes that are killed have ended before their parent reaps them."""

from __future__ import annotations

import subprocess

import psutil

from scraper.processes import kill, still_running


def test_a_killed_process_has_ended_before_it_is_reaped() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        process = psutil.Process(child.pid)
        assert still_running([process], 0) == [process]
        kill([process])
        assert process.status() == psutil.STATUS_ZOMBIE
        assert still_running([process], 0) == []
    assert still_running([process], 0) == []
