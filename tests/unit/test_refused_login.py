"""After a refused login no login is tried again by itself, and each person who asks gets one try."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from cache_factory import publish
from sidecar_process import Sidecar, sidecar, sync, worker

from cache.errors import OrdersError
from cache.storage.records import now
from cache.storage.store import Cache
from scraper.errors import LoginRefused, Unreachable
from scraper.login.steps.form import CaptchaShown
from scraper.login.steps.second_factor import SecondFactorRefused
from scraper.login.steps.server_choice import ServerChoiceNeeded

REFUSED = LoginRefused("phpMyAdmin refused the login: Access denied.")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    with sidecar(tmp_path_factory.mktemp("refused")) as running:
        publish(running.cache, 3, verified_at=now() - timedelta(hours=1))
        with worker(running.cache):
            yield running


@pytest.fixture(autouse=True)
def answered(api: Sidecar) -> Iterator[None]:
    """A test leaves no request to the next one."""
    yield
    fail(api.cache, Unreachable("It does not answer."))


def fail(cache: Cache, error: OrdersError) -> None:
    with sync(cache, error=error.trouble()):
        pass


def refresh(api: Sidecar) -> str:
    info: str = api.client.get("/fetch-data?refresh=true&limit=1").json()["_info"]
    return info


@pytest.mark.parametrize("error", [LoginRefused, CaptchaShown, SecondFactorRefused, ServerChoiceNeeded])
def test_refresh_true_starts_nothing_and_says_why(api: Sidecar, error: type[OrdersError]) -> None:
    fail(api.cache, error("It was refused."))
    for _ in range(12):
        assert refresh(api) == f"No refresh was started: the last sync failed. It was refused. {error.advice}"
    assert api.cache.status().queued == 0


def test_requests_of_pages_that_waited_for_the_refused_login_fail_too(api: Sidecar) -> None:
    with sync(api.cache, error=REFUSED.trouble()):
        assert refresh(api) == "A refresh is running; another one follows for this request."
        pressed = api.client.post("/refresh").json()["task_id"]
        assert api.cache.status().queued == 2
    assert api.cache.status().queued == 1
    assert api.cache.runs.task(pressed).state == "queued"


def test_a_stream_and_a_request_that_waits_end_with_the_refused_login(api: Sidecar) -> None:
    fail(api.cache, REFUSED)
    lines = api.client.get("/fetch-data?stream=true&refresh=true&limit=1").text.split("\n")
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["cached", "error", "done"]
    assert events[1] == {"type": "error", "message": str(REFUSED), "code": "login_refused"}
    answer = api.client.get("/fetch-data?wait=true")
    assert (answer.status_code, answer.json()["code"]) == (502, "login_refused")
    assert api.client.get(answer.headers["location"]).json()["error"]["code"] == "login_refused"
    assert api.cache.status().queued == 0


def test_post_refresh_tries_once_each_time(api: Sidecar) -> None:
    fail(api.cache, REFUSED)
    for _ in range(2):
        answer = api.client.post("/refresh")
        assert (answer.status_code, answer.json()["status"]) == (202, "triggered")
        assert refresh(api).startswith("No refresh was started")
        assert api.cache.status().queued == 1
        fail(api.cache, REFUSED)
        task = api.client.get(answer.headers["location"]).json()
        assert (task["status"], task["error"]["code"]) == ("failed", "login_refused")


def test_after_a_successful_sync_or_another_error_pages_refresh_again(api: Sidecar) -> None:
    fail(api.cache, REFUSED)
    fail(api.cache, Unreachable("It does not answer."))
    assert refresh(api) == "A refresh was requested and runs in the background."
