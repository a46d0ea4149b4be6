"""How much memory a process may use, by the limits of its machine, its container or its unit."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest
from waiting import wait_for

from cache.child_environment import child_environment
from cache.machine import memory, memory_turns
from cache.machine.memory_turns import MemoryTurns

MB = 1 << 20
PLENTY = 8 << 30


class Machine:
    """Files of cgroups, and a machine with PLENTY of memory."""

    def __init__(self, folder: Path) -> None:
        self.mount = folder / "cgroup"
        self.membership = folder / "membership"

    def cgroup(self, path: str, **files: object) -> None:
        folder = self.mount / path
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in files.items():
            (folder / name.replace("__", ".")).write_text(f"{value}\n")


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    made = Machine(tmp_path)
    given = psutil.virtual_memory()._replace(total=PLENTY, available=PLENTY)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: given)
    monkeypatch.setattr(memory, "MOUNT", made.mount)
    monkeypatch.setattr(memory, "MEMBERSHIP", made.membership)
    return made


def test_a_machine_without_cgroups_has_all_of_its_memory(machine: Machine) -> None:
    assert memory.total_memory() == memory.available_memory() == PLENTY
    assert not memory.is_small()


def test_the_limit_of_a_container_holds(machine: Machine) -> None:
    machine.membership.write_text("0::/\n")
    files = {
        "memory__max": 512 * MB,
        "memory__current": 400 * MB,
        "memory__stat": f"anon 1\ninactive_file {60 * MB}\nactive_file {40 * MB}",
    }
    machine.cgroup("", **files)
    assert memory.total_memory() == 512 * MB
    assert memory.available_memory() == (512 - 400 + 100) * MB  # the kernel takes back pages of files
    assert memory.is_small()


def test_the_limit_of_a_container_holds_with_version_1(machine: Machine) -> None:
    machine.membership.write_text("3:cpu,cpuacct:/docker/5f\n4:memory:/docker/5f\n0::/docker/5f\n")
    files = {"memory__limit_in_bytes": 512 * MB, "memory__usage_in_bytes": 300 * MB}
    machine.cgroup("memory", **files, memory__stat=f"inactive_file 5\ntotal_inactive_file {20 * MB}")
    assert memory.total_memory() == 512 * MB
    assert memory.available_memory() == (512 - 300 + 20) * MB


def test_the_lowest_limit_above_a_process_holds(machine: Machine) -> None:
    machine.membership.write_text("0::/system.slice/orders.service\n")
    machine.cgroup("system.slice/orders.service", memory__max="max", memory__current=7)
    machine.cgroup("system.slice", memory__max=600 * MB, memory__current=100 * MB, memory__stat="inactive_file 0")
    assert memory.total_memory() == 600 * MB
    assert memory.available_memory() == 500 * MB


@pytest.mark.parametrize("path", ["/../../elsewhere", "/not/mounted"])
def test_a_cgroup_that_cannot_be_seen_counts_as_the_mounted_one(machine: Machine, path: str) -> None:
    machine.membership.write_text(f"0::{path}\n")
    machine.cgroup("", memory__max=700 * MB, memory__current=0)
    assert memory.total_memory() == 700 * MB


def test_the_setting_holds_for_a_process_and_what_it_starts(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CHILD_MEMORY", "")
    del os.environ["CHILD_MEMORY"]
    memory.set_memory_limit(None)
    assert memory.total_memory() == PLENTY
    memory.set_memory_limit(700)
    assert memory.total_memory() == 700 * MB
    assert memory.is_small()
    assert child_environment()["CHILD_MEMORY"] == f"700 {os.getpid()}"
    memory.set_memory_limit(900)  # as a child does that reads the same settings
    assert memory.total_memory() == 700 * MB
    machine.membership.write_text("0::/\n")
    machine.cgroup("", memory__max=512 * MB, memory__current=100 * MB, memory__stat="inactive_file 0")
    assert memory.total_memory() == 512 * MB


def test_what_is_left_of_the_setting_is_shared_with_what_a_process_starts(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHILD_MEMORY", f"{PLENTY // MB} {os.getpid()}")
    left = memory.available_memory()
    command = [sys.executable, "-c", f"block = bytearray({100 * MB}); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=child_environment()) as child:
        wait_for(lambda: memory.available_memory() < left - 90 * MB)
        child.communicate(b"\n")


@pytest.mark.parametrize(("size", "limit"), [(8192, "192MB"), (512, "64MB"), (128, "32MB")])
def test_a_database_takes_an_eighth_of_little_memory(machine: Machine, size: int, limit: str) -> None:
    machine.membership.write_text("0::/\n")
    machine.cgroup("", memory__max=size * MB, memory__current=0)
    assert memory.database_limit(192) == limit


def test_a_sync_waits_for_an_answer_and_further_answers_for_the_sync(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_turns, "is_small", lambda: True)
    worker, other = MemoryTurns(tmp_path), MemoryTurns(tmp_path)
    assert worker.begin_answer()
    assert other.begin_answer()  # two serving processes do not wait for each other
    other.end_answer()
    with ThreadPoolExecutor(1) as threads, ExitStack() as sync:
        begun = threads.submit(sync.enter_context, MemoryTurns(tmp_path).of_sync())
        wait_for(other.sync_runs)
        assert not begun.done()
        assert not other.begin_answer()
        worker.end_answer()
        begun.result(10)
        assert not worker.begin_answer()
    assert worker.begin_answer()


def test_a_sync_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_turns, "is_small", lambda: True)
    monkeypatch.setattr(memory_turns, "ANSWER_SECONDS", 0.05)
    assert MemoryTurns(tmp_path).begin_answer()
    with ThreadPoolExecutor(1) as threads, ExitStack() as sync:
        threads.submit(sync.enter_context, MemoryTurns(tmp_path).of_sync()).result(10)


def test_where_there_is_enough_memory_a_sync_takes_no_turn(machine: Machine, tmp_path: Path) -> None:
    with MemoryTurns(tmp_path).of_sync():
        assert list(tmp_path.iterdir()) == []
