"""Random orders of take, renew, resign and fenced writes on three hosts end as a simple model says."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from stores import open_shared

from cache.errors import SyncLost, SyncRunning
from cache.storage.records import Run, Worker
from cache.storage.shared import terms
from cache.storage.store import Cache

pytestmark = pytest.mark.slow

HOSTS = ("one", "two", "three")
SILENT, QUIET = timedelta(seconds=-9), timedelta(seconds=-2)

hosts = st.sampled_from(HOSTS)
_sources = (f"shop.table{n}" for n in count())


@dataclass
class Host:
    """A host, and the sync that it believes to hold: its number, None without one."""

    cache: Cache
    worker: Worker
    sync: int | None = None
    lock: ExitStack = field(default_factory=ExitStack)


class Terms(RuleBasedStateMachine):
    """The model of each term is who holds it, whether it is silent, and its epoch."""

    url: str
    here: Path
    connection: psycopg.Connection[tuple[Any, ...]]

    @initialize()
    def open(self) -> None:
        self.source = next(_sources)
        self.hosts = {
            name: Host(open_shared(self.url, self.here, name, self.source), Worker(host=name)) for name in HOSTS
        }
        self.syncs = count(1)
        self.sync: int | None = None  # the one that holds the term, also while it is silent
        self.sync_free = True
        self.sync_epoch = 0
        self.leader: str | None = None
        self.leader_free = True
        self.leader_epoch = 0
        self.runs = 0

    def teardown(self) -> None:
        for host in getattr(self, "hosts", {}).values():
            host.lock.close()
            host.cache.close()

    # -- the sync term

    @rule(name=hosts)
    def take(self, name: str) -> None:
        host = self.hosts[name]
        if host.sync is not None:
            return
        if self.sync_free:
            host.lock = ExitStack()
            host.lock.enter_context(host.cache.leadership.sync_lock())
            self.sync = host.sync = next(self.syncs)
            self.sync_epoch += 1
            self.sync_free = False
        else:
            with pytest.raises(SyncRunning):
                host.lock.enter_context(host.cache.leadership.sync_lock())

    @rule(name=hosts)
    def resign(self, name: str) -> None:
        host = self.hosts[name]
        host.lock.close()
        if host.sync is not None and host.sync == self.sync:
            self.sync_free = True
        host.sync = None

    @rule(name=hosts)
    def begin(self, name: str) -> None:
        host = self.hosts[name]
        if self.may_write(host):
            host.cache.runs.begin(Run(trigger=name, outcome="unchanged"))
            self.runs += 1
            self.sync_free = False  # a write renews the term
        else:
            with pytest.raises(SyncLost):
                host.cache.runs.begin(Run(trigger=name))

    @rule(name=hosts, write=st.sampled_from(["report", "recover", "finish"]))
    def write(self, name: str, write: str) -> None:
        host = self.hosts[name]
        run = Run(trigger=name, outcome="unchanged")
        call = host.cache.runs.recover if write == "recover" else lambda: getattr(host.cache.runs, write)(run)
        if self.may_write(host):
            call()
            self.runs += write == "finish"
            self.sync_free = False
        else:
            with pytest.raises(SyncLost):
                call()

    def may_write(self, host: Host) -> bool:
        return host.sync is not None and host.sync == self.sync

    @rule(age=st.sampled_from([SILENT, QUIET, -SILENT * 2, -QUIET]))
    @precondition(lambda self: self.sync is not None and not self.sync_free)
    def sync_is_silent(self, age: timedelta) -> None:
        self.shift("sync", age)
        self.sync_free = age in (SILENT, -SILENT * 2)

    @rule()
    @precondition(lambda self: self.sync_epoch > 1)
    def a_failover_sets_the_epoch_back(self) -> None:
        """The database lost the newest commits: an older holder's epoch returns, without its token."""
        self.sync_epoch -= 1
        self.connection.execute(
            "UPDATE orders_cache.terms SET epoch = %s, token = gen_random_uuid() WHERE source = %s AND name = 'sync'",
            (self.sync_epoch, self.source),
        )
        self.sync = -1  # nobody holds this token

    # -- the leader's term

    @rule(name=hosts)
    def heartbeat(self, name: str) -> None:
        host = self.hosts[name]
        leads = self.leader_free or self.leader == name
        assert bool(host.cache.leadership.heartbeat(host.worker)) == leads
        if leads:
            self.leader_epoch += self.leader != name
            self.leader, self.leader_free = name, False

    @rule(name=hosts)
    def leave(self, name: str) -> None:
        host = self.hosts[name]
        host.cache.leadership.resign(host.worker)
        self.leader_free = self.leader_free or self.leader == name

    @rule(age=st.sampled_from([SILENT, QUIET]))
    @precondition(lambda self: self.leader is not None and not self.leader_free)
    def leader_is_silent(self, age: timedelta) -> None:
        self.shift("leader", age)
        self.leader_free = age == SILENT

    def shift(self, term: str, by: timedelta) -> None:
        self.connection.execute(
            "UPDATE orders_cache.terms SET renewed = clock_timestamp() + %s WHERE source = %s AND name = %s",
            (by, self.source, term),
        )

    # -- what always holds

    @invariant()
    def the_database_is_as_the_model(self) -> None:
        if not hasattr(self, "source"):
            return
        epochs = self.connection.execute(
            "SELECT name, epoch FROM orders_cache.terms WHERE source = %s ORDER BY name", (self.source,)
        ).fetchall()
        assert epochs in ([], [("leader", self.leader_epoch), ("sync", self.sync_epoch)])
        runs = self.connection.execute("SELECT id FROM orders_cache.runs WHERE source = %s", (self.source,))
        assert len(runs.fetchall()) == self.runs


def test_terms_end_as_the_model_says(shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terms, "RENEW_SECONDS", 3600)
    monkeypatch.setattr(terms, "PATIENCE_SECONDS", 0)
    limits = settings(max_examples=20, stateful_step_count=30, suppress_health_check=list(HealthCheck))
    with closing(open_shared(shared_url, here)) as first, psycopg.connect(shared_url, autocommit=True) as connection:
        first.runs.version()  # makes the schema
        Terms.url, Terms.here, Terms.connection = shared_url, here, connection
        run_state_machine_as_test(Terms, settings=limits)
