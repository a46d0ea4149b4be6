"""Feeds: addresses for programs that can send no key. One path and query each, masked, revocable, in no log."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import COLUMNS, cache_in, order, publish
from sidecar_process import Sidecar, served_here, sidecar
from waiting import wait_for

from api.__main__ import main
from api.contract.errors import ParameterInvalid
from api.contract.operations import path_label
from api.contract.queries.feed_query import FEEDABLE, read_feed_query
from api.routes import feeds
from api.routes.feeds import LastUses
from cache.access.api_keys import ApiKeys, digest
from cache.access.feeds import Feed
from cache.access.masking import Mask
from cache.errors import BadFeed
from cache.operations.backup import restore_backup, write_backup
from cache.storage.documents import API_KEYS, FEED_USES, FeedUses
from cache.storage.records import now
from cache.storage.shared.shared_cache import open_shared
from cache.storage.store import Cache
from one_port import is_of_api

Feeds = Callable[..., tuple[int, str, str]]
ROWS = 12
FIELDS = "fields=id,email,note,total_price"
CSV = f"/fetch-data?format=csv&{FIELDS}"


def feed(name: str = "weekly", token: str = "token", **changes: Any) -> Feed:
    made = Feed(name=name, digest=digest(token), path="/fetch-data", query="format=csv", created_at=now())
    return made.model_copy(update=changes)


# -- what a feed may stand for


@pytest.mark.parametrize(
    ("address", "path", "query"),
    [
        ("/fetch-data?format=csv", "/fetch-data", "format=csv&formulas=defuse"),
        ("/fetch-data?format=csv&formulas=keep", "/fetch-data", "format=csv&formulas=keep"),
        ("/v1/api/data", "/fetch-data", "format=json"),
        ("/fetch-data?facet=id&limit=0", "/fetch-data", "facet=id&limit=0&format=json"),
        ("/fetch-data?refresh=false&stream=no&format=xlsx", "/fetch-data", "refresh=false&stream=no&format=xlsx"),
        ("/figures?metric=orders&format=sqlite", "/figures", "metric=orders&format=sqlite"),
        ("/figures/events?metric=orders", "/figures/events", "metric=orders&format=json"),
    ],
)
def test_the_format_and_harmless_formulas_are_written_out(address: str, path: str, query: str) -> None:
    assert read_feed_query(address) == (path, query)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "/fetch-data?refresh=true",
            "Parameter 'refresh' cannot stand in a feed: whoever opens the address would start",
        ),
        ("/fetch-data?wait", "Parameter 'wait' cannot stand in a feed"),
        ("/fetch-data?stream=1", "Parameter 'stream' cannot stand in a feed: its readers expect a file that ends."),
        ("/fetch-data?after=AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT", "Parameter 'after' cannot stand in a feed: a page"),
        ("/figures?after=AAAAAAAAAAwAAAAAAAAAZGfS3p2LaLhT", "Parameter 'after' cannot stand in a feed: a page"),
        ("/figures?nothing=1", "Unknown parameter 'nothing'."),
        ("/figures/events", "Parameter 'metric' is missing."),
        ("/fetch-data?format=xml", "Parameter 'format' does not parse. It takes json, ndjson,"),
        ("/fetch-data?format=csv&facet=id", "Parameter 'facet' needs JSON."),
        ("/fetch-data?bom=true", "Parameter 'bom' is for CSV."),
        ("/changes?since=1", f"A feed cannot stand for this path. Paths that it can: {', '.join(FEEDABLE)}."),
        ("/feeds/x", "A feed cannot stand for this path."),
        ("https://shop.example/fetch-data", "A feed cannot stand for this path."),
        ("/fetch-data?expires=1&signature=x.y", "This address is signed."),
        ("/fetch-data?name=a b", "This is no address as a program sends it."),
        ("/fetch-data?limit=1#top", "This is no address as a program sends it."),
        (f"/fetch-data?name={'x' * 8_000}", "This is no address as a program sends it."),
    ],
)
def test_what_no_feed_can_give_is_refused_with_the_reason(address: str, message: str) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        read_feed_query(address)
    assert str(refused.value).startswith(message)


# -- what is kept


def test_a_damaged_feed_is_left_out_and_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    kept = ApiKeys().add_feed(feed()).add_feed(feed("other", "other"))
    stored = json.loads(kept.model_dump_json())
    stored["feeds"][0]["digest"] = "x"
    with caplog.at_level(logging.WARNING):
        assert [each.name for each in ApiKeys.model_validate(stored).feeds] == ["other"]
    assert "Feed 1 in the list of feeds is damaged" in caplog.text
    assert ApiKeys.model_validate_json('{"keys": []}').feeds == ()  # of an earlier version


def test_names_of_feeds_are_their_own() -> None:
    keys = ApiKeys().add_feed(feed("default"))
    with pytest.raises(BadFeed, match="already"):
        keys.add_feed(feed("default"))
    with pytest.raises(BadFeed, match="cannot be the name"):
        keys.add_feed(feed("a b"))
    with pytest.raises(BadFeed, match="no feed named 'x'"):
        keys.revoke_feed("x")
    assert keys.revoke_feed("default").feeds == ()


def test_what_was_hidden_once_stays_hidden_beside_what_is_hidden_today() -> None:
    columns = [
        column.model_copy(update={"kind": "text" if column.name == "test" else column.kind}) for column in COLUMNS
    ]
    today, frozen = Mask(("note",), ("line_items",)), Mask(("email", "gone"), ("line_items", "test", "id"))
    assert today.with_frozen(frozen, columns) == Mask(("id", "email", "note"), ("line_items", "test"))
    assert today.with_frozen(Mask(("line_items",)), columns) == Mask(("note", "line_items"), ())


def test_uses_of_feeds_are_merged_and_those_of_revoked_ones_dropped() -> None:
    early, late = now(), now() + timedelta(minutes=1)
    uses = FeedUses(last={"a": late, "b": early, "c": early})
    assert uses.with_uses({"a": early, "b": late, "d": late}, {"a", "b"}).last == {"a": late, "b": late}


def test_a_token_is_never_part_of_a_label_and_the_api_answers_on_one_port() -> None:
    assert path_label("/feeds/secret") == path_label("/feeds/a/b") == "/feeds/{token}"
    assert is_of_api("/feeds/secret") and is_of_api("/v1/feeds/secret")


# -- the running API


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("feeds"), FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache, [{**order(i), "note": "=1+1"} for i in range(ROWS)])
        yield running


@pytest.fixture
def command(api: Sidecar, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Feeds:
    """`python -m api feeds` for the cache of the sidecar, within this process: gives exit code, output and errors."""
    monkeypatch.setenv("DATA_DIR", str(api.folder / "var"))
    monkeypatch.setenv("CACHE_URL", f"file:{api.folder / 'cache'}")

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["feeds", *arguments])
        except SystemExit as ended:  # argparse
            code = int(str(ended.code))
        said = capsys.readouterr()
        return code, said.out.strip(), said.err

    return run


def stored(api: Sidecar, name: str, **changes: Any) -> str:
    """The address of a feed that is put into the cache, once the API knows it."""
    api.cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed(name, f"token-of-{name}", **changes)))
    time.sleep(0.6)
    return f"{api.url}/feeds/token-of-{name}"


def seen(answer: httpx2.Response) -> tuple[int, dict[str, str], bytes]:
    body = answer.content.replace(answer.headers["x-request-id"].encode(), b"")
    return answer.status_code, {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}, body


@pytest.mark.slow
def test_a_feed_works_without_a_key_until_it_is_revoked(api: Sidecar, command: Feeds) -> None:
    code, address, said = command("add", "weekly", "--path", CSV, "--days", "30")
    assert (code, address[:7], len(address)) == (0, "/feeds/", 50)
    assert "Hidden from its readers: email, customer_name, note, destination, line_items." in said
    time.sleep(0.6)
    for url in (api.url, api.prefixed):
        answer = httpx2.get(url + address)
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [list(rows[0].values()), len(rows)] == [["1000", "***", "***", "598.94"], ROWS]
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["referrer-policy"] == "no-referrer"
    assert command("revoke", "weekly")[:2] == (0, "The feed 'weekly' is revoked.")
    time.sleep(0.6)
    assert httpx2.get(api.url + address).json()["code"] == "unknown_feed"
    assert command("revoke", "weekly")[0] == 1


@pytest.mark.soak
@pytest.mark.slow
def test_an_unmasked_feed_shows_everything_and_defuses_formulas(api: Sidecar, command: Feeds) -> None:
    _, address, said = command("add", "all", "--path", CSV, "--unmasked")
    assert "personal data shown" in said
    time.sleep(0.6)
    rows = list(csv.DictReader(io.StringIO(httpx2.get(api.url + address).text)))
    assert (rows[0]["email"], rows[0]["note"]) == (order(0)["email"], "'=1+1")


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.parametrize(
    "path",
    [
        pytest.param("/figures?metric=orders&by=status&format=csv", marks=pytest.mark.soak),
        "/figures/events?metric=orders",
    ],
)
def test_figures_may_be_fed_too(api: Sidecar, command: Feeds, path: str) -> None:
    _, address, _ = command("add", "f" + str(len(path)), "--path", path)
    time.sleep(0.6)
    fed, own = httpx2.get(api.url + address, timeout=60), api.client.get(path, timeout=60)
    assert (fed.status_code, len(fed.content)) == (200, len(own.content))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/fetch-data?email=a@b.example", "Column 'email' is hidden"),
        ("/fetch-data?sort=-email", "Column 'email' is hidden"),
        ("/fetch-data?facet=note", "Column 'note' is hidden"),
        ("/fetch-data?emial=x", "Did you mean 'email'?"),
        ("/fetch-data?fields=nothing&format=csv", "There is no column 'nothing'."),
        ("/fetch-data?total_price__gt=much", "total_price"),
        ("/figures/events?metric=orders&country=DE", "'country' comes from a column that is hidden"),
        ("/fetch-data?refresh=true", "Parameter 'refresh' cannot stand in a feed"),
    ],
)
def test_a_feed_that_its_readers_would_be_refused_is_not_made(
    api: Sidecar, command: Feeds, path: str, said: str
) -> None:
    code, address, errors = command("add", "refused", "--path", path)
    assert (code, address) == (1, "")
    assert said in errors
    assert "refused" not in {each.name for each in api.cache.documents.read(API_KEYS).feeds}


@pytest.mark.parametrize("days", ["0", "-1", "4000", "x", "1.5"])
def test_days_are_a_number_of_days(command: Feeds, days: str) -> None:
    code, _, errors = command("add", "x", "--path", CSV, "--days", days)
    assert code == 2 and "days from 1 to 3650" in errors


@pytest.mark.slow
def test_a_feed_of_an_empty_cache_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CACHE_URL", f"file:{tmp_path / 'cache'}")
    assert main(["feeds", "add", "early", "--path", CSV]) == 1


@pytest.mark.slow
def test_unknown_revoked_and_expired_feeds_answer_the_same(api: Sidecar) -> None:
    gone, over = stored(api, "gone"), stored(api, "over", expires_at=now() - timedelta(seconds=1))
    api.cache.documents.change(API_KEYS, lambda keys: keys.revoke_feed("gone"))
    time.sleep(0.6)
    answers = [seen(httpx2.get(url)) for url in (gone, over, f"{api.url}/feeds/never", f"{over}?x=1")]
    assert answers[0][0] == 404 and all(answer == answers[0] for answer in answers)
    assert seen(httpx2.head(gone))[:1] == seen(httpx2.head(over))[:1] == (404,)


@pytest.mark.slow
def test_a_feed_is_read_as_its_path_is(api: Sidecar) -> None:
    url = stored(api, "read", query="format=parquet")
    whole = httpx2.get(url)
    head = httpx2.head(url)
    assert int(head.headers["content-length"]) == len(whole.content)
    assert httpx2.get(url, headers={"Range": "bytes=0-3"}).content == b"PAR1"
    assert httpx2.get(url, headers={"If-None-Match": whole.headers["etag"]}).status_code == 304
    assert httpx2.post(url).status_code == 405
    assert httpx2.get(f"{url}?_=17&t=1").status_code == 200
    refused = httpx2.get(f"{url}?format=csv")
    assert (refused.status_code, refused.json()["code"]) == (400, "parameter_invalid")
    assert "/feeds/{token} takes no parameters." in refused.json()["message"]


@pytest.mark.slow
def test_no_header_of_a_reader_changes_what_a_feed_gives(api: Sidecar) -> None:
    url = stored(api, "plain", query="format=json&limit=2")
    for accept in ("text/csv", "application/vnd.apache.parquet", "text/html"):
        answer = httpx2.get(url, headers={"Accept": accept, "X-API-Key": "wrong", "Last-Event-ID": "done"})
        assert answer.json()["count"] == 2
        assert "link" not in answer.headers


@pytest.mark.slow
def test_the_key_of_a_feed_opens_nothing_else(api: Sidecar) -> None:
    stored(api, "narrow")
    for headers in ({"X-API-Key": "token-of-narrow"}, {"Authorization": "Bearer token-of-narrow"}):
        assert httpx2.get(f"{api.url}/fetch-data", headers=headers).status_code == 401
    forged = httpx2.get(f"{api.url}/fetch-data?expires=9999999999&signature=feed:narrow.x")
    assert forged.json()["code"] == "signature_invalid"


@pytest.mark.slow
def test_what_is_hidden_is_frozen_and_grows_with_the_settings(tmp_path: Path) -> None:
    frozen = {"query": "format=json&fields=email,name,note", "mask": Mask(("email",))}
    with sidecar(tmp_path, SAFE_COLUMNS="email,note", PERSONAL_COLUMNS="name") as running:
        publish(running.cache, 2)
        row = httpx2.get(stored(running, "frozen", **frozen)).json()["data"][0]
        assert row == {"email": "***", "name": "***", "note": order(0)["note"]}
        by_name = httpx2.get(stored(running, "by_name", query="format=json&sort=name"))
        assert (by_name.status_code, by_name.json()["code"]) == (403, "column_masked")
        by_email = httpx2.get(stored(running, "by_email", query="format=csv&email__contains=a", mask=Mask(("email",))))
        assert by_email.status_code == 403
        country = stored(running, "c", path="/figures", query="by=country&format=json", mask=Mask(("destination",)))
        assert httpx2.get(country, timeout=60).status_code == 403


@pytest.mark.slow
def test_a_feed_is_limited_like_a_key_and_a_guess_like_a_stranger(tmp_path: Path) -> None:
    with sidecar(tmp_path, RATE_LIMIT="5/minute") as running:
        publish(running.cache, 2)
        url = stored(running, "often")
        statuses = [httpx2.get(f"{running.url}/feeds/guess").status_code for _ in range(7)]
        assert statuses == [404] * 5 + [429] * 2
        answers = [httpx2.get(url) for _ in range(6)]
        assert [answer.status_code for answer in answers] == [200] * 5 + [429]
        assert answers[0].headers["ratelimit"].startswith('"key";r=4')


@pytest.mark.slow
def test_the_last_use_is_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "var"))
    monkeypatch.setenv("CACHE_URL", f"file:{tmp_path / 'cache'}")
    with served_here(tmp_path, 2, api__routes__feeds__WRITE_SECONDS=0.1) as (url, cache):
        cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed("used")).add_feed(feed("unused", "other")))
        wait_for(lambda: httpx2.get(f"{url}/feeds/token").status_code == 200)
        wait_for(lambda: cache.documents.read(FEED_USES).last)
    assert (main(["feeds", "list"]), main(["feeds", "list", "--json"])) == (0, 0)
    plain, _, as_json = capsys.readouterr().out.partition("[")
    assert "; last used 20" in plain and "; never used\n" in plain and "/fetch-data?format=csv" in plain
    used, unused = json.loads("[" + as_json)
    assert used["last_used_at"] and unused["last_used_at"] is None
    assert "digest" not in used and digest("token") not in plain + as_json


@pytest.mark.slow
def test_one_process_writes_the_uses_of_a_minute_at_once(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[dict[str, Any]] = []
    cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed()).add_feed(feed("other", "other")))
    record = LastUses._record
    monkeypatch.setattr(LastUses, "_record", lambda self, noted: writes.append(dict(noted)) or record(self, noted))
    monkeypatch.setattr(feeds, "WRITE_SECONDS", 0.3)

    async def use() -> None:
        uses = LastUses(cache)
        uses.note(digest("token"))
        await asyncio.sleep(0.1)
        for _ in range(100):
            uses.note(digest("other"))
        uses.note(digest("revoked"))
        assert len(writes) == 1
        await asyncio.sleep(0.4)
        assert len(writes) == 2
        uses.note(digest("token"))
        await uses.stop()

    asyncio.run(use())
    assert len(writes) == 3
    assert set(cache.documents.read(FEED_USES).last) == {digest("token"), digest("other")}


@pytest.mark.slow
def test_no_log_and_no_metric_has_a_token(tmp_path: Path) -> None:
    token = "token-of-secret"
    with sidecar(tmp_path, LOG_LEVEL="debug") as running:
        publish(running.cache, 2)
        url = stored(running, "secret")
        prefixed = f"{running.prefixed}/feeds/{token}"
        asked = [url, f"{url}?x=1", f"{url}/more", f"{url}%20", prefixed, f"{url}?signature=a"]
        for each in asked:
            answer = httpx2.get(each)
            assert token not in answer.text and token not in str(answer.headers)
        httpx2.head(url)
        httpx2.options(url)
        metrics = running.client.get("/metrics").text
        assert 'path="/feeds/{token}"' in metrics and token not in metrics
    log = running.log()
    assert "path=/feeds/{token} status=200" in log and "key=feed:secret" in log
    assert token not in log + "".join(running.said)
    kept = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert token.encode() not in kept and digest(token).encode() in kept


@pytest.mark.soak
@pytest.mark.slow
def test_a_feed_of_a_shared_cache_works_on_every_host(
    shared_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with ExitStack() as stack:
        shared = stack.enter_context(closing(open_shared(shared_url, "orders", tmp_path / "worker", "worker")))
        shared.leadership.workers()  # makes the schema
        with shared.sync_lock():
            publish(shared, 3)
        hosts = []
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            place = {"CACHE_URL": shared_url, "CACHE_FOLDER": str(tmp_path / name / "copy")}
            hosts.append(stack.enter_context(sidecar(tmp_path / name, **place)))
        for host in hosts:
            wait_for(lambda host=host: host.client.get("/fetch-data").status_code == 200, 20)
        own = {"CACHE_URL": shared_url, "CACHE_FOLDER": str(tmp_path / "a/copy"), "DATA_DIR": str(tmp_path / "a/var")}
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        assert main(["feeds", "add", "weekly", "--path", CSV]) == 0
        address = capsys.readouterr().out.strip()
        for host in hosts:
            wait_for(lambda host=host: httpx2.get(host.url + address).status_code == 200)
            assert "***" in httpx2.get(host.url + address).text
        wait_for(lambda: shared.documents.read(FEED_USES).last, 20)
        assert main(["feeds", "revoke", "weekly"]) == 0
        for host in hosts:
            wait_for(lambda host=host: httpx2.get(host.url + address).status_code == 404)


@pytest.mark.slow
def test_a_backup_carries_feeds(cache: Cache, tmp_path: Path) -> None:
    publish(cache, 1)
    cache.documents.change(API_KEYS, lambda keys: keys.add_feed(feed(mask=Mask(("email",)))))
    key_file = tmp_path / "api_key"
    with closing(cache_in(tmp_path / "other")) as other:
        write_backup(cache, tmp_path / "orders.backup", key_file)
        restore_backup(other, tmp_path / "orders.backup", key_file)
        assert other.documents.read(API_KEYS).feeds == cache.documents.read(API_KEYS).feeds
