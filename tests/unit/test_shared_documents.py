"""Documents of the shared cache: no change is lost, and a damaged one is told as it is on disk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import FileStore, PostgreSQLStore, Store

from cache.errors import CacheError, CacheUnwritable
from cache.storage.documents import API_KEYS, RESTARTS, SETUP, Restarts
from cache.storage.records import now
from cache.storage.shared import documents
from cache.storage.store import Cache
from cache.table_setup import Setup


@pytest.fixture(params=["file", pytest.param("postgresql", marks=pytest.mark.slow)])
def store(here: Path, request: pytest.FixtureRequest) -> Store:
    """An empty store."""
    return FileStore(here) if request.param == "file" else PostgreSQLStore(request.getfixturevalue("shared_url"), here)


@pytest.fixture
def cache(store: Store) -> Iterator[Cache]:
    """The cache in the store."""
    cache = store.open()
    yield cache
    cache.close()


def test_a_document_is_initial_until_it_is_changed_and_then_seen_by_all(cache: Cache, store: Store) -> None:
    assert cache.documents.read(SETUP) == Setup()
    version = cache.runs.version()
    cache.documents.change(SETUP, lambda setup: setup.model_copy(update={"currency": "EUR"}))
    assert cache.runs.version() > version
    other = store.open()
    assert other.documents.read(SETUP).currency == "EUR"
    other.close()


def test_changes_of_many_threads_at_once_are_all_kept(cache: Cache, store: Store) -> None:
    def change(service: str) -> None:
        other = store.open()
        for _ in range(5):
            other.documents.change(RESTARTS, lambda restarts: restarts.add(service, "It ended.", now()))
        other.close()

    threads = [threading.Thread(target=change, args=(f"service {i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counts = {each.service: each.count for each in cache.documents.read(RESTARTS).services}
    assert counts == {f"service {i}": 5 for i in range(6)}


def test_all_processes_share_the_secrets_of_the_first_read(cache: Cache, store: Store) -> None:
    read = []

    def first() -> None:
        other = store.open()
        read.append(other.documents.read(API_KEYS))
        other.close()

    threads = [threading.Thread(target=first) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read == [cache.documents.read(API_KEYS)] * 6


def test_a_text_with_any_character_comes_back_as_it_was(cache: Cache) -> None:
    reason = "a\x00b 🎂 \\u0000 ' \" % %s"
    cache.documents.change(RESTARTS, lambda restarts: restarts.add("api", reason, now()))
    assert cache.documents.read(RESTARTS).services[0].reason == reason


@pytest.fixture
def shared(shared_url: str, here: Path) -> Iterator[tuple[PostgreSQLStore, Cache]]:
    """The cache in PostgreSQL."""
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    yield store, cache
    cache.close()


def test_a_conflict_calls_the_function_again_on_the_newer_version(shared: tuple[PostgreSQLStore, Cache]) -> None:
    store, cache = shared
    other, seen = store.open(), []

    def change(setup: Setup) -> Setup:
        seen.append(setup.currency)
        if len(seen) < 3:
            other.documents.change(SETUP, lambda _: Setup(currency=f"X{len(seen)}"))
        return setup.model_copy(update={"timezone": "Europe/Berlin"})

    cache.documents.change(SETUP, change)
    assert seen == [None, "X1", "X2"]
    assert cache.documents.read(SETUP) == Setup(currency="X2", timezone="Europe/Berlin")
    other.close()


def test_a_document_that_never_rests_is_given_up(
    shared: tuple[PostgreSQLStore, Cache], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "MAX_CONFLICTS", 3)
    store, cache = shared
    cache.documents.change(SETUP, lambda _: Setup())

    def change(setup: Setup) -> Setup:
        store.run("UPDATE orders_cache.documents SET version = version + 1")
        return setup

    with pytest.raises(CacheUnwritable, match="setup is changed all the time"):
        cache.documents.change(SETUP, change)


def test_a_damaged_document_is_initial_and_a_damaged_secret_an_error(
    shared: tuple[PostgreSQLStore, Cache], caplog: pytest.LogCaptureFixture
) -> None:
    store, cache = shared
    cache.documents.read(API_KEYS)
    cache.documents.change(RESTARTS, lambda restarts: restarts.add("api", "It ended.", now()))
    store.run("UPDATE orders_cache.documents SET body = left(body, -3)")
    assert cache.documents.read(RESTARTS) == Restarts()
    assert "The document restarts has a damaged record" in caplog.text
    with pytest.raises(CacheError, match="The document clients of the shared cache cannot be read") as failed:
        cache.documents.read(API_KEYS)
    assert failed.value.__suppress_context__
    cache.documents.change(RESTARTS, lambda restarts: restarts.add("api", "It ended.", now()))
    assert len(cache.documents.read(RESTARTS).services) == 1
