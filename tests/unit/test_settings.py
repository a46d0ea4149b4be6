"""Settings come from the environment, then `.env`, then the default; what is wrong is named, never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import SecretStr

from cache.errors import SettingsInvalid
from cache.settings import CHECKOUT, Settings, env_file
from scraper.settings import ScraperSettings

SECRET = "hunter2-in-a-test"
LOGIN = {
    "PHPMYADMIN_URL": "https://db.example.com/phpmyadmin/",
    "PHPMYADMIN_USERNAME": "analyst",
    "PHPMYADMIN_PASSWORD": SECRET,
    "PHPMYADMIN_DATABASE": "shop",
}


@pytest.fixture
def login(here: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A working folder of its own, and a whole login in the environment."""
    for name, value in LOGIN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_it_works(login: pytest.MonkeyPatch) -> None:
    settings = ScraperSettings.load()
    assert settings.phpmyadmin_url == "https://db.example.com/phpmyadmin/"
    assert settings.phpmyadmin_password.get_secret_value() == SECRET
    assert settings.phpmyadmin_table == "orders"
    assert settings.sync_interval_minutes == 60


def test_the_environment_wins_over_dotenv_and_dotenv_over_the_default(here: Path, login: pytest.MonkeyPatch) -> None:
    login.setenv("ENV_FILE", str(here / "shop.env"))
    (here / "shop.env").write_text("PHPMYADMIN_TABLE=from_dotenv\nPHPMYADMIN_USERNAME=from_dotenv\n")
    settings = ScraperSettings.load()
    assert (settings.phpmyadmin_table, settings.phpmyadmin_username) == ("from_dotenv", "analyst")


@pytest.mark.parametrize("place", ["environment", "dotenv"])
def test_a_secret_may_stand_in_a_file(here: Path, login: pytest.MonkeyPatch, place: str) -> None:
    login.delenv("PHPMYADMIN_PASSWORD")
    secret = here / "secret"
    secret.write_text("pass word \n")
    if place == "dotenv":
        login.setenv("ENV_FILE", str(here / "shop.env"))
        (here / "shop.env").write_text(f"PHPMYADMIN_PASSWORD_FILE={secret}\n")
    else:
        login.setenv("PHPMYADMIN_PASSWORD_FILE", str(secret))
    assert ScraperSettings.load().phpmyadmin_password.get_secret_value() == "pass word "


def test_without_env_file_the_one_of_the_checkout_counts(here: Path, login: pytest.MonkeyPatch) -> None:
    (here / ".env").write_text("PHPMYADMIN_TABLE=of_this_folder\n")
    login.delenv("ENV_FILE")
    assert env_file() == CHECKOUT / ".env"
    login.setenv("ENV_FILE", "tests/shop.env")
    with pytest.raises(SettingsInvalid, match=re.escape(str(CHECKOUT / "tests" / "shop.env"))):
        ScraperSettings.load()


def test_an_env_file_that_is_a_folder_is_refused(here: Path, login: pytest.MonkeyPatch) -> None:
    login.setenv("ENV_FILE", str(here))
    with pytest.raises(SettingsInvalid, match="ENV_FILE"):
        ScraperSettings.load()


def test_relative_paths_count_from_the_checkout_wherever_a_process_starts(
    here: Path, login: pytest.MonkeyPatch
) -> None:
    login.delenv("DATA_DIR")
    assert Settings.load().data_dir == CHECKOUT / "var"
    assert Settings.load().cache_url.get_secret_value() == f"file:{CHECKOUT / 'var' / 'cache'}"
    login.setenv("DATA_DIR", "var/shop-2")
    assert Settings.load().cache_url.get_secret_value() == f"file:{CHECKOUT / 'var' / 'shop-2' / 'cache'}"
    assert Settings.load().kept_dir == CHECKOUT / "var" / "shop-2" / "kept"
    login.setenv("CACHE_URL", "file:elsewhere")
    assert Settings.load().cache_url.get_secret_value() == f"file:{CHECKOUT / 'elsewhere'}"
    login.setenv("CACHE_URL", f"file:{here}")
    assert Settings.load().cache_url.get_secret_value() == f"file:{here}"


def test_a_secret_file_may_begin_with_a_byte_order_mark(here: Path, login: pytest.MonkeyPatch) -> None:
    login.delenv("PHPMYADMIN_PASSWORD")
    login.setenv("PHPMYADMIN_PASSWORD_FILE", str(here / "secret"))
    (here / "secret").write_text("pässword\r\n", encoding="utf-8-sig")
    assert ScraperSettings.load().phpmyadmin_password.get_secret_value() == "pässword"


