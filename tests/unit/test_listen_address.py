"""Which addresses only this machine can reach, and how this machine calls a server."""

from __future__ import annotations

import socket

import pytest

from cache.errors import SettingsInvalid
from cache.listen_address import is_loopback, listen, local_url
from cache.settings import Settings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.0.1", "::1", "[::1]", "localhost"])
def test_loopback_is_reached_by_this_machine_only(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", [None, "", "0.0.0.0", "::", "192.168.1.4", "fe80::1", "orders.example.com"])
def test_any_other_address_is_reached_by_others(host: str | None) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:5000"),
        ("0.0.0.0", "http://127.0.0.1:5000"),
        ("", "http://127.0.0.1:5000"),
        ("::", "http://[::1]:5000"),
        ("fd00::7", "http://[fd00::7]:5000"),
        ("orders.internal", "http://orders.internal:5000"),
    ],
)
def test_the_local_url_names_an_address_that_can_be_called(host: str, url: str) -> None:
    assert local_url(host, 5000) == url


@pytest.mark.parametrize("settings", ["API", "DASHBOARD"])
def test_a_port_that_is_taken_names_its_setting(settings: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsInvalid) as caught:
            listen("127.0.0.1", port, f"{settings}_HOST", f"{settings}_PORT")
    assert caught.value.message == f"{settings}_HOST=127.0.0.1 {settings}_PORT={port} is used by another program."
    assert caught.value.advice == f"Stop that program, or set {settings}_PORT to another port."


def test_the_port_of_a_platform_is_named_as_the_platform_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8080")
    assert Settings.load().port_setting("api_port") == "PORT"
    monkeypatch.setenv("API_PORT", "5001")
    assert Settings.load().port_setting("api_port") == "API_PORT"
    assert Settings.load().port_setting("dashboard_port") == "PORT"


@pytest.mark.parametrize("host", ["nonsense", "999.1.1.1", "[::1]", "ä..", "a" * 300])
def test_an_address_that_no_machine_has_names_its_setting(host: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        listen(host, 0, "API_HOST", "PORT")
    assert "API_HOST" in caught.value.message
    assert caught.value.advice == "Set API_HOST to an address of this machine, such as 127.0.0.1."
