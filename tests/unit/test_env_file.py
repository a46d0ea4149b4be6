"""A `.env` file means what is written in it, or one sentence names the line that is not clear."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from long_cases import soak_but
from random_env_files import other_line, written_password

from cache.errors import SettingsInvalid
from cache.machine.setting_names import SYNC_SETTINGS
from cache.settings import Settings
from scraper.settings import ScraperSettings

Write = Callable[[str | bytes], None]


@pytest.fixture
def write(here: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Writes the `.env` file that settings are read from."""
    monkeypatch.setenv("ENV_FILE", str(here / "shop.env"))
    return lambda text: (here / "shop.env").write_bytes(text.encode() if isinstance(text, str) else text) and None


def password() -> str:
    """The password that a sync would send."""
    settings = ScraperSettings.load(phpmyadmin_url="http://h/", phpmyadmin_database="d", phpmyadmin_username="u")
    return settings.phpmyadmin_password.get_secret_value()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("a${HOME}b", "a${HOME}b"),
        ("a$HOME", "a$HOME"),
        ("'a${HOME}b'", "a${HOME}b"),
        ('"a${HOME}b"', "a${HOME}b"),
        ("abc#def", "abc#def"),
        ("#abc", "#abc"),
        ("'abc #def'", "abc #def"),
        ('"abc #def"', "abc #def"),
        ("'abc' # the analyst's", "abc"),
        ("'\u00a0abc\u00a0'", "\u00a0abc\u00a0"),
        ("a'b\"c", "a'b\"c"),
        (r"C:\new\table", r"C:\new\table"),
        (r"'C:\new\table'", r"C:\new\table"),
        (r"'it\'s'", "it's"),
        (r'"a\"b"', 'a"b'),
        (r"a\\b", r"a\\b"),
        ("' leading and trailing '", " leading and trailing "),
        ("  padded  ", "padded"),
        ("pässwörd=ß", "pässwörd=ß"),
    ],
)
@pytest.mark.parametrize("before", ["", "\ufeff", "# a comment\r\n\r\nexport "], ids=["", "bom", "export"])
def test_a_password_is_read_as_it_is_written(write: Write, written: str, meant: str, before: str) -> None:
    write(f"{before}PHPMYADMIN_PASSWORD={written}\n")
    assert password() == meant


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("PHPMYADMIN_PASSWORD=abc #def", "PHPMYADMIN_PASSWORD is cut at ` #`"),
        ("PHPMYADMIN_PASSWORD= #def", "PHPMYADMIN_PASSWORD is cut at ` #`"),
        ("DASHBOARD_PASSWORD=abc\t# of the team", "DASHBOARD_PASSWORD is cut at ` #`"),
        (r'PHPMYADMIN_PASSWORD="pa\new"', "PHPMYADMIN_PASSWORD has a backslash in double quotes"),
        ("PHPMYADMIN_PASSWORD='abc", "the quote of PHPMYADMIN_PASSWORD is not closed"),
        ("PHPMYADMIN_PASSWORD='abc'def", "text follows the closing quote of PHPMYADMIN_PASSWORD"),
        ("PHPMYADMIN_PASSWORD='abc'#def'", "text follows the closing quote of PHPMYADMIN_PASSWORD"),
        ('PHPMYADMIN_PASSWORD="abc" #def"', "text follows the closing quote of PHPMYADMIN_PASSWORD"),
        (
            "PHPMYADMIN_PASSWORD=\u00a0abc",
            "PHPMYADMIN_PASSWORD begins or ends with a character that looks like a space",
        ),
        (
            "PHPMYADMIN_PASSWORD=abc\u3000",
            "PHPMYADMIN_PASSWORD begins or ends with a character that looks like a space",
        ),
        ("PHPMYADMIN_PASSWORD='abc\nPHPMYADMIN_URL='x", "the quote of PHPMYADMIN_PASSWORD is closed on a later line"),
        ("DATA_DIR=${HOME}/orders", "DATA_DIR contains ${…}"),
        ("PHPMYADMIN_PASSWORD abc", "this is not NAME=value"),
        ("PHPMYADMIN_PASSWORD", "there is no = after the name"),
        ("=abc", "this is not NAME=value"),
    ],
)
def test_a_line_with_no_clear_meaning_is_named(here: Path, write: Write, line: str, named: str) -> None:
    write(f"# settings\n\nAPI_PORT=5001\n{line}\n")
    for load in (password, Settings.load):
        with pytest.raises(SettingsInvalid) as caught:
            load()
        assert str(caught.value).startswith(f"{here / 'shop.env'}, line 4: {named}")
        assert not {"abc", "def"} & set(re.findall(r"\w+", str(caught.value)))