@pytest.mark.parametrize(
    "content",
    [None, b"\xff\xfe\x00", "password".encode("utf-16-le"), b"x" * (1 << 21)],
    ids=["missing", "no text", "utf-16", "long"],
)
def test_a_secret_file_that_cannot_be_read_is_named(
    here: Path, login: pytest.MonkeyPatch, content: bytes | None
) -> None:
    login.delenv("PHPMYADMIN_PASSWORD")
    login.setenv("PHPMYADMIN_PASSWORD_FILE", str(here / "secret"))
    if content is not None:
        (here / "secret").write_bytes(content)
    with pytest.raises(SettingsInvalid, match="PHPMYADMIN_PASSWORD_FILE"):
        ScraperSettings.load()


@pytest.mark.parametrize(
    ("pasted", "cleaned"),
    [
        ("https://db.example.com", "https://db.example.com/"),
        ("https://db.example.com/phpmyadmin", "https://db.example.com/phpmyadmin/"),
        ("  https://db.example.com/pma/index.php \n", "https://db.example.com/pma/"),
        ("http://h:8080/index.php?route=/database/structure&db=shop", "http://h:8080/"),
        ("https://h/pma/index.php?route=/sql&db=a&table=b#top", "https://h/pma/"),
        ("https://h/cpsess123/3rdparty/phpMyAdmin/sql.php", "https://h/cpsess123/3rdparty/phpMyAdmin/"),
        ("https://[::1]:8443/pma/", "https://[::1]:8443/pma/"),
    ],
)
def test_a_pasted_address_is_cleaned(login: pytest.MonkeyPatch, pasted: str, cleaned: str) -> None:
    login.setenv("PHPMYADMIN_URL", pasted)
    assert ScraperSettings.load().phpmyadmin_url == cleaned


def test_the_database_of_a_pasted_address_stands_in_for_a_missing_one(login: pytest.MonkeyPatch) -> None:
    login.setenv("PHPMYADMIN_URL", "https://h/index.php?route=/database/structure&db=my%20shop")
    assert ScraperSettings.load().phpmyadmin_database == "shop"
    login.delenv("PHPMYADMIN_DATABASE")
    assert ScraperSettings.load().phpmyadmin_database == "my shop"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PHPMYADMIN_URL", f"ftp://{SECRET}/"),
        ("PHPMYADMIN_URL", f"https://analyst:{SECRET}@db.example.com/"),
        ("PHPMYADMIN_URL", f"{SECRET}"),
        ("PHPMYADMIN_URL", "http://[half/"),
        ("SYNC_INTERVAL_MINUTES", SECRET),
        ("SYNC_INTERVAL_MINUTES", "0"),
        ("SYNC_TIMEOUT_MINUTES", "-1"),
        ("SYNC_INTERVAL_MINUTES", "nan"),
        ("SYNC_INTERVAL_MINUTES", "inf"),
        ("REFRESH_MIN_SECONDS", "-1"),
        ("SCHEDULER", SECRET),
        ("SOURCE_TIMEZONE", SECRET),
        ("SOURCE_TIMEZONE", "../etc/passwd"),
        ("SHOP_TIMEZONE", "Europe"),
        ("RATES_FILE", f"{SECRET}.csv"),  # without SHOP_CURRENCY
        ("API_PORT", "70000"),
        ("PHPMYADMIN_URL", "http://db.example.com:x/"),
        ("PHPMYADMIN_URL", f"http://{'a' * 70}/"),
        ("PHPMYADMIN_URL", "http://db example/"),
        ("PHPMYADMIN_PORTAL_URL", "http://[half/"),
        ("PHPMYADMIN_HEADERS", '{"X Token": "a"}'),
        ("PHPMYADMIN_HEADERS", '{"X-Token": "a\\nb"}'),
        ("PHPMYADMIN_CA_FILE", "~no-such-user/ca.pem"),
        ("DASHBOARD_URL", "orders.example.com"),
        ("DASHBOARD_URL", "http://[half/"),
        ("CORS_ORIGINS", "https://€.example.com"),
        ("DATA_DIR", "~no-such-user/var"),
        ("DATA_DIR", "a" * 300),
        ("CACHE_URL", f"file:{'a' * 300}"),
        ("CACHE_URL", f"mysql://{SECRET}@host/orders"),
        ("CACHE_URL", "a" * 5000),
        ("STATEMENT_SECONDS", "inf"),
        ("FULL_CHECK_HOURS", "1e300"),
        ("SSE_TIMEOUT_SECONDS", "inf"),
        ("SYNC_MEMORY_MB", "9" * 20),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(login: pytest.MonkeyPatch, name: str, value: str) -> None:
    login.setenv(name, value)
    with pytest.raises(SettingsInvalid) as caught:
        ScraperSettings.load()
    assert name in str(caught.value)
    assert "configuration.md" in caught.value.advice
    shown = repr(caught.value) + str(caught.value) + str(caught.value.__cause__)
    assert SECRET not in shown


