"""What programs expect of our commands: a version, JSON on request, exit codes, and one name for the API key."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from cache_factory import cache_in, publish
from paths import ROOT
from web_server import Handler, serving

import api.__main__
import cache.__main__
import scraper.__main__
from api.auth.default_key import load_key
from cache.settings import Settings
from cache.version import VERSION

Main = Callable[[list[str]], int]


@pytest.mark.parametrize("package", ["api", "cache", "dashboard", "lab", "scraper"])
def test_every_command_says_its_version(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    main = __import__(f"{package}.__main__", fromlist=["main"]).main
    with pytest.raises(SystemExit) as ended, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [package, "--version"])
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, f"phpmyadmin-orders {VERSION}\n")


@pytest.mark.parametrize(
    "script",
    ["serve.py", *(pytest.param(f"{name}.py", marks=pytest.mark.soak) for name in ("api_sidecar", "one_port"))],
)
def test_every_program_says_its_version(script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / script, "--version"], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout) == (0, f"phpmyadmin-orders {VERSION}\n")


def test_what_doctor_keys_and_info_print_is_json_on_request(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def printed(main: Main, *arguments: str) -> object:
        main(list(arguments))
        return json.loads(capsys.readouterr().out)

    with closing(cache_in(here)) as opened:
        publish(opened, 3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CACHE_URL", f"file:{here / 'cache'}")
        assert api.__main__.main(["keys", "add", "bi", "--masked"]) == 0
        secret = capsys.readouterr().out.strip()
        listed = printed(api.__main__.main, "keys", "list", "--json")
        assert [(key["name"], key["masked"], key["scopes"]) for key in listed] == [("bi", True, ["read"])]
        assert secret not in str(listed)
        assert "digest" not in listed[0]
        info = printed(cache.__main__.main, "info", "--json")
        assert [made["rows"] for made in info["generations"]] == [3]
        assert info["newest"]["generation"] == 1
        found = printed(scraper.__main__.main, "doctor", "--json")
    assert found["fine"] is False
    assert {finding["id"]: finding["fine"] for finding in found["findings"]}["settings"] is False


@pytest.mark.parametrize(
    ("given", "key"),
    [
        ({"ORDERS_API_KEY": "ours-4711-4711-4711"}, "ours-4711-4711-4711"),
        ({"SHOPIFY_API_KEY": "ours-4711-4711-4711"}, "ours-4711-4711-4711"),
        ({"ORDERS_API_KEY": "ours-4711-4711-4711", "SHOPIFY_API_KEY": "client-id"}, "ours-4711-4711-4711"),
    ],
)
def test_the_api_key_has_a_name_of_its_own(
    here: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, str], key: str
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert load_key(Settings.load()) == key


@pytest.mark.parametrize("show", [True, False])
def test_a_key_that_is_made_is_printed_once(here: Path, capsys: pytest.CaptureFixture[str], show: bool) -> None:
    key = load_key(Settings.load(), show)
    said = capsys.readouterr().out
    assert (said.count(key), "only once" in said) == ((1, True) if show else (0, False))
    load_key(Settings.load(), show)
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_ctrl_c_in_a_sync_is_no_error(here: Path) -> None:
    asked = subprocess.PIPE

    class Silent(Handler):
        def do_GET(self) -> None:
            sync.send_signal(signal.SIGINT)
            sync.wait(60)

    with serving(Silent) as url:
        settings = {"PHPMYADMIN_URL": url, "PHPMYADMIN_DATABASE": "shop", "PHPMYADMIN_LOGIN": "http"}
        places = {"DATA_DIR": str(here / "var"), "CACHE_URL": f"file:{here / 'cache'}", "ENV_FILE": "/dev/null"}
        environment = {"PATH": "/usr/bin:/bin", **places, **settings}
        command = [sys.executable, "-m", "scraper", "sync"]
        sync = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=asked, stderr=asked, text=True)
        _, said = sync.communicate(timeout=60)
    assert sync.returncode == 130
    assert "ERROR" not in said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "Interrupted. Nothing was published."
    with closing(cache_in(here)) as opened:
        [run] = opened.runs.recent(5)
    assert run.error
    assert (run.outcome, run.error.code) == ("failed", "sync_interrupted")
