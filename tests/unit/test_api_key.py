"""The API key: where it comes from, which ones are refused, and that it never shows again."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest
from paths import ROOT
from sidecar_process import sidecar

from api.__main__ import main
from api.auth.default_key import is_weak, load_key
from cache.errors import SettingsInvalid
from cache.settings import Settings

GOOD = "qT4wz9PbN1xLr7Vc"


def settings(folder: Path, key: str | None, host: str = "127.0.0.1") -> Settings:
    return Settings.load(data_dir=folder, shopify_api_key=key, api_host=host)


def test_it_works(tmp_path: Path) -> None:
    assert load_key(settings(tmp_path, GOOD)) == GOOD
    assert not (tmp_path / "api_key").exists()


def test_a_key_is_made_at_the_first_start_and_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "api_key"
    key = load_key(settings(tmp_path, None))
    assert not is_weak(key)
    assert file.read_text() == key + "\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert key in capsys.readouterr().out
    assert load_key(settings(tmp_path, None)) == key
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("host", "under_systemd"), [("0.0.0.0", False), ("127.0.0.1", True)])
def test_where_output_is_kept_as_a_log_a_new_key_is_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, host: str, under_systemd: bool
) -> None:
    if under_systemd:
        monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    key = load_key(settings(tmp_path, None, host))
    printed = capsys.readouterr().out
    assert key not in printed
    assert f"stored in {tmp_path / 'api_key'}" in printed


def test_an_empty_key_file_of_a_killed_start_is_made_anew(tmp_path: Path) -> None:
    file = tmp_path / "api_key"
    file.touch()
    assert load_key(settings(tmp_path, None)) == file.read_text().strip() != ""


@pytest.mark.slow
def test_processes_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    imports = "from api.auth.default_key import load_key; from cache.settings import Settings"
    script = f"{imports}; print(load_key(Settings.load()))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "DATA_DIR": str(tmp_path)}

    def start(_: int) -> str:
        ended = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return ended.stdout.splitlines()[-1]

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1


@pytest.mark.parametrize(
    "key",
    [
        "short",
        "fifteen-letters",
        "your-api-key",
        "your-secret-api-key-here",
        "YOUR_SHOPIFY_API_KEY",
        "changeme-changeme",
        "1234567890123456",
        "shopify-secret-api-key-2025",
        "replace-this-with-a-long-random-string",
        "abcdefghijklmnop",
    ],
)
def test_a_weak_key_is_refused_off_loopback_and_taken_on_it(tmp_path: Path, key: str) -> None:
    for host in ("0.0.0.0", "192.168.1.5", "::", "shop.example"):
        with pytest.raises(SettingsInvalid) as caught:
            load_key(settings(tmp_path, key, host))
        assert key not in str(caught.value)
    for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost"):
        assert load_key(settings(tmp_path, key, host)) == key


@pytest.mark.parametrize("key", [GOOD, "9f8e7d6c5b4a39281706f5e4d3c2b1a0", "my shop's own key".replace(" ", "-")])
def test_a_key_of_ones_own_is_taken_anywhere(tmp_path: Path, key: str) -> None:
    assert load_key(settings(tmp_path, key, "0.0.0.0")) == key


@pytest.mark.parametrize("key", ["schlüssel-mit-umlaut", "with a space in it", "with-a\nline-break-in"])
def test_a_key_that_no_header_can_carry_is_refused_everywhere(tmp_path: Path, key: str) -> None:
    with pytest.raises(SettingsInvalid):
        load_key(settings(tmp_path, key))


@pytest.mark.not_on("one-port", "sub-path", why="it is of the port that the API has alone")
def test_the_sidecar_does_not_start_with_a_weak_key_off_loopback(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="did not start"),
        sidecar(tmp_path, API_HOST="0.0.0.0", SHOPIFY_API_KEY="your-api-key"),
    ):
        pass
    assert "SHOPIFY_API_KEY is too weak" in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_the_command_prints_the_key_and_nothing_else(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):  # made, then found
        assert main(["key"]) == 0
        kept = (here / "var" / "api_key").read_text()
        assert capsys.readouterr().out == kept
    (here / ".env").write_text(f"SHOPIFY_API_KEY={GOOD}\n")
    monkeypatch.setenv("ENV_FILE", str(here / ".env"))
    assert main(["key"]) == 0
    assert capsys.readouterr().out == f"{GOOD}\n"
    monkeypatch.setenv("SHOPIFY_API_KEY", "short")
    monkeypatch.setenv("API_HOST", "0.0.0.0")
    assert main(["key"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "too weak" in said.err


@pytest.mark.slow
def test_the_sidecar_makes_and_takes_its_own_key_and_never_logs_one(tmp_path: Path) -> None:
    with sidecar(tmp_path, SHOPIFY_API_KEY="") as running:
        key = (tmp_path / "var" / "api_key").read_text().strip()
        assert httpx2.get(f"{running.url}/status", headers={"X-API-Key": key}).status_code == 200
        assert httpx2.get(f"{running.url}/checks?key={key}", headers={"X-API-Key": key}).status_code == 400
        assert httpx2.get(f"{running.url}/{key}", headers={"X-API-Key": "wrong"}).status_code == 404
        assert key not in running.log()


@pytest.mark.slow
@pytest.mark.not_on("one-port", "sub-path", why="it is of the port that the API has alone")
def test_a_port_that_is_taken_is_a_sentence_with_advice(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "2").mkdir()
    with sidecar(tmp_path / "1") as first:
        with (
            pytest.raises(AssertionError, match="did not start"),
            sidecar(tmp_path / "2", API_PORT=first.url.rpartition(":")[2]),
        ):
            pass
        assert "set API_PORT to another port" in (tmp_path / "2" / "log").read_text()