@pytest.mark.parametrize("name", ["PORT", "SYNC_INTERVAL_MINUTES"])
def test_only_the_setting_that_is_wrong_is_named(login: pytest.MonkeyPatch, name: str) -> None:
    login.setenv(name, SECRET)
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load()
    assert re.findall(r"\b(?:[A-Z]+_)?PORT\b", str(caught.value)) == ["PORT"] * (name == "PORT")


@pytest.mark.parametrize(
    ("given", "api", "dashboard", "is_one_port"),
    [
        ({}, ("127.0.0.1", 5000), ("127.0.0.1", 8501), False),
        ({"PORT": "80"}, ("0.0.0.0", 80), ("0.0.0.0", 80), True),
        ({"PORT": "80", "API_PORT": "", "API_HOST": ""}, ("0.0.0.0", 80), ("0.0.0.0", 80), True),
        ({"PORT": "80", "API_PORT": "81"}, ("0.0.0.0", 81), ("0.0.0.0", 80), False),
        ({"PORT": "80", "DASHBOARD_PORT": "80"}, ("0.0.0.0", 80), ("0.0.0.0", 80), False),
        ({"PORT": "80", "API_HOST": "10.0.0.1"}, ("10.0.0.1", 80), ("127.0.0.1", 80), True),
        ({"API_PORT": "80", "DASHBOARD_PORT": "80"}, ("127.0.0.1", 80), ("127.0.0.1", 80), False),
    ],
)
def test_port_is_that_of_both_and_alone_listens_on_all_addresses(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    api: tuple[str, int],
    dashboard: tuple[str, int],
    is_one_port: bool,
) -> None:
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert (settings.api_host, settings.api_port) == api
    assert (settings.dashboard_host, settings.dashboard_port) == dashboard
    assert settings.is_one_port == is_one_port


def test_an_account_may_have_no_password(here: Path, login: pytest.MonkeyPatch) -> None:
    login.setenv("PHPMYADMIN_PASSWORD", "")
    assert ScraperSettings.load().phpmyadmin_password == SecretStr("")
    login.delenv("PHPMYADMIN_PASSWORD")
    login.setenv("ENV_FILE", str(here / "shop.env"))
    (here / "shop.env").write_text("PHPMYADMIN_PASSWORD=\n")
    assert ScraperSettings.load().phpmyadmin_password == SecretStr("")
    (here / "secret").write_text("of a file")
    login.setenv("PHPMYADMIN_PASSWORD_FILE", str(here / "secret"))
    assert ScraperSettings.load().phpmyadmin_password == SecretStr("of a file")


def test_an_empty_user_name_and_password_are_no_login(login: pytest.MonkeyPatch) -> None:
    for name in ("PHPMYADMIN_USERNAME", "PHPMYADMIN_PASSWORD"):
        login.setenv(name, "")
    settings = ScraperSettings.load()
    assert (settings.phpmyadmin_username, settings.phpmyadmin_password) == (None, None)


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in LOGIN for value in (None, "") if (name, value) != ("PHPMYADMIN_PASSWORD", "")],
)
def test_a_missing_or_empty_part_of_the_login_is_named(login: pytest.MonkeyPatch, name: str, value: str | None) -> None:
    if value is None:
        login.delenv(name)
    else:
        login.setenv(name, value)
    with pytest.raises(SettingsInvalid, match=name):
        ScraperSettings.load()


def test_no_secret_shows_in_the_settings_themselves(login: pytest.MonkeyPatch) -> None:
    login.setenv("SHOPIFY_API_KEY", SECRET)
    login.setenv("DASHBOARD_PASSWORD", SECRET)
    settings = ScraperSettings.load()
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


def test_readers_hold_no_login(login: pytest.MonkeyPatch) -> None:
    assert not any("phpmyadmin" in name for name in Settings.load().model_dump())


@pytest.mark.parametrize("url", ["file:", "redis://localhost", "var/cache", "FILE:/x"])
def test_a_cache_address_that_is_no_folder_is_refused(login: pytest.MonkeyPatch, url: str) -> None:
    login.setenv("CACHE_URL", url)
    with pytest.raises(SettingsInvalid, match="CACHE_URL must be `file:` and a folder"):
        Settings.load()
