"""A monitor is called after each verified sync, and a webhook learns what is wrong, once, and when that ends."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cache_factory import cache_in, confirm, publish
from receiver import Receiver
from waiting import wait_for

from cache.check_report import CheckReport, CheckResult
from cache.errors import SettingsInvalid, Trouble
from cache.settings import Settings
from cache.storage.records import Run, now
from cache.storage.store import Cache
from scraper.errors import HeldBack, LoginRefused, Unreachable
from scraper.notifications import delivery
from scraper.notifications.delivery import NotDelivered, send, signed_headers
from scraper.notifications.notifier import Notifier
from scraper.scheduler import Scheduler

pytestmark = pytest.mark.slow

SECRET = "whsec_" + base64.b64encode(b"twenty-four random bytes").decode()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    monkeypatch.setattr(delivery, "PAUSES", (0.0, 0.0))
    with Receiver() as running:
        yield running


def settings(receiver: Receiver, **more: Any) -> Settings:
    return Settings.load(
        webhook_secret=SECRET,
        webhook_url=f"{receiver.url}/hook?token=abc",
        notify_private_hosts="allowed",
        **more,
    )


@pytest.fixture
def notifier(cache: Cache, receiver: Receiver) -> Notifier:
    return Notifier(cache, settings(receiver))


def ended(cache: Cache, outcome: str, error: Trouble | None = None) -> Run:
    """A sync that has just ended so."""
    run = Run(trigger="test")
    cache.runs.begin(run)
    cache.runs.finish(run.model_copy(update={"outcome": outcome, "error": error}))
    return cache.runs.recent(1)[0]


UNREACHABLE, REFUSED, HELD = (error("It failed.").trouble() for error in (Unreachable, LoginRefused, HeldBack))


# -- the monitor


@pytest.mark.parametrize(("outcome", "calls"), [("published", 1), ("unchanged", 1), ("unverified", 0), ("failed", 0)])
def test_the_monitor_is_called_after_each_verified_sync(
    cache: Cache, receiver: Receiver, outcome: str, calls: int
) -> None:
    notifier = Notifier(cache, Settings.load(ping_url=f"{receiver.url}/ping/7", notify_private_hosts="allowed"))
    notifier.after(ended(cache, outcome, UNREACHABLE if outcome in ("unverified", "failed") else None))
    assert [(method, path) for method, path, _, _ in receiver.requests] == [("GET", "/ping/7")] * calls


def test_without_settings_nothing_is_sent(cache: Cache, receiver: Receiver) -> None:
    Notifier(cache, Settings.load()).after(ended(cache, "failed", UNREACHABLE))
    assert receiver.requests == []


# -- the webhook


def test_a_failure_is_told_once_and_so_is_its_end(cache: Cache, notifier: Notifier, receiver: Receiver) -> None:
    for _ in range(3):
        notifier.after(ended(cache, "failed", UNREACHABLE))
    assert receiver.types == ["sync.failed"]
    data = receiver.events[0]["data"]
    assert (data["code"], data["message"], data["advice"]) == (
        UNREACHABLE.code,
        UNREACHABLE.message,
        UNREACHABLE.advice,
    )
    publish(cache, 3)
    for _ in range(2):
        notifier.after(ended(cache, "published"))
    assert receiver.types == ["sync.failed", "sync.failed.resolved"]
    assert receiver.events[1]["data"] == {
        "code": None,
        "message": None,
        "advice": None,
        "generation": 1,
        "verified": True,
        "age_seconds": pytest.approx(0, abs=30),
    }


def test_another_error_is_told_as_well(cache: Cache, notifier: Notifier, receiver: Receiver) -> None:
    notifier.after(ended(cache, "failed", UNREACHABLE))
    notifier.after(ended(cache, "failed", REFUSED))
    assert [event["data"]["code"] for event in receiver.events] == [UNREACHABLE.code, REFUSED.code]


def test_a_table_that_is_held_back_is_an_event_of_its_own(cache: Cache, notifier: Notifier, receiver: Receiver) -> None:
    notifier.after(ended(cache, "failed", HELD))
    assert receiver.types == ["table.held_back"]
    notifier.after(ended(cache, "failed", UNREACHABLE))
    assert receiver.types[1:] == ["sync.failed", "table.held_back.resolved"]


def test_data_that_gets_stale_is_told_and_so_is_the_next_verification(cache: Cache, receiver: Receiver) -> None:
    notifier = Notifier(cache, settings(receiver, sync_interval_minutes=20))
    publish(cache, 3, verified_at=now() - timedelta(minutes=59))
    notifier.update()
    assert receiver.types == []
    confirm(cache, now() - timedelta(minutes=61))
    notifier.update()
    assert receiver.types == ["data.stale"]
    assert receiver.events[0]["data"]["age_seconds"] == pytest.approx(61 * 60, abs=60)
    confirm(cache)
    notifier.update()
    assert receiver.types == ["data.stale", "data.stale.resolved"]


def test_the_age_of_stale_data_is_a_setting(cache: Cache, receiver: Receiver) -> None:
    publish(cache, 3, verified_at=now() - timedelta(minutes=6))
    Notifier(cache, settings(receiver, stale_after_minutes=5)).update()
    assert receiver.types == ["data.stale"]


@pytest.mark.parametrize(("agree", "types"), [(100, []), (99, []), (98, ["checks.failed"])])
def test_checks_below_the_limit_of_the_badge_are_told(
    cache: Cache, notifier: Notifier, receiver: Receiver, agree: int, types: list[str]
) -> None:
    found = CheckResult(checked=100, agree=agree)
    publish(cache, 3, check=lambda *_: CheckReport(orders=100, agree=agree, checks={"total": found}))
    notifier.update()
    assert receiver.types == types


def test_a_sync_that_was_killed_is_told_by_the_leader(
    cache: Cache, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scraper.scheduler.NOTIFY_SECONDS", 0.05)
    cache.runs.begin(Run(trigger="test"))
    with cache.sync_lock():  # closes it
        pass
    scheduler = Scheduler(cache, settings(receiver), "test")
    monkeypatch.setattr(scheduler, "_start", lambda _: None)
    scheduler.start()
    try:
        wait_for(lambda: receiver.types == ["sync.failed"])
    finally:
        scheduler.stop()
    assert receiver.events[0]["data"]["code"] == "sync_died"


def test_what_was_told_is_known_to_every_process(
    cache: Cache, notifier: Notifier, receiver: Receiver, here: Path
) -> None:
    notifier.after(ended(cache, "failed", UNREACHABLE))
    with closing(cache_in(here)) as other:
        Notifier(other, settings(receiver)).update()
    assert len(receiver.events) == 1


def test_what_is_not_taken_is_told_again_with_the_same_id(cache: Cache, notifier: Notifier, receiver: Receiver) -> None:
    receiver.statuses = [500, 503, 429, 400]
    run = ended(cache, "failed", UNREACHABLE)
    notifier.after(run)  # three attempts
    notifier.update()  # refused at once
    notifier.update()
    notifier.update()
    assert len(receiver.events) == 5
    ids = {headers["webhook-id"] for _, _, headers, _ in receiver.requests}
    assert ids == {f"sync.failed-{run.id}-0"}


# -- signatures


def test_the_signature_is_that_of_standard_webhooks() -> None:
    """The values are those of the examples that libraries of the specification test themselves with."""
    headers = signed_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_is_signed_as_it_arrives(cache: Cache, notifier: Notifier, receiver: Receiver) -> None:
    notifier.after(ended(cache, "failed", UNREACHABLE))
    _, path, headers, body = receiver.requests[0]
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    digest = hmac.new(b"twenty-four random bytes", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    assert (path, headers["Content-Type"]) == ("/hook?token=abc", "application/json")
    assert abs(int(headers["webhook-timestamp"]) - now().timestamp()) < 60


@pytest.mark.parametrize("secret", ["", "abc", "whsec_", "whsec_%%%", "whsec_" + base64.b64encode(b"short").decode()])
def test_a_secret_that_does_not_sign_is_refused(secret: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load(webhook_secret=secret or None, webhook_url="https://example.com/hook")
    assert "WEBHOOK" in caught.value.message
    assert not secret or secret not in caught.value.message.replace("`whsec_`", "")


# -- hosts


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "[::1]", "10.0.0.8", "192.168.1.1", "169.254.169.254", "0.0.0.0", "[fd00::1]"]
)
def test_a_host_that_is_not_public_is_refused_unless_allowed(receiver: Receiver, host: str) -> None:
    port = receiver.port
    with pytest.raises(NotDelivered, match="is not public; NOTIFY_PRIVATE_HOSTS=allowed allows that"):
        send("GET", f"http://{host}:{port}/", private=False)
    assert receiver.requests == []


def test_a_redirect_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [302]
    with pytest.raises(NotDelivered, match="it answers 302"):
        send("GET", f"{receiver.url}/here", private=True)
    assert [path for _, path, _, _ in receiver.requests] == ["/here"]


@pytest.mark.parametrize(
    "url", ["", "hook", "ftp://example.com/", "http://", "http://localhost:1/", "http://no-such-host.invalid/"]
)
def test_what_cannot_be_reached_fails_no_sync_and_shows_no_url(
    cache: Cache, receiver: Receiver, caplog: pytest.LogCaptureFixture, url: str
) -> None:
    address = f"{url}?token=abc"
    made = Settings.load(webhook_secret=SECRET, webhook_url=address, ping_url=address, notify_private_hosts="allowed")
    Notifier(cache, made).after(ended(cache, "published"))
    Notifier(cache, made).after(ended(cache, "failed", UNREACHABLE))
    assert "PING_URL was not told" in caplog.text
    assert "WEBHOOK_URL was not told" in caplog.text
    assert "token" not in caplog.text