@pytest.mark.parametrize(
    ("encoding", "line"), [("latin-1", 2), ("cp1252", 2), ("utf-16", 1), ("utf-16-le", 1), ("utf-16-be", 1)]
)
def test_another_encoding_is_answered_with_the_line(here: Path, write: Write, encoding: str, line: int) -> None:
    write("API_PORT=5001\nPHPMYADMIN_PASSWORD=pässwörd\n".encode(encoding))
    with pytest.raises(SettingsInvalid) as caught:
        Settings.load()
    assert caught.value.message.startswith(f"{here / 'shop.env'}, line {line}: ")
    assert "UTF-8" in caught.value.advice


def test_a_file_that_is_no_settings_at_all_is_refused_at_once(write: Write) -> None:
    write(b"# x\n" * 300_000)
    with pytest.raises(SettingsInvalid, match="larger than 1 MB"):
        Settings.load()


def test_one_bad_line_is_one_message(write: Write, caplog: pytest.LogCaptureFixture) -> None:
    write("API_PORT=5001\nthis is no setting\n")
    with caplog.at_level(logging.DEBUG), pytest.raises(SettingsInvalid):
        ScraperSettings.load()
    assert caplog.records == []


def test_a_comment_after_a_value_that_is_no_secret_is_a_comment(write: Write) -> None:
    write('API_PORT=5001 # not AirPlay\'s\nPHPMYADMIN_HEADERS=\'{\n "X-Token": "a #b"\n}\'\n')
    assert Settings.load().api_port == 5001


def test_the_settings_of_syncs_are_known_by_name() -> None:
    assert {
        name.upper() for name in ScraperSettings.model_fields.keys() - Settings.model_fields.keys()
    } == SYNC_SETTINGS


def test_a_misspelt_setting_is_named_with_the_one_that_was_meant(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("PHPMYADMIN_TABEL=orders\n\nTZ=UTC\nSITE=example.com\nSTATEMENT_SECONDS=3\nAPI_PORT=1\nAPI_PORT=2\n")
    for name in (
        "DASHBOARD_PASSWROD",
        "API_PROT",
        "PHPMYADMIN_WITH_ANOTHER_MEANING",
        "SHOPIFY_API_SECRET",
        "PHPMYADMIN_URL_FILE",
    ):
        monkeypatch.setenv(name, "secret")
    assert sorted(Settings.misspelt()) == [
        "API_PORT stands twice in .env; line 7 counts.",
        "API_PROT in the environment is not a setting. Did you mean API_PORT?",
        "DASHBOARD_PASSWROD in the environment is not a setting. Did you mean DASHBOARD_PASSWORD?",
        "PHPMYADMIN_TABEL in .env, line 1, is not a setting. Did you mean PHPMYADMIN_TABLE?",
        "PHPMYADMIN_WITH_ANOTHER_MEANING in the environment is not a setting.",
        "TZ in .env, line 3, is not a setting.",
    ]


def test_the_first_process_warns_and_what_it_starts_does_not(
    here: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DASHBOARD_PASSWROD", "secret")
    monkeypatch.setenv("SETTINGS_CHECKED", "")
    Settings.warn_of_misspelt()
    Settings.warn_of_misspelt()
    assert caplog.messages == [
        "DASHBOARD_PASSWROD in the environment is not a setting. Did you mean DASHBOARD_PASSWORD?"
    ]


@pytest.mark.parametrize("seed", soak_but(range(2), range(25)))
def test_any_file_is_read_as_written_or_refused_in_a_sentence(
    here: Path, write: Write, caplog: pytest.LogCaptureFixture, seed: int
) -> None:
    """Twenty files each: in all encodings, with all kinds of quotes, line ends and broken lines."""
    chance = random.Random(seed)
    for _ in range(20):
        secret, line = written_password(chance)
        others = [other_line(chance) for _ in range(chance.randrange(6))]
        lines = [*others, line]
        chance.shuffle(lines)
        text = chance.choice(["\n", "\r\n", "\r"]).join(lines)
        encoding = chance.choice(["utf-8"] * 6 + ["utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32"])
        write(text.encode(encoding, "replace"))
        secret = secret.encode(encoding, "replace").decode(encoding)
        try:
            read = password()
        except SettingsInvalid as error:
            assert re.match(rf"{re.escape(str(here / 'shop.env'))}, line \d+: |Invalid settings: ", str(error)), text
            assert error.advice
            assert len(secret) < 6 or secret not in str(error)
        else:
            assert read == secret, (text, read)
        assert caplog.records == []
