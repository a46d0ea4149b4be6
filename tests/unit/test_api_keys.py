"""Several keys: added, listed and revoked by a command, kept hashed, held to their scopes, without a restart."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from cache_factory import cache_in, publish
from paths import ROOT
from sidecar_process import KEY, Sidecar, sidecar, worker

from api.__main__ import main
from cache.access.api_keys import ApiKey, ApiKeys, digest
from cache.errors import BadKey, CacheError
from cache.storage.documents import API_KEYS
from cache.storage.records import now
from cache.storage.store import Cache

Keys = Callable[..., tuple[int, str, str]]
UNAUTHORIZED = {"status": "error", "message": "Unauthorized access", "code": "unauthorized"}.items()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("keys"), FAILED_KEYS_LIMIT="off") as running:
        publish(running.cache)
        yield running


@pytest.fixture
def keys(api: Sidecar, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Keys:
    """`python -m api keys` for the cache of the sidecar, within this process: gives exit code, output and errors."""
    monkeypatch.setenv("DATA_DIR", str(api.folder / "var"))
    monkeypatch.setenv("CACHE_URL", f"file:{api.folder / 'cache'}")

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = main(["keys", *arguments])
        except SystemExit as ended:  # argparse
            code = int(str(ended.code))
        said = capsys.readouterr()
        return code, said.out.strip(), said.err

    return run


def ask(api: Sidecar, key: str, path: str = "/fetch-data", method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, api.url + path, headers={"X-API-Key": key})


def soon(api: Sidecar, key: str, status: int, path: str = "/fetch-data") -> httpx2.Response:
    """The answer once it has that status."""
    end = time.monotonic() + 10
    while (answer := ask(api, key, path)).status_code != status:
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)
    return answer


def add(api: Sidecar, name: str, **changes: object) -> str:
    """A key of that name, added as the command does."""
    key = f"key-of-{name}"
    made = ApiKey(name=name, digest=digest(key), scopes=("read",), created_at=now())
    api.cache.documents.change(API_KEYS, lambda clients: clients.add(made.model_copy(update=changes)))
    soon(api, key, 200, "/status")
    return key


@pytest.mark.slow
def test_a_masked_key_is_told_what_is_hidden_and_which_texts_are_not(keys: Keys) -> None:
    code, _, said = keys("add", "agency", "--masked")
    assert code == 0
    assert "Hidden from it: email, customer_name, note, destination.\n" in said
    assert "JSON without its personal data: line_items.\n" in said
    assert "Texts that it sees: name, financial_status, fulfillment_status, currency.\n" in said


@pytest.mark.slow
def test_a_key_that_is_added_works_soon_and_not_once_it_is_revoked(api: Sidecar) -> None:
    command = [sys.executable, "-m", "api", "keys"]
    environment = {
        "PYTHONPATH": str(ROOT),
        "DATA_DIR": str(api.folder / "var"),
        "CACHE_URL": f"file:{api.folder / 'cache'}",
    }
    added = subprocess.run(
        [*command, "add", "shop"], cwd=api.folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    key = added.stdout.strip()
    assert len(key) >= 43
    assert soon(api, key, 200).json()["count"] == 3
    assert ask(api, KEY).status_code == 200
    subprocess.run([*command, "revoke", "shop"], cwd=api.folder, env=environment, check=True)
    assert soon(api, key, 401).json().items() > UNAUTHORIZED


@pytest.mark.slow
def test_a_stream_ends_with_its_key(api: Sidecar) -> None:
    with httpx2.stream("GET", f"{api.url}/events", headers={"X-API-Key": add(api, "watcher")}, timeout=30) as events:
        lines = events.iter_lines()
        assert '"generation": 1' in next(line for line in lines if line.startswith("data:"))
        api.cache.documents.change(API_KEYS, lambda clients: clients.revoke("watcher"))
        soon(api, "key-of-watcher", 401, "/status")
        publish(api.cache, 5)
        assert [line for line in lines if line.startswith("data:")] == []


def test_the_list_shows_what_each_key_may_do_and_no_key(keys: Keys) -> None:
    _, key, _ = keys("add", "till-1", "--scope", "read", "--scope", "refresh", "--masked", "--expires", "90d")
    _, listed, _ = keys("list")
    assert "till-1" in listed and "read and refresh, personal data hidden, expires " in listed
    assert key not in listed
    assert digest(key) not in listed


def test_keys_are_kept_as_digests_in_a_file_that_only_its_owner_reads(api: Sidecar, keys: Keys) -> None:
    _, key, _ = keys("add", "kept")
    file = api.folder / "var/kept/clients.json"
    assert key not in file.read_text()
    assert digest(key) in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["add", "twice"], "already"),
        (["add", "default"], "already"),
        (["add", "dashboard"], "already"),
        (["add", "no name"], "cannot be the name"),
        (["add", "x", "--expires", "soon"], "not a duration"),
        (["add", "x", "--expires", "2001-01-01"], "in the past"),
        (["add", "x", "--scope", "write"], "invalid choice"),
        (["revoke", "nobody"], "no key named"),
        (["revoke", "default"], "ORDERS_API_KEY"),
        ([], "usage"),
    ],
)
def test_what_the_command_does_not_take_is_said_and_changes_nothing(
    api: Sidecar, keys: Keys, arguments: list[str], said: str
) -> None:
    if not any(key.name == "twice" for key in api.cache.documents.read(API_KEYS).keys):
        add(api, "twice")
    before = api.cache.documents.read(API_KEYS)
    code, _, errors = keys(*arguments)
    assert code != 0
    assert said in errors
    assert api.cache.documents.read(API_KEYS) == before


@pytest.mark.slow
def test_an_expired_key_is_answered_as_a_wrong_one(api: Sidecar) -> None:
    key = add(api, "short", expires_at=now() + timedelta(seconds=3))
    assert soon(api, key, 401).json().items() > UNAUTHORIZED


@pytest.mark.slow
def test_a_key_to_read_may_not_ask_for_a_refresh(api: Sidecar) -> None:
    key = add(api, "reader")
    for method, path in (("POST", "/refresh"), ("GET", "/fetch-data?refresh=true")):
        answer = ask(api, key, path, method)
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
        assert "reader" in answer.json()["message"] and "--scope refresh" in answer.json()["message"]
    assert ask(api, key, "/status").status_code == 200


@pytest.mark.slow
def test_a_key_to_refresh_may_not_read(api: Sidecar) -> None:
    key = add(api, "hook", scopes=("refresh",))
    with worker(api.cache):
        asked = ask(api, key, "/refresh", "POST")
    assert asked.status_code == 202
    assert ask(api, key, asked.headers["location"]).status_code == 200
    assert ask(api, key).status_code == 403


def test_the_key_of_the_settings_may_do_everything(api: Sidecar) -> None:
    with worker(api.cache):
        assert ask(api, KEY, "/refresh", "POST").status_code == 202
    assert ask(api, KEY).status_code == 200


@pytest.mark.slow
def test_a_key_may_come_as_a_bearer_token(api: Sidecar) -> None:
    key = add(api, "bearer")
    for scheme in ("Bearer", "bearer", "BEARER"):
        headers = {"Authorization": f"{scheme} {key}"}
        assert httpx2.get(f"{api.url}/fetch-data", headers=headers).status_code == 200
    assert httpx2.get(f"{api.url}/fetch-data", headers={"Authorization": f"Basic {key}"}).status_code == 401


@pytest.mark.slow
def test_a_key_may_come_as_the_password_of_http_basic(api: Sidecar) -> None:
    key = add(api, "basic")
    for user in ("", "api", "basic"):
        assert httpx2.get(f"{api.url}/fetch-data", auth=(user, key)).status_code == 200
        assert httpx2.get(f"{api.url}/status", auth=(user, key)).status_code == 200
    ran = subprocess.run(
        ["curl", "-s", "-u", f":{key}", "-w", "%{http_code}", "-o", "/dev/null", f"{api.url}/fetch-data?format=csv"],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert ran.stdout == "200"
    # that of a proxy in front is no wrong key
    headers = {"X-API-Key": key}
    assert httpx2.get(f"{api.url}/status", auth=("proxy", "other"), headers=headers).status_code == 200
    signed = httpx2.post(f"{api.url}/sign", headers=headers, json={"path": "/fetch-data"}).json()["address"]
    assert httpx2.get(api.url + signed, auth=("proxy", "other")).status_code == 200
    assert httpx2.get(f"{api.url}/openapi.json", auth=("proxy", "other")).status_code == 200


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({"Authorization": "Basic Ondyb25n"}, "Basic"),
        ({"Authorization": "basic"}, "Basic"),
        ({"Authorization": "Basic no base64"}, "Basic"),
        ({"Authorization": "Basic bm9jb2xvbg=="}, "Basic"),
        ({"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}, "Basic"),
        ({"Accept": "text/html", "X-API-Key": "wrong"}, "Basic"),
        ({"Accept": "application/json"}, "Bearer"),
        ({}, "Bearer"),
    ],
)
def test_a_password_is_asked_for_where_somebody_can_type_it(
    api: Sidecar, headers: dict[str, str], challenge: str
) -> None:
    answer = httpx2.get(f"{api.url}/fetch-data", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
    assert answer.headers["www-authenticate"].split()[0] == challenge


def test_a_password_that_a_browser_adds_for_another_site_does_not_count(api: Sidecar) -> None:
    def status(method: str, site: str, mode: str) -> int:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode}
        return httpx2.request(method, f"{api.url}/status", auth=("", KEY), headers=headers).status_code

    assert [status("GET", site, "cors") for site in ("none", "same-origin", "same-site", "cross-site")] == [
        *(200, 200, 401, 401)
    ]
    assert status("GET", "cross-site", "navigate") == 200
    posted = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert httpx2.post(f"{api.url}/refresh", auth=("", KEY), headers=posted).status_code == 401


LONG = pytest.param("k" * 20_000, marks=pytest.mark.not_on("sub-path", why="nginx refuses a head of this size itself"))


@pytest.mark.parametrize("key", ["", "x", KEY[:-1], KEY + "x", KEY.upper(), digest(KEY), "\xff", LONG])
def test_anything_but_a_key_is_refused(api: Sidecar, key: str) -> None:
    answer = httpx2.get(f"{api.url}/fetch-data", headers={b"X-API-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json().items() > UNAUTHORIZED) == (401, True)


def test_two_processes_that_open_a_cache_know_one_secret(tmp_path: Path) -> None:
    first, second = cache_in(tmp_path), cache_in(tmp_path)
    assert first.documents.read(API_KEYS).secret == second.documents.read(API_KEYS).secret
    first.close()
    second.close()


def test_a_damaged_file_of_keys_is_said_and_admits_nobody_new(tmp_path: Path) -> None:
    cache = cache_in(tmp_path)
    cache.documents.read(API_KEYS)
    (tmp_path / "var/kept/clients.json").write_text('{"secret": ')
    with pytest.raises(CacheError, match=r"clients\.json"):
        cache.documents.read(API_KEYS)
    cache.close()


@pytest.mark.slow
def test_while_the_keys_cannot_be_read_those_that_are_known_go_on(tmp_path_factory: pytest.TempPathFactory) -> None:
    with sidecar(tmp_path_factory.mktemp("damaged-keys")) as running:
        publish(running.cache)
        key = add(running, "known")
        assert ask(running, key).status_code == 200
        (running.folder / "var/kept/clients.json").write_text("{")
        time.sleep(0.6)
        assert ask(running, key).status_code == 200
        assert ask(running, KEY).status_code == 200
    assert running.log().count("clients.json cannot be read") == 1


def test_a_name_can_be_given_again_once_it_is_revoked() -> None:
    key = ApiKey(name="shop", digest=digest("x"), scopes=("read",), created_at=now())
    clients = ApiKeys().add(key)
    with pytest.raises(BadKey):
        clients.add(key)
    assert clients.revoke("shop").add(key).keys == (key,)


@pytest.mark.parametrize(
    "damaged",
    [
        {"digest": "no hexadecimal"},
        {"digest": "ab"},
        {"name": "default"},
        {"name": "a key\n"},
        {"scopes": ["everything"]},
        {"expires_at": "2030-01-01T00:00:00"},
        {"created_at": None},
    ],
)
def test_a_damaged_key_is_left_out_and_the_others_are_kept(
    cache: Cache, here: Path, damaged: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    keys = [ApiKey(name=name, digest=digest(name), scopes=("read",), created_at=now()) for name in ("a", "b", "c")]
    cache.documents.change(API_KEYS, lambda document: document.model_copy(update={"keys": tuple(keys)}))
    path = here / "var/kept/clients.json"
    document = json.loads(path.read_bytes())
    document["keys"][1] |= damaged
    path.write_text(json.dumps(document))
    read = cache.documents.read(API_KEYS)
    assert [key.name for key in read.keys] == ["a", "c"]
    assert read.secret == document["secret"]
    assert "API key 2" in caplog.text
    assert digest("b") not in caplog.text


@pytest.mark.slow
def test_a_damaged_key_stops_no_request(tmp_path: Path) -> None:
    with closing(cache_in(tmp_path)) as cache:
        document = cache.documents.read(API_KEYS).model_dump(mode="json")
    broken = {"name": "b", "digest": "zz", "scopes": ["read"], "created_at": "2026-01-01T00:00:00Z"}
    (tmp_path / "var/kept/clients.json").write_text(json.dumps({**document, "keys": [broken]}))
    with sidecar(tmp_path) as api:
        publish(api.cache)
        assert ask(api, KEY).status_code == 200
