"""`python serve.py` holds dashboard and API together, from the addresses it prints to the last process."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest
from paths import ROOT
from serve_process import served
from waiting import wait_for

import serve
from cache.settings import Settings
from lab.servers import free_port

pytestmark = pytest.mark.slow


def test_it_works(tmp_path: Path) -> None:
    """Both answer when their addresses and the key are printed; Ctrl-C ends all of it, and is no error."""
    with served(tmp_path) as one:
        key = one.wait_for("API key  ").split()[-1]
        dashboard, api = (one.wait_for(f"  {name}  ").split()[1] for name in ("Dashboard", "API"))

        assert key == (tmp_path / "var" / "api_key").read_text().strip()
        assert httpx2.get(f"{api}/status", headers={"X-API-Key": key}).json()["api_status"] == "online"
        assert httpx2.get(dashboard).status_code == 200

        family = one.family()
        one.process.send_signal(signal.SIGINT)
        assert one.ended() == 0
        assert not [process for process in family if process.is_running()]


def test_a_log_of_json_has_no_other_line_and_no_key(tmp_path: Path) -> None:
    with served(tmp_path, "--one-port", LOG_FORMAT="json") as one:
        said = json.loads(one.wait_for("Dashboard http"))
        assert said["message"].endswith(f"API key as kept in {tmp_path / 'var' / 'api_key'}")
        assert (tmp_path / "var" / "api_key").read_text().strip() not in one.output
        assert [json.loads(line)["process"] for line in one.said]


@pytest.mark.soak
def test_one_that_crashes_is_started_again_and_the_other_goes_on(tmp_path: Path) -> None:
    with served(tmp_path) as one:
        key = one.wait_for("API key  ").split()[-1]
        api, dashboard = one.program("api_sidecar.py"), one.program("streamlit_app.py")
        api.send_signal(signal.SIGBUS)
        one.wait_for("It was ended by SIGBUS. It is started again in 1 s.")

        wait_for(lambda: one.answers(f"http://127.0.0.1:{one.api_port}/health"))
        (restarted,) = one.status(key)["restarts"]
        assert (restarted["service"], restarted["count"]) == ("api", 1)
        assert restarted["reason"] == "It was ended by SIGBUS."

        one.program("api_sidecar.py").kill()
        one.wait_for("It was ended by SIGKILL. It is started again in 2 s.")
        wait_for(lambda: one.answers(f"http://127.0.0.1:{one.api_port}/health"))
        assert one.status(key)["restarts"][0]["count"] == 2
        assert dashboard.is_running()

        family = one.family()
        one.process.send_signal(signal.SIGTERM)
        assert one.ended() == 0
        assert not [process for process in family if process.is_running()]


def test_port_alone_is_one_port_on_all_addresses_and_restarts_after_a_kill(tmp_path: Path) -> None:
    port, key = free_port(), "0f3c" * 8
    url = f"http://127.0.0.1:{port}"
    alone = {"API_PORT": "", "DASHBOARD_PORT": "", "PORT": str(port)}
    with served(tmp_path, **alone, DASHBOARD_PASSWORD="one", SHOPIFY_API_KEY=key) as one:
        one.wait_for("API key  ")
        assert [one.wait_for(f"  {name}  ").split()[1] for name in ("Dashboard", "API")] == [url, url]
        assert key not in one.output
        assert [process.cmdline()[-1:] for process in one.family()] == [[str(ROOT / "one_port.py")]]
        one_port = one.program("one_port.py")
        listening = [each for each in one_port.net_connections() if each.status == psutil.CONN_LISTEN]
        assert {each.laddr for each in listening} == {("0.0.0.0", port)}
        assert httpx2.get(url).status_code == 401

        one_port.kill()
        one.wait_for("It was ended by SIGKILL. It is started again in 1 s.")
        wait_for(lambda: one.answers(f"{url}/v1/health") and one.answers(f"{url}/_stcore/health"))
        (restarted,) = httpx2.get(f"{url}/status", headers={"X-API-Key": key}).json()["restarts"]
        assert (restarted["service"], restarted["count"]) == ("one port", 1)

        family = one.family()
        one.process.send_signal(signal.SIGTERM)
        assert one.ended() == 0
        assert not [process for process in family if process.is_running()]


def test_one_port_can_be_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, "--one-port") as one:
        one.wait_for("API key  ")
        assert one.program("one_port.py")
        assert one.answers(f"http://127.0.0.1:{one.dashboard_port}/v1/health")
        assert not one.answers(f"http://127.0.0.1:{one.api_port}/health")


def test_two_services_on_one_port_are_refused_before_anything_starts(tmp_path: Path) -> None:
    with served(tmp_path, API_PORT="10000", DASHBOARD_PORT="10000", PORT="10000") as one:
        assert one.ended() == 1
        assert "Set them to two different ports, or start python serve.py --one-port." in one.output


def test_on_one_port_a_weak_key_is_refused_where_the_dashboard_listens(tmp_path: Path) -> None:
    with served(tmp_path, "--one-port", DASHBOARD_HOST="0.0.0.0", SHOPIFY_API_KEY="weak") as one:
        assert one.ended() == 1
        assert "SHOPIFY_API_KEY is too weak" in one.output


def test_off_loopback_without_a_dashboard_password_it_ends_with_advice(tmp_path: Path) -> None:
    with served(tmp_path, DASHBOARD_HOST="0.0.0.0") as one:
        assert one.ended() == 1
        assert "Set DASHBOARD_PASSWORD" in one.output
        assert "API key  " not in one.output


@pytest.mark.parametrize("log", [{"API_HOST": "0.0.0.0"}, {"JOURNAL_STREAM": "8:1"}], ids=["off loopback", "systemd"])
def test_where_output_is_kept_as_a_log_no_key_is_in_it(tmp_path: Path, log: dict[str, str]) -> None:
    with served(tmp_path, **log) as one:
        assert str(tmp_path / "var/api_key") in one.wait_for("API key  ")

        assert (tmp_path / "var/api_key").read_text().strip() not in one.output


def test_all_that_a_program_printed_is_shown_before_it_counts_as_ended(
    here: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python aborts with SIGABRT where a thread still prints when the process ends."""
    program = here / "program.py"
    program.write_text("for n in range(5): print(n)")

    def slow_print(*values: object, **options: Any) -> None:
        time.sleep(0.1)
        print(*values, **options)

    monkeypatch.setattr(serve, "print", slow_print, raising=False)
    service = serve.Service("program", program, "http://127.0.0.1:9/", Settings.load())
    assert service._run() == 0
    assert capfd.readouterr().out.splitlines() == [f"program   | {n}" for n in range(5)]
