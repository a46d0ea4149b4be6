"""The log of all processes: its two formats, what each line says, and the ids of requests in it."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cache_factory import publish
from dashboard_process import dashboard
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from sidecar_process import KEY, served_here, sidecar
from waiting import wait_for

from api.access_log import AccessLog
from api.http.request_ids import IDENTITY, identify
from cache.machine.logs import REQUEST_ID, JsonFormatter, TextFormatter
from serve import Service

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00 (DEBUG|INFO|WARNING|ERROR) [\w.]+: .+")


def record(message: str, *arguments: object, error: Exception | None = None) -> logging.LogRecord:
    raised = (type(error), error, error.__traceback__) if error else None
    made = logging.LogRecord("scraper.scheduler", logging.WARNING, "x.py", 1, message, arguments, raised)
    made.created = datetime(2025, 12, 29, 10, 25, 0, 512000, UTC).timestamp()
    return made


@pytest.fixture(autouse=True)
def no_request() -> None:
    REQUEST_ID.set(None)


# -- the formats


def test_text_says_when_in_utc_how_bad_who_and_what() -> None:
    said = TextFormatter().format(record("rows=%d", 5))
    assert said == "2025-12-29T10:25:00.512+00:00 WARNING scraper.scheduler: rows=5"


def test_json_says_the_same_as_one_object() -> None:
    said = JsonFormatter("dashboard").format(record("name=%s\nnext", "Ü\x1b[31m", error=ValueError("broken")))
    assert json.loads(said) == {
        "time": "2025-12-29T10:25:00.512+00:00",
        "level": "WARNING",
        "logger": "scraper.scheduler",
        "process": "dashboard",
        "message": "name=Ü\nnext",
        "exception": "ValueError: broken",
    }
    assert "\n" not in said


def test_a_line_names_the_request_that_is_answered() -> None:
    REQUEST_ID.set("a.b-1")
    assert TextFormatter().format(record("x", error=ValueError("y"))).splitlines()[0].endswith(": x request_id=a.b-1")
    assert json.loads(JsonFormatter("api").format(record("x")))["request_id"] == "a.b-1"


@given(st.text())
def test_no_message_of_a_server_breaks_a_line_of_json(message: str) -> None:
    said = JsonFormatter("sync").format(record("%s", message))
    assert said.count("\n") == 0
    json.loads(said)
    assert "\x1b" not in TextFormatter().format(record("%s", message))


# -- the ids of requests


@pytest.mark.parametrize(
    ("headers", "id", "trace"),
    [
        ({b"x-request-id": b"a.B-1_"}, "a.B-1_", None),
        ({b"x-request-id": b"a", b"traceparent": PARENT.encode()}, "a", TRACE),
        ({b"traceparent": PARENT.encode()}, TRACE, TRACE),
        ({b"traceparent": f"01{PARENT[2:]}-more".encode()}, TRACE, TRACE),
        *(
            ({b"traceparent": bad}, None, None)
            for bad in (b"", b"00", f"ff{PARENT[2:]}".encode(), PARENT[:-1].encode())
        ),
        ({b"traceparent": f"00-{'0' * 32}-00f067aa0ba902b7-01".encode()}, None, None),
        ({b"traceparent": PARENT.upper().encode()}, None, None),
        *(({b"x-request-id": bad}, None, None) for bad in (b"", b"a b", b'a"', b"ida@x", b"a" * 129, b"\xfc", b"a\nb")),
    ],
)
def test_an_id_is_taken_if_it_can_stand_in_a_log(
    headers: dict[bytes, bytes], id: str | None, trace: str | None
) -> None:
    identity = identify(headers)
    assert identity.trace_id == trace
    assert identity.id == id if id else re.fullmatch(r"[0-9a-f]{20}", identity.id)
    assert identify(headers).id == identity.id or id is None
    assert REQUEST_ID.get() is not None
    expected = {b"x-request-id": identity.id.encode()} | ({b"traceparent": headers[b"traceparent"]} if trace else {})
    assert dict(identity.headers) == expected


def test_response_error_and_log_have_the_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with served_here(tmp_path, 3) as (url, _), httpx2.Client(base_url=url, headers={"X-API-Key": KEY}) as client:
        for path in ("/fetch-data?limit=1", "/fetch-data?limit=x", "/status", "/nowhere", "/health"):
            sent = {"X-Request-ID": "mine-1", "traceparent": PARENT}
            answer = client.get(path, headers=sent)
            assert {name: answer.headers[name.lower()] for name in sent} == sent
            assert answer.json().get("request_id", "mine-1") == "mine-1"
            assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
            new = client.get(path)
            assert new.headers["x-request-id"] not in ("mine-1", client.get(path).headers["x-request-id"])
            assert "traceparent" not in new.headers
        refused = client.get("/fetch-data", headers={"X-API-Key": "wrong", "X-Request-ID": "mine-2"})
        assert refused.json()["request_id"] == "mine-2"


def test_each_access_line_follows_the_format_of_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 1767003900.0625)
    scope = {"method": "GET", "path": "/tasks/7", IDENTITY: identify({b"traceparent": PARENT.encode()})}
    lines = []
    for format in ("text", "json"):
        log = AccessLog(format)  # type: ignore[arg-type]
        log.record(scope, 200, 5, time.perf_counter())
        lines.append(log._lines[0])
    text, as_json = lines
    assert LINE.fullmatch(text)
    assert text.startswith(
        "2025-12-29T10:25:00.062+00:00 INFO api.access: method=GET path=/tasks/{id} status=200 bytes=5 "
    )
    assert text.endswith(f" key=- request_id={TRACE} trace_id={TRACE}")
    said = json.loads(as_json)
    assert said.pop("ms") >= 0
    assert said == {
        **{"time": "2025-12-29T10:25:00.062+00:00", "level": "INFO", "logger": "api.access", "process": "api"},
        **{"method": "GET", "path": "/tasks/{id}", "status": 200, "bytes": 5, "key": None},
        **{"request_id": TRACE, "trace_id": TRACE},
    }


# -- the processes


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line]


@pytest.mark.slow
@pytest.mark.parametrize(("format", "holds"), [("text", LINE.fullmatch), ("json", json.loads)])
def test_each_line_of_the_api_has_the_format(tmp_path: Path, format: str, holds: Callable[[str], Any]) -> None:
    with sidecar(tmp_path, LOG_FORMAT=format, SCHEDULER="auto") as running:
        publish(running.cache)
        running.client.get("/fetch-data")
        running.client.get("/fetch-data?format=csv")
        wait_for(lambda: "api.access" in running.log() and "is the leader" in running.log())
    lines = lines_of(running.log())
    assert [line for line in lines if not holds(line)] == []


@pytest.mark.slow
@pytest.mark.not_on("one-port", "sub-path", why="the process of both has another name in its log")
def test_the_dashboard_logs_what_its_scheduler_and_streamlit_say(tmp_path: Path) -> None:
    with dashboard(tmp_path, SCHEDULER="auto", LOG_FORMAT="json") as running:
        wait_for(lambda: "is the leader" in running.log())
    said = [json.loads(line) for line in lines_of(running.log()) if not line.startswith("Dashboard on ")]
    assert "dashboard" in {line["process"] for line in said}
    assert {"scraper.scheduler", "uvicorn.error"} <= {line["logger"] for line in said}


@pytest.mark.slow
def test_the_level_leaves_out_what_is_less(here: Path) -> None:
    program = "import logging; from cache.settings import Settings; Settings.load().set_up_process('x')\n"
    program += "for level in (10, 20, 30, 40): logging.getLogger('a').log(level, 'level %d', level)"
    for level, count in (("debug", 4), ("info", 3), ("warning", 2), ("error", 1)):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONPATH": str(ROOT), "LOG_LEVEL": level, "ENV_FILE": ""},
            capture_output=True,
            text=True,
            check=True,
        )
        assert len(LINE.findall(done.stderr)) == count


@pytest.mark.parametrize("format", ["text", "json"])
def test_serve_keeps_lines_of_json_whole(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    class Given:
        log_format = format

    service = Service("api", Path("x.py"), "", Given())  # type: ignore[arg-type]
    service._say('{"time": "now"}')
    service._say("API on http://127.0.0.1:5000")
    first, second = capsys.readouterr().out.splitlines()
    if format == "text":
        assert (first, second) == ('api       | {"time": "now"}', "api       | API on http://127.0.0.1:5000")
    else:
        assert first == '{"time": "now"}'
        assert (json.loads(second)["process"], json.loads(second)["message"]) == ("api", "API on http://127.0.0.1:5000")
