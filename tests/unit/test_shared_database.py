"""The database of the shared cache: its schema, its rights, how it fails, and a pooler in front of it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import psycopg
import pytest
from lab_fixtures import new_database
from stores import SOURCE, PostgreSQLStore, open_shared
from waiting import wait_for

from cache.errors import (
    CacheError,
    CacheFormat,
    CacheFull,
    CacheReadOnly,
    CacheUnreachable,
    CacheUnwritable,
    NoWorker,
    SettingsInvalid,
)
from cache.storage.documents import API_KEYS, SETUP
from cache.storage.records import Run, Worker
from cache.storage.shared import changes, schema
from cache.storage.shared.address import Address
from cache.storage.shared.changes import Changes
from cache.storage.shared.connections import Connection
from cache.storage.shared.database import Database, text_of
from cache.storage.store import Cache
from cache.table_setup import Setup
from lab.postgresql import PgBouncer, PostgreSQL, Running, folder_for_servers
from lab.processes import give
from lab.servers import free_port

SECRET = "s3cret-of-the-test"


def use(cache: Cache) -> None:
    """Everything once: a worker, a request, its sync and a document."""
    worker = Worker()
    assert cache.leadership.heartbeat(worker)
    task = cache.runs.request("test")
    run = Run(trigger="request")
    with cache.sync_lock():
        assert [claimed.id for claimed in cache.runs.begin(run)] == [task.id]
        cache.runs.report(run)
        cache.runs.finish(run.model_copy(update={"outcome": "unchanged", "generation": 7}))
    assert cache.runs.task(task.id).state == "completed"
    cache.documents.change(SETUP, lambda _: Setup(currency="EUR"))
    assert cache.documents.read(SETUP).currency == "EUR"
    cache.leadership.resign(worker)


# -- the address


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("postgresql://u:p@db.example:6000/shop", "db.example:6000"),
        ("postgres://u:p@db.example/shop", "db.example:5432"),
        ("postgresql://u:p@127.0.0.1/shop", "127.0.0.1:5432"),
        ("postgresql:///shop", "localhost:5432"),
    ],
)
def test_messages_name_the_server_by_host_and_port(url: str, place: str) -> None:
    assert Address.parse(url).place == place


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:{SECRET}@db.example:port/shop",
        f"postgresql://u:{SECRET}@db.example/shop?no_such_parameter=1",
        f"postgresql://u:{SECRET} more@db.example/shop",
        f"postgresql://u:{SECRET}/more@db.example/shop",
        f"postgresql://u:x@{SECRET}@db.example/shop",
        f"postgresql://u:{SECRET}%zz@db.example/shop",
        f"mysql://u:{SECRET}@db.example/shop",
        f"postgresql://u:{SECRET}@db.example/shop?sslmode=disable",
        f"postgresql://u:{SECRET}@db.example/shop?sslmode=prefer",
    ],
)
def test_a_wrong_address_is_refused_and_its_password_is_not_shown(url: str) -> None:
    with pytest.raises(SettingsInvalid, match="CACHE_URL") as refused:
        Address.parse(url)
    assert SECRET not in f"{refused.value} {refused.value.__cause__} {refused.value.__context__}"


TLS_VARIABLES = ("PGSSLMODE", "PGSSLROOTCERT", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TLS_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("plain_environment")
@pytest.mark.parametrize(
    ("url", "variables", "mode", "root"),
    [
        ("postgresql://db.example/shop", {}, "verify-full", "/dev/null"),
        ("postgresql://db.example/shop?sslrootcert=/ca.pem", {}, "verify-full", "/ca.pem"),
        ("postgresql://db.example/shop?sslmode=require", {}, "require", None),
        ("postgresql://10.0.0.1/shop", {}, "verify-full", "/dev/null"),
        ("postgresql://127.0.0.1/shop", {}, None, None),
        ("postgresql://[::1]/shop", {}, None, None),
        ("postgresql://localhost/shop", {}, None, None),
        ("postgresql:///shop?host=/run/postgresql", {}, None, None),
        ("postgresql://db.example/shop", {"SSL_CERT_FILE": "/ca.pem"}, "verify-full", "system"),
        ("postgresql://db.example/shop", {"PGSSLMODE": "require"}, "require", None),
        ("postgresql://db.example/shop", {"PGSSLMODE": ""}, "verify-full", "/dev/null"),
        ("postgresql://db.example/shop", {"PGSSLROOTCERT": "/ca.pem"}, "verify-full", "/ca.pem"),
        ("postgresql://db.example/shop?sslmode=verify-full", {"PGSSLMODE": "require"}, "verify-full", "/dev/null"),
    ],
)
def test_a_connection_is_encrypted_unless_it_stays_on_this_machine(
    url: str, variables: dict[str, str], mode: str | None, root: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.storage.shared.address.BUNDLES", ("/nowhere.pem", "/dev/null"))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    parameters = Address.parse(url).parameters
    assert (parameters.get("sslmode"), parameters.get("sslrootcert")) == (mode, root)


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
def test_no_variable_makes_a_connection_leave_unencrypted(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLMODE", mode)
    with pytest.raises(SettingsInvalid, match="PGSSLMODE"):
        Address.parse("postgresql://db.example/shop")


def test_the_password_is_no_part_of_a_representation() -> None:
    address = Address.parse(f"postgresql://u:{SECRET}@db.example/shop")
    database = Database(f"postgresql://u:{SECRET}@db.example/shop", SOURCE)
    assert SECRET not in f"{address!r} {address} {database!r} {database}"


@pytest.mark.parametrize(
    ("json", "stored"),
    [
        (r'"a\u0000b"', '"ab"'),
        (r'"\u0000\u0000"', '""'),
        (r'"a\\u0000b"', r'"a\\u0000b"'),
        (r'"a\\\u0000b"', r'"a\\b"'),
    ],
)
def test_a_nul_is_left_out_of_a_record_and_its_look_alike_stays(json: str, stored: str) -> None:
    assert text_of(json) == stored


# -- failures


@pytest.mark.slow
def test_a_stopped_server_is_named_without_password_and_may_return(
    own_server: tuple[PostgreSQL, Running], here: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, running = own_server
    caplog.set_level(logging.DEBUG)
    cache = open_shared(server.url(), here)
    use(cache)
    server.stop_at_once()
    calls = (
        cache.runs.version,
        cache.runs.queued,
        cache.runs.running,
        cache.runs.require_writable,
        lambda: cache.leadership.heartbeat(Worker()),
        cache.leadership.workers,
        lambda: cache.documents.read(API_KEYS),
        lambda: cache.sync_lock().__enter__(),
    )
    for call in calls:
        with pytest.raises(CacheUnreachable) as failed:
            call()
        place = f"127.0.0.1:{server.port}"
        assert failed.value.message == f"The shared cache at {place} does not answer: connection refused."
        assert server.password not in f"{failed.value} {failed.value.__cause__!r} {failed.value.__context__!r}"
    running.start()
    use(cache)
    assert server.password not in caplog.text
    cache.close()


@pytest.mark.slow
def test_a_sync_lives_through_a_server_that_starts_again(own_server: tuple[PostgreSQL, Running], here: Path) -> None:
    server, running = own_server
    cache = open_shared(server.url(), here)
    run = Run(trigger="test")
    with cache.sync_lock():
        cache.runs.begin(run)
        server.stop_at_once()
        with pytest.raises(CacheUnreachable):
            cache.runs.report(run)
        running.start()
        cache.runs.finish(run.model_copy(update={"outcome": "unchanged"}))
    assert [each.outcome for each in cache.runs.recent()] == ["unchanged"]
    cache.close()


@pytest.mark.slow
def test_a_refused_login_is_unreachable_and_shows_no_password(postgresql: PostgreSQL, here: Path) -> None:
    cache = open_shared(postgresql.url(password=SECRET), here)
    with pytest.raises(CacheUnreachable, match='password authentication failed for user "orders"') as failed:
        cache.runs.version()
    assert SECRET not in f"{failed.value} {failed.value.__context__!r}"


@pytest.mark.slow
def test_a_reason_that_repeats_the_password_is_not_shown(postgresql: PostgreSQL, here: Path) -> None:
    cache = open_shared(postgresql.url(user=SECRET, password=SECRET), here)
    with pytest.raises(CacheUnreachable, match="the login failed") as failed:
        cache.runs.version()
    assert SECRET not in str(failed.value)


@pytest.mark.slow
def test_a_full_disk_of_the_server_is_cache_full(shared_url: str, here: Path) -> None:
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    cache.leadership.heartbeat(Worker())
    store.run(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE SQLSTATE '53100' USING MESSAGE = 'could not extend file'; END $$;"
        "CREATE TRIGGER full_disk BEFORE INSERT ON orders_cache.tasks EXECUTE FUNCTION full_disk()"
    )
    with pytest.raises(CacheFull) as failed:
        cache.runs.request("test")
    assert failed.value.code == "cache_full"
    assert cache.runs.queued() == 0
    cache.close()


@pytest.mark.slow
def test_an_error_of_a_statement_repeats_no_row(shared_url: str, here: Path) -> None:
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    cache.runs.version()
    store.run("ALTER TABLE orders_cache.documents ADD CHECK (length(body) < 10)")
    with pytest.raises(CacheUnwritable, match="violates check constraint") as failed:
        cache.documents.change(SETUP, lambda _: Setup(currency="EUR"))
    assert failed.value.code == "cache_unwritable"
    assert "Failing row" not in str(failed.value)
    assert failed.value.__cause__ is None
    assert failed.value.__suppress_context__
    cache.close()


@pytest.mark.slow
def test_a_broken_write_changes_nothing_and_the_next_one_works(shared_url: str, here: Path) -> None:
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    cache.leadership.heartbeat(Worker())
    version = cache.runs.version()
    store.run("ALTER TABLE orders_cache.tasks ADD CONSTRAINT none CHECK (false)")
    with pytest.raises(CacheUnwritable):
        cache.runs.request("test")
    assert cache.runs.version() == version
    store.run("ALTER TABLE orders_cache.tasks DROP CONSTRAINT none")
    assert cache.runs.request("test").state == "queued"
    assert cache.runs.version() == version + 1
    cache.close()


# -- schema and rights


@pytest.mark.slow
def test_processes_that_start_at_once_make_one_schema(shared_url: str, here: Path) -> None:
    failed: list[CacheError] = []

    def start() -> None:
        cache = open_shared(shared_url, here)
        try:
            cache.runs.version()
        except CacheError as error:
            failed.append(error)
        cache.close()

    threads = [threading.Thread(target=start) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert PostgreSQLStore(shared_url, here).run("SELECT format FROM orders_cache.meta") == [(schema.FORMAT,)]


@pytest.mark.slow
def test_a_newer_format_is_refused_and_not_changed(shared_url: str, here: Path) -> None:
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    cache.runs.version()
    store.run("UPDATE orders_cache.meta SET format = format + 1")
    newer = store.open("late", "shop.customers")
    for call in (newer.runs.version, lambda: newer.leadership.heartbeat(Worker()), newer.sync_lock().__enter__):
        with pytest.raises(CacheFormat, match="The cache has format 2; this version reads formats up to 1"):
            call()
    assert store.run("SELECT DISTINCT source FROM orders_cache.terms") == [(SOURCE,)]
    newer.close()
    cache.close()


def with_role(postgresql: PostgreSQL, url: str, rights: str) -> str:
    """The address of the database for a new role that has only these rights on the tables."""
    name = f"role_{free_port()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{SECRET}'")
        if rights:
            connection.execute(f"GRANT USAGE ON SCHEMA orders_cache TO {name}")
            connection.execute(f"GRANT {rights} ON ALL TABLES IN SCHEMA orders_cache TO {name}")
    return postgresql.url(url.rpartition("/")[2], name, SECRET)


@pytest.mark.slow
def test_a_role_that_may_make_no_table_uses_the_schema_that_is_there(postgresql: PostgreSQL, here: Path) -> None:
    url = new_database(postgresql)
    owner = open_shared(url, here)
    owner.runs.version()
    cache = open_shared(with_role(postgresql, url, "SELECT, INSERT, UPDATE, DELETE"), here, source="shop.customers")
    use(cache)
    cache.close()
    owner.close()


@pytest.mark.slow
def test_a_role_that_may_only_read_reads_and_says_cache_read_only(postgresql: PostgreSQL, here: Path) -> None:
    url = new_database(postgresql)
    owner = open_shared(url, here)
    worker = Worker()
    owner.leadership.heartbeat(worker)
    reader = open_shared(with_role(postgresql, url, "SELECT"), here)
    assert [alive.id for alive in reader.leadership.workers()] == [worker.id]
    assert reader.runs.version() == owner.runs.version()
    for call in (reader.runs.require_writable, lambda: reader.runs.request("test"), reader.sync_lock().__enter__):
        with pytest.raises(CacheReadOnly, match="read-only for this database role"):
            call()
    reader.close()
    owner.close()


@pytest.mark.slow
def test_without_the_right_to_make_the_schema_the_error_says_so(postgresql: PostgreSQL, here: Path) -> None:
    url = new_database(postgresql)
    cache = open_shared(with_role(postgresql, url, ""), here)
    with pytest.raises(CacheReadOnly, match="the right to write the schema orders_cache"):
        cache.runs.version()
    cache.close()


# -- changes


@pytest.mark.slow
def test_a_waiting_reader_is_notified(shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 600)
    store = PostgreSQLStore(shared_url, here)
    cache, other = store.open(), store.open()
    for _ in range(2):  # the second time on a connection that already listens
        version = cache.runs.version()
        seen: list[int] = []
        reader = threading.Thread(target=lambda v=version, s=seen: s.append(cache.runs.wait(v, 600)), daemon=True)
        reader.start()
        wait_for(lambda: listens(store))
        other.documents.change(SETUP, lambda _: Setup(currency="EUR"))
        reader.join(60)
        assert seen == [version + 1]
    cache.close()
    other.close()


@pytest.mark.slow
def test_a_change_just_before_a_reader_listens_is_noticed(
    shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 600)
    store = PostgreSQLStore(shared_url, here)
    cache, other = store.open(), store.open()
    listen = Changes._listen

    def listen_late(self: Changes) -> Connection:
        other.documents.change(SETUP, lambda _: Setup(currency="EUR"))
        return listen(self)

    monkeypatch.setattr(Changes, "_listen", listen_late)
    version, seen = cache.runs.version(), []
    reader = threading.Thread(target=lambda: seen.append(cache.runs.wait(version, 600)), daemon=True)
    reader.start()
    reader.join(60)
    assert seen == [version + 1]
    cache.close()
    other.close()


@pytest.mark.slow
def test_a_reader_whose_listening_connection_was_cut_still_notices(
    shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.1)
    store = PostgreSQLStore(shared_url, here)
    cache = store.open()
    version = cache.runs.version()
    cache.runs.wait(version, 0.3)
    assert listens(store)
    store.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%max(digest)%' AND state = 'idle'"
    )
    assert cache.runs.wait(version, 0.3) == version
    store.run("UPDATE orders_cache.terms SET version = version + 1 WHERE name = 'sync'")  # without a notification
    assert cache.runs.wait(version, 60) == version + 1
    cache.close()


def listens(store: PostgreSQLStore) -> bool:
    """Whether a client listens."""
    return bool(store.run("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%max(digest)%' AND state = 'idle'"))


@pytest.mark.slow
def test_only_the_newest_requests_of_a_table_are_kept(
    shared_url: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cache.storage.shared.runs.KEPT_TASKS", 3)
    store = PostgreSQLStore(shared_url, here)
    cache, other = store.open(), store.open(source="shop.customers")
    for each in (cache, other):
        each.leadership.heartbeat(Worker())
    kept = other.runs.request("test").id
    asked = [cache.runs.request("test").id for _ in range(5)]
    more = [other.runs.request("test").id for _ in range(2)]
    asked.append(cache.runs.request("test").id)
    rows = store.run("SELECT id FROM orders_cache.tasks ORDER BY n")
    assert [id for (id,) in rows] == [kept, *asked[-3:-1], *more, asked[-1]]
    cache.close()
    other.close()


# -- a pooler


@pytest.mark.slow
def test_everything_works_through_a_pooler_of_transactions(
    postgresql: PostgreSQL, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "POLL_SECONDS", 0.1)  # it passes no notification
    name = new_database(postgresql).rpartition("/")[2]
    with folder_for_servers() as folder:
        give(folder, 0o755)
        bouncer = PgBouncer(folder, postgresql)
        with Running(bouncer, folder):
            caches = [open_shared(bouncer.url(name), here) for _ in range(2)]
            use(caches[0])
            for cache in caches:
                cache.leadership.heartbeat(Worker())
            version = caches[1].runs.version()
            asked: list[str] = []
            threads = [
                threading.Thread(target=lambda i=i: asked.append(caches[i % 2].runs.request("test").id))
                for i in range(12)
            ]
            for thread in threads:
                thread.start()
            assert caches[1].runs.wait(version, 60) > version
            for thread in threads:
                thread.join()
            with caches[1].sync_lock(), pytest.raises(CacheError, match="Another sync"), caches[0].sync_lock():
                pass
            with caches[1].sync_lock():
                assert {task.id for task in caches[1].runs.begin(Run(trigger="test"))} == set(asked)
            for cache in caches:
                cache.close()


@pytest.mark.slow
def test_without_a_worker_a_request_is_refused(shared_url: str, here: Path) -> None:
    cache = open_shared(shared_url, here)
    with pytest.raises(NoWorker):
        cache.runs.request("test")
    cache.close()
